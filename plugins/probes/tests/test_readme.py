"""What README.md says, held against what the code does."""

from __future__ import annotations

import ast
import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import lifecycle_probes
from lifecycle_probes.disk import DiskOptions
from lifecycle_probes.http import HttpOptions
from lifecycle_probes.memory import MemoryOptions
from lifecycle_probes.tcp import TcpOptions

HERE = Path(__file__).parents[1]
README = (HERE / "README.md").read_text(encoding="utf-8")
CLASSES = {"TCP": TcpOptions, "HTTP": HttpOptions, "DISK": DiskOptions, "MEMORY": MemoryOptions}


def worded():
    """Every text in the package, with … where a value goes."""
    for path in Path(lifecycle_probes.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                yield "".join(p.value if isinstance(p, ast.Constant) else "…" for p in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_every_option_is_in_the_table_with_its_default():
    """No more, no fewer."""
    told = dict(re.findall(r"^\| `(LIFECYCLE_[A-Z_]+)` \| (\S*) ?\|", README, re.MULTILINE))
    real = {
        f"LIFECYCLE_{plugin}_{each.name.upper()}": each.default
        for plugin, cls in CLASSES.items()
        for each in dataclasses.fields(cls)
    }

    assert told.keys() == real.keys()
    for name, default in real.items():
        assert told[name] == ("" if default in ((), None) else f"{float(default):g}"), name


def test_the_shell_blocks_are_valid(lifecycle_env):
    """Each is run, but for what it installs; its variables are taken."""
    blocks = re.findall(r"```shell\n(.*?)```", README, re.DOTALL)
    lifecycle_env.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")

    assert blocks
    for block in blocks:
        script = re.sub(r"^pip install .*$", ":", block, flags=re.MULTILINE)
        done = subprocess.run(
            ["sh", "-euc", script], capture_output=True, text=True, timeout=20, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        for name in re.findall(r"export (\w+)=", block):
            assert name in done.stdout


def test_every_reason_in_the_table_is_worded_so_in_the_code():
    """Part by part, between the values and the stops."""
    reasons = re.findall(r"^\| [a-z, ]+ \| (?:yes|no) \| `(.*?)` \|", README, re.MULTILINE)
    texts = list(worded())

    assert len(reasons) > 20
    for reason in reasons:
        for part in filter(None, map(str.strip, re.split(r"…|[;:,]|% of", reason))):
            assert any(part in text for text in texts), part
