"""
The whole suite; `make test` runs it.

    python -m tests.suite [FILE OR FOLDER…]

Rules of this file:

1. What a test needs and is missing is installed first, where that is possible.
2. Where it is not, the tests that need it are left out, and the end says so in a list. With
   ALL set that is a failure: on a CI machine nobody reads the end of a log that is green.
3. Both halves are run, whatever becomes of the first.
4. With ALL set, the few tests that have failed are played once more, alone (`again.py`).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.suite import again
from tests.suite.needs import NEEDS, Need, install

ROOT: Final = Path(__file__).parents[2]
TESTS_FAILED: Final = 1
"""pytest's exit code where some were run and some have failed."""
NO_TESTS: Final = 5
"""pytest's exit code where nothing was to be run."""
UNDER_LOAD: Final = (
    "tests/examples",
    "tests/hosts",
    "tests/rehearsal",
    "tests/process/test_rollout",
)
"""How the files' names begin whose tests put a load on the machine themselves."""
APART: Final = ("tests/e2e",)
"""What has a command of its own."""


@dataclass(frozen=True)
class Half:
    """
    Some of the files, and how many of them are run at a time.

    Attributes:
        at_once: Those that load the machine are run fewer at a time: none starves another.
        files: What is run.
    """

    at_once: int
    files: tuple[str, ...]


def all_files() -> tuple[str, ...]:
    """Return every file with tests, in order."""
    found = [*ROOT.glob("tests/**/test_*.py"), *ROOT.glob("plugins/*/tests/**/test_*.py")]
    names = sorted(str(each.relative_to(ROOT)) for each in found)
    return tuple(each for each in names if not each.startswith(APART))


def chosen(names: Sequence[str], files: Sequence[str]) -> tuple[str, ...]:
    """Return the files that names mean, each a file or a folder; without names, all."""
    wanted = [name.rstrip("/") for name in names]
    return tuple(
        each
        for each in files
        if not wanted or any(each == name or each.startswith(f"{name}/") for name in wanted)
    )


def halves(files: Sequence[str], left_out: Sequence[Need]) -> tuple[Half, Half]:
    """Deal the files out, without those that need what is missing."""
    without = {test for need in left_out for test in need.tests}
    there = [each for each in files if each not in without]
    loading = tuple(each for each in there if each.startswith(UNDER_LOAD))
    return Half(4, tuple(each for each in there if each not in loading)), Half(2, loading)


def report(left_out: Sequence[Need], files: Sequence[str], why: str) -> str:
    """Say what was not run, why, and what to do."""
    lines = ["", "== NOT RUN"]
    for need in left_out:
        tests = ", ".join(each for each in need.tests if each in files)
        lines.append(f"{tests}: needs the program {need.program}")
    packages = " ".join(sorted({need.package for need in left_out}))
    lines += [
        f"These programs were not installed, because {why}.",
        f"To run the tests, install the programs (on Debian: apt-get install {packages}), and "
        "run `make test` again.",
    ]
    return "\n".join(lines)


def _run(half: Half) -> int:
    words = ["-q", "-n", str(half.at_once), "--dist", "loadfile", *half.files]
    process = subprocess.Popen([sys.executable, "-m", "pytest", *words], cwd=ROOT)
    try:
        code = process.wait()
    except KeyboardInterrupt:  # which pytest has got too
        process.wait()
        raise
    if code == TESTS_FAILED and os.environ.get("ALL"):
        return again.main(half.files)
    return code


def main(names: Sequence[str]) -> int:
    """Run the suite; 0 if all that could be run has passed."""
    files = chosen(names, all_files())
    if not files:
        print(f"no tests in {' '.join(names)}", file=sys.stderr)
        return 2
    needs = [need for need in NEEDS if not set(need.tests).isdisjoint(files)]
    why = install(needs)
    left_out = [need for need in needs if not need.met]
    failed = 0
    for half in halves(files, left_out):
        if half.files:
            failed += _run(half) not in (0, NO_TESTS)
    if left_out:
        print(report(left_out, files, why or "no package has brought them"))
        if os.environ.get("ALL"):
            print("ALL is set, so this is a failure.")
            failed += 1
    return int(failed > 0)


if __name__ == "__main__":
    try:
        raise SystemExit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None
