"""
Play once more, alone, what has failed; `python -m tests.suite.again [FILE OR FOLDER…]`.

Thousands of these tests start real processes, in real time, and share two cores with one another.
A moment of the machine can fail one of them. So on a CI machine a test that fails gets a second
try, in which nothing else runs, as ginkgo's `--flake-attempts` gives it to Kubernetes' own suite.

1. What fails alone too is a fault, and the run fails.
2. What passes alone is named at the end as unsteady. Somebody mends it.
3. More than LIMIT failures are no moment of the machine: none of them is played again.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
LIMIT: Final = 5


def failed(files: Sequence[str], root: Path = ROOT) -> list[str]:
    """Return the tests of files and folders that pytest has noted as failed; of all, without."""
    notes = root / ".pytest_cache/v/cache/lastfailed"
    noted: list[str] = sorted(json.loads(notes.read_text())) if notes.exists() else []
    wanted = tuple(name.rstrip("/") for name in files)
    return [
        each
        for each in noted
        if not wanted
        or any(each == name or each.startswith((f"{name}/", f"{name}::")) for name in wanted)
    ]


def play(tests: Sequence[str], root: Path = ROOT) -> int:
    """Run tests one after the other; pytest's exit code."""
    words = ["-q", "-p", "no:xdist", *tests]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *words], cwd=root, check=False
    ).returncode


def main(files: Sequence[str], root: Path = ROOT) -> int:
    """Return 0 if a few have failed, and each has passed alone."""
    tests = failed(files, root)
    if not 0 < len(tests) <= LIMIT:
        print(f"== {len(tests)} tests have failed, none is played once more", flush=True)
        return 1
    print(f"== once more, alone: {len(tests)} tests that have failed", flush=True)
    if code := play(tests, root):
        return code
    print("== UNSTEADY: passed alone, and failed before", *tests, sep="\n", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
