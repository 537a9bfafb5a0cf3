"""
What installed distributions offer under an entry point group.

`importlib.metadata.entry_points` answers the same, and is asked wherever something other than
plain folders is on the path. Importing it is 7 ms of a start of 120, and parsing what every
package declares is two more: here only what names the group is read.
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
    """What a distribution says of one object: `name = module:attribute`."""

    name: str
    value: str

    def load(self) -> Any:
        """Import the module and return the object; what its import raises comes through."""
        module, _, attribute = self.value.partition("[")[0].strip().partition(":")
        found = importlib.import_module(module.strip())
        return reduce(getattr, filter(None, attribute.strip().split(".")), found)


def entry_points(group: str) -> list[EntryPoint]:
    """
    Return the entry points of a group, by name; of two installations of one the path's first.

    Raises:
        PluginError: The system does not let us look.
    """
    texts = _texts(group) if _plain_path() else None
    found = _asked(group) if texts is None else [p for text in texts for p in _parsed(text, group)]
    return sorted(found, key=lambda point: point.name)


def _plain_path() -> bool:
    """Tell whether nothing but the interpreter's own finder knows of distributions."""
    known = [finder for finder in sys.meta_path if hasattr(finder, "find_distributions")]
    return known == [PathFinder]


def _texts(group: str) -> list[str] | None:
    """Return what says something of the group; None if the path holds more than folders."""
    found: dict[str, str] = {}
    header = f"[{group}]"
    for folder in sys.path:
        if type(folder) is not str or folder.endswith(".egg"):
            return None  # a Path; or what keeps its metadata in another place
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
    """Refuse to go on without what nobody could look for; what is not there is no plugin."""
    if getattr(error, "errno", None) in _CANNOT_LOOK:
        raise PluginError(f"plugins cannot be looked for in {folder}: {error}") from None


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
