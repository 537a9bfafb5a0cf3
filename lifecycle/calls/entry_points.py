"""
The entry points of one group, read from the installed distributions.

`importlib.metadata.entry_points` returns the same, and is used if the path has anything other
than plain folders. But its import takes 7 ms of a start of 120 ms, and parsing the files of all
packages takes 2 ms more. The code here parses only the files that contain the group.
"""

from __future__ import annotations

import errno
import importlib
import os
import sys
from collections.abc import Iterator
from functools import reduce
from importlib.machinery import PathFinder
from typing import Any, Final, NamedTuple

from lifecycle.exceptions import PluginError

_CANNOT_LOOK: Final = (errno.EMFILE, errno.ENFILE, errno.EIO, errno.ENOMEM)


class EntryPoint(NamedTuple):
    """One entry point of a distribution: `name = module:attribute`."""

    name: str
    value: str

    def load(self) -> Any:
        """Import the module and return the object. Raises whatever the import raises."""
        module, _, attribute = self.value.partition("[")[0].strip().partition(":")
        found = importlib.import_module(module.strip())
        return reduce(getattr, filter(None, attribute.strip().split(".")), found)


def entry_points(group: str) -> list[EntryPoint]:
    """
    Return the entry points of a group, sorted by name.

    If a distribution is installed twice, the first one on the path counts.

    Raises:
        PluginError: The system cannot read a folder now, for example without free descriptors.
    """
    texts = _texts(group) if _plain_path() else None
    found = _asked(group) if texts is None else [p for text in texts for p in _parsed(text, group)]
    return sorted(found, key=lambda point: point.name)


def _plain_path() -> bool:
    """Return True if only the finder of the interpreter can find distributions."""
    known = [finder for finder in sys.meta_path if hasattr(finder, "find_distributions")]
    return known == [PathFinder]


def _texts(group: str) -> list[str] | None:
    """Return the files that contain the group. None if the path has more than folders."""
    found: dict[str, str] = {}
    header = f"[{group}]"
    for folder in sys.path:
        if type(folder) is not str or folder.endswith(".egg"):
            return None  # a Path object, or an egg with its metadata elsewhere
        try:
            entries = os.listdir(folder or ".")
        except NotADirectoryError:
            return None  # a zip
        except (OSError, ValueError) as error:
            _refuse(error, folder)
            continue
        for entry in entries:
            stem, ending = os.path.splitext(entry)
            if ending.lower() not in {".dist-info", ".egg-info"}:
                continue
            try:
                with open(os.path.join(folder, entry, "entry_points.txt"), "rb") as file:
                    text = file.read().decode(errors="replace")
            except OSError as error:
                _refuse(error, folder)
                continue
            if header in text:
                found.setdefault(stem.partition("-")[0].lower().replace(".", "_"), text)
    return list(found.values())


def _refuse(error: Exception, folder: str) -> None:
    """Raise if plugins may exist that cannot be read. A missing folder is not an error."""
    if getattr(error, "errno", None) in _CANNOT_LOOK:
        raise PluginError(
            f"cannot look for plugins in {folder}: {error}", see="plugin-not-loaded"
        ) from None


def _parsed(text: str, group: str) -> Iterator[EntryPoint]:
    section = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif section == group and "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            yield EntryPoint(name.strip(), value.strip())


def _asked(group: str) -> list[EntryPoint]:
    from importlib import metadata

    return [EntryPoint(each.name, each.value) for each in metadata.entry_points(group=group)]
