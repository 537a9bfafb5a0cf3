"""How the distributions are built, and that two builds give the same bytes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
OTHER_TIMES: Final = (915_148_800, 915_148_800)
"""When the files of the copy were changed, as far as it says: in 1999."""
ELSEWHERE: Final = {"TZ": "Pacific/Apia", "PYTHONHASHSEED": "4242", "LC_ALL": "C"}


class NotReproducibleError(Exception):
    """It cannot be built, or two builds differ."""


def projects(root: Path) -> tuple[Path, ...]:
    """Return the folder of each distribution: pod-lifecycle's, and each plugin's."""
    return (root, *sorted(each.parent for each in root.glob("plugins/*/pyproject.toml")))


def epoch() -> int:
    """Return SOURCE_DATE_EPOCH, or else the time of the last commit."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    return int(given or _git("log", "-1", "--format=%ct"))


def has_changes() -> bool:
    """Tell whether something differs from the last commit."""
    return bool(_git("status", "--porcelain"))


def copy_of_the_tracked(folder: Path) -> Path:
    """Copy what git tracks, links as links, with nothing that a file is not known by."""
    for name in filter(None, _git("ls-files", "-z").split("\0")):
        if not os.path.lexists(ROOT / name):
            continue  # deleted, and not yet committed
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target, follow_symlinks=False)
        if not target.is_symlink():
            target.chmod(0o700 if os.access(ROOT / name, os.X_OK) else 0o600)
            os.utime(target, OTHER_TIMES)
    return folder


def build(
    folders: Iterable[Path], to: Path, source_date_epoch: int, *, elsewhere: bool = False
) -> None:
    """
    Build the sdist and the wheel of each folder.

    Args:
        folders: With a pyproject.toml each.
        to: Where the files are put.
        source_date_epoch: The time that is written into them, in seconds since 1970.
        elsewhere: As another machine might: the wheel straight from the folder, in other
            surroundings. Otherwise the wheel is made out of the sdist.
    """
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(to)]
    command += ["--sdist", "--wheel"] if elsewhere else []
    env = os.environ | {"SOURCE_DATE_EPOCH": str(source_date_epoch)}
    env |= ELSEWHERE if elsewhere else {}

    def one(folder: Path) -> str:
        done = subprocess.run(
            [*command, str(folder)],
            env=env,
            umask=0o077 if elsewhere else -1,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return f"{folder}: not built:\n{done.stdout}{done.stderr}" if done.returncode else ""

    to.mkdir()
    with ThreadPoolExecutor(2) as pool:
        wrong = list(filter(None, pool.map(one, folders)))
    if wrong:
        raise NotReproducibleError("\n".join(wrong))


def differences(built: Path, again: Path) -> None:
    """
    Compare two folders of distributions, byte by byte.

    Raises:
        NotReproducibleError: They differ. It names each file, and what of a wheel differs.
    """
    names = {each.name for each in [*built.iterdir(), *again.iterdir()]}
    wrong = [each for each in sorted(names) if _bytes(built / each) != _bytes(again / each)]
    if wrong:
        said = "\n".join(f"  {each}{_what(built / each, again / each)}" for each in wrong)
        raise NotReproducibleError(
            "two builds differ. One was made here, the other one of what git tracks, so look "
            f"for a file that is not tracked, or for a time or a path in these:\n{said}"
        )


def _what(one: Path, other: Path) -> str:
    if not (one.exists() and other.exists()):
        return ": built once only"
    if one.suffix != ".whl":
        return ""
    with zipfile.ZipFile(one) as first, zipfile.ZipFile(other) as second:
        members = {each.filename: each.CRC for each in first.infolist()}.items()
        others = {each.filename: each.CRC for each in second.infolist()}.items()
    return ": " + (", ".join(sorted({name for name, _ in members ^ others})) or "its archive")


def _bytes(file: Path) -> bytes | None:
    return file.read_bytes() if file.exists() else None


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"make dist: needs a clone made with git: {done.stderr.strip()}")
    return done.stdout
