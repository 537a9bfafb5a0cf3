"""Which files an argument stands for: itself, or those of a folder."""

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
"""A folder with one of these holds what other programs made: a virtual environment, a cache."""


@dataclass(frozen=True)
class Named:
    """
    A file to be read.

    Attributes:
        file: As messages name it.
        walked: The folder in which it was found; empty if the file itself was named.
        problem: Why there is nothing to read; empty if there is.
    """

    file: str
    walked: str = ""
    problem: str = ""


def files(names: Iterable[str], exclude: Iterable[str] = ()) -> Iterator[Named]:
    """
    Give the files that some names stand for, each once.

    A folder stands for the *.yaml, *.yml and *.json under it. Hidden folders and files are left
    out, and node_modules, virtual environments and caches. A link to a folder is not followed, so
    that no loop of links is endless; a link to a file is, if the file was not met before.

    Args:
        names: Files, folders, and `-` for standard input.
        exclude: Shell patterns. A file is left out if one matches its path, or that of a folder
            above it. `*` matches slashes, too.
    """
    met: set[str] = set()
    patterns = [os.path.normpath(each) for each in exclude]
    found = [
        each
        for name in names
        for each in (_walked(name) if name != STDIN and os.path.isdir(name) else [Named(name)])
        if each.file == STDIN or not _is_excluded(each.file, patterns)
    ]
    for each in sorted(found, key=_is_walked_link):  # messages name a file, and not a link to it
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
