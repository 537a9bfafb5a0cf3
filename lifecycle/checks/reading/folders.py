"""The files that the arguments of `lifecycle check` stand for."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePath
from typing import Final

from lifecycle.checks.reading.inputs import STDIN

ENDINGS: Final = (".yaml", ".yml", ".json")
_LEFT_OUT: Final = ("node_modules", "__pycache__")
_MARKS: Final = ("pyvenv.cfg", "CACHEDIR.TAG")
"""Files that mark a folder made by other programs: a virtual environment or a cache."""


@dataclass(frozen=True)
class Named:
    """
    A file to read.

    Attributes:
        file: Name of the file in messages.
        walked: The folder in which the file was found. Empty if the user named the file.
        problem: Why the file cannot be read. Empty if it can.
    """

    file: str
    walked: str = ""
    problem: str = ""


def files(names: Iterable[str], exclude: Iterable[str] = ()) -> Iterator[Named]:
    """
    Give the files that some names stand for, each file once.

    A folder stands for all *.yaml, *.yml and *.json files under it. Hidden files and folders,
    node_modules, virtual environments and caches are ignored. Links to folders are not followed,
    because they may form an endless loop. A link to a file is followed, unless the file was already
    given.

    Args:
        names: Files, folders, and `-` for standard input.
        exclude: Shell patterns. A file is ignored if a pattern matches its path, or the path of a
            folder above it. `*` also matches slashes.
    """
    met: set[str] = set()
    patterns = [os.path.normpath(each) for each in exclude]
    found = [
        each
        for name in names
        for each in (_walked(name) if name != STDIN and os.path.isdir(name) else [Named(name)])
        if each.file == STDIN or not _is_excluded(each.file, patterns)
    ]
    for each in sorted(found, key=_is_walked_link):  # messages name the file, not a link to it
        real = each.file if each.file == STDIN else os.path.realpath(each.file)
        if real not in met or each.problem:
            met.add(real)
            yield each


def _is_excluded(file: str, patterns: Iterable[str]) -> bool:
    path = PurePath(os.path.normpath(file))
    paths = [str(each) for each in (path, *path.parents)]
    return any(fnmatchcase(each, pattern) for pattern in patterns for each in paths)


def _is_walked_link(named: Named) -> bool:
    return bool(named.walked) and os.path.islink(named.file)


def _walked(folder: str) -> Iterator[Named]:
    failed: list[OSError] = []
    for place, folders, names in os.walk(folder, onerror=failed.append):
        if place != folder and not {*names}.isdisjoint(_MARKS):
            folders.clear()
            continue
        folders[:] = sorted(
            each for each in folders if not each.startswith(".") and each not in _LEFT_OUT
        )
        for name in sorted(names):
            file = os.path.normpath(os.path.join(place, name))
            if name.endswith(ENDINGS) and not name.startswith(".") and _is_regular(file):
                yield Named(file, folder)
    for error in failed:
        yield Named(error.filename, folder, error.strerror or str(error))


def _is_regular(file: str) -> bool:
    # A pipe would wait for its writer, and a link may lead nowhere.
    try:
        return stat.S_ISREG(os.stat(file).st_mode)
    except OSError:
        return False
