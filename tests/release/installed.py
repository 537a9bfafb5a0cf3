"""The quick tests, on the wheels: in a new environment, in a folder without our sources."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.release.building import ROOT, copy_of_the_tracked
from tests.release.versions import distributions

QUICK: Final = ("tests/unit", "tests/checks", "tests/manifests", "plugins")
WITH_SERVERS: Final = (
    "plugins/opentelemetry/tests/test_hosts.py",
    "plugins/opentelemetry/tests/test_collector.py",
    "plugins/fleet/tests/test_rollout_display.py",
    "plugins/fleet/tests/test_rollout_docs.py",
    "plugins/fleet/tests/test_rollout_page.py",
    "plugins/fleet/tests/test_serve_page.py",
    "plugins/fleet/tests/test_serve_page_access.py",
)
"""Left out, because they need servers, frameworks or a browser that are not installed there."""
SOURCES: Final = ("lifecycle", "plugins/*/src")
WHERE: Final = """
import importlib, importlib.metadata, pathlib, sys
for distribution, package, version in (each.split(":") for each in sys.argv[1:]):
    module = importlib.import_module(package)
    file = pathlib.Path(module.__file__)
    assert file.is_relative_to(sys.prefix) and "site-packages" in file.parts, file
    found = importlib.metadata.version(distribution)
    assert found == version, f"{distribution} is {found}, and not {version}"
    print(f"   {distribution} {found}: {file}")
"""


class WheelsError(Exception):
    """The wheels cannot be installed, or a test of them fails."""


def try_the_wheels(wheels: Sequence[Path], folder: Path) -> None:
    """
    Install the wheels, all of them, and run the quick tests.

    Args:
        wheels: Of every distribution.
        folder: Where an environment and a copy without sources may be made.
    """
    there = copy_of_the_tracked(folder / "without-sources")
    for pattern in SOURCES:
        for each in there.glob(pattern):
            shutil.rmtree(each)
    python = folder / "environment" / "bin" / "python"
    venv.create(folder / "environment", with_pip=True)
    constraints = ["-c", str(ROOT / "constraints.txt")]
    group = ["--group", f"{there / 'pyproject.toml'}:test"]
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    _run([*pip, *constraints, "--upgrade", "pip"], there)
    extras = [
        f"{each}[manifests]" if "/pod_lifecycle-" in str(each) else str(each) for each in wheels
    ]
    _run([*pip, *constraints, *group, *extras], there)
    _run([str(python), "-c", WHERE, *distributions()], there)
    tests = ["-q", "-n", "4", "--dist", "loadfile", "-p", "no:cacheprovider"]
    left_out = [f"--ignore={each}" for each in WITH_SERVERS]
    _run([str(python), "-m", "pytest", *tests, *left_out, *QUICK], there)


def _run(words: Sequence[str], cwd: Path) -> None:
    # What this process has of the checkout is not handed on.
    left_out = ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME")
    env = {name: value for name, value in os.environ.items() if name not in left_out}
    env["PATH"] = os.pathsep.join([os.path.dirname(words[0]), env["PATH"]])
    sys.stdout.flush()
    done = subprocess.run(words, cwd=cwd, env=env, timeout=580, check=False)
    if done.returncode:
        raise WheelsError(f"{' '.join(words[:6])} … ended with {done.returncode}")
