"""
Has mypy and pyright read what a user writes: right.py must pass, and of wrong.py each marked line err.

    python tests/typed/check.py

Both are strict, as the strictest user has them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
MARK: Final = "# WRONG: "
TIME: Final = 300.0
"""Seconds a type checker has; on an idle machine it needs a few."""

Found = Iterator[tuple[str, int, str]]
"""A file's name, the line's number, what is wrong with it."""


def mypy() -> Found:
    """Yield what mypy has to say."""
    options = ("--strict", "--output=json", "--no-error-summary", "--config-file=")
    for line in _run("mypy", *options, "right.py", "wrong.py").splitlines():
        error = json.loads(line)
        if error["severity"] == "error":
            yield Path(error["file"]).name, error["line"], error["message"]


def pyright() -> Found:
    """Yield what pyright has to say."""
    options = ("--outputjson", "--project", str(HERE), "--pythonpath", sys.executable)
    for error in json.loads(_run("pyright", *options))["generalDiagnostics"]:
        if error["severity"] == "error":
            line = error["range"]["start"]["line"] + 1
            yield Path(error["file"]).name, line, error["message"]


def _run(module: str, *options: str) -> str:
    files = [str(HERE / each) if each.endswith(".py") else each for each in options]
    ran = subprocess.run(
        [sys.executable, "-m", module, *files],
        capture_output=True,
        text=True,
        timeout=TIME,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
    )
    if ran.returncode not in (0, 1) or not ran.stdout:
        raise SystemExit(f"{module} itself has failed:\n{ran.stdout}{ran.stderr}")
    return ran.stdout


def complaints(name: str, checker: Callable[[], Found]) -> Iterator[str]:
    """Yield a sentence about each line with which the type checker surprises."""
    lines = (HERE / "wrong.py").read_text().splitlines()
    expected = {at: line for at, line in enumerate(lines, 1) if MARK in line}
    seen = set()
    for file, at, message in checker():
        if file == "wrong.py" and at in expected:
            seen.add(at)
        else:
            yield f"{name} refuses {file}:{at}, which is right: {message}"
    for at in sorted(expected.keys() - seen):
        yield f"{name} accepts wrong.py:{at}: {expected[at]}"


def main() -> int:
    """Say what is not as it should be; 0 if all is."""
    found = [*complaints("mypy", mypy), *complaints("pyright", pyright)]
    print("\n".join(found) or "mypy and pyright agree with tests/typed")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
