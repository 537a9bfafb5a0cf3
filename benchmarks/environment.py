"""The environment of the servicewright row: a newer Python than ours, and packages of its own."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
WANTED = HERE / "servicewright.txt"
CONSTRAINTS = HERE.parent / "constraints.txt"
OLDEST = (3, 12)


class NotInstallable(Exception):
    """Why the row is missing."""


def _candidates() -> list[str]:
    """Return every Python there may be, the one that runs this first."""
    names = [shutil.which(f"python3.{minor}") for minor in range(14, OLDEST[1] - 1, -1)]
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = sorted(versions.glob("3.1[2-9]*/bin/python"))
    return [sys._base_executable, *filter(None, names), *map(str, found)]  # type: ignore[attr-defined]  # noqa: SLF001 - it is named nowhere else


def _version(python: str) -> tuple[int, ...] | None:
    """Return a Python's version; None if it does not run, or cannot make environments."""
    code = "import sys, venv, ensurepip; print(*sys.version_info[:3])"
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return tuple(map(int, done.stdout.split()))


def _python() -> tuple[str, str]:
    """Return a Python that is new enough, and its version."""
    for python in _candidates():
        if (version := _version(python)) is not None and version >= OLDEST:
            return python, ".".join(map(str, version))
    raise NotInstallable(f"no Python >= {'.'.join(map(str, OLDEST))} was found on this machine")


def servicewright() -> str:
    """
    Return the Python of the environment; it is made when it is not there yet.

    It is kept outside of the checkout, under a name that says what is in it.

    Raises:
        NotInstallable: There is no Python for it, or its packages cannot be had.
    """
    python, version = _python()
    content = f"{version}\n{WANTED.read_text()}\n{CONSTRAINTS.read_text()}"
    key = hashlib.sha256(content.encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "pod-lifecycle" / f"servicewright-{key}"
    made, stamp = folder / "bin" / "python", folder / "installed"
    if not stamp.exists():
        _install(python, folder)
        stamp.touch()
    return str(made)


def _install(python: str, folder: Path) -> None:
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    words = ["--disable-pip-version-check", "-r", str(WANTED), "-c", str(CONSTRAINTS)]
    try:
        for command in ([python, "-m", "venv", "--clear", str(folder)], [*pip, *words]):
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or [str(error)])[-1]
        raise NotInstallable(f"it could not be installed: {last}") from None
    except subprocess.TimeoutExpired:
        raise NotInstallable("it could not be installed in ten minutes") from None
