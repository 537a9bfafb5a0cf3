"""
Reads parts of objects whose shape is not certain. Nothing here raises an error.

The objects come from the API server, and the answers from inside the pods. A field may be missing,
and an answer of a pod may be anything.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from lifecycle_fleet.view.told import one_line

Object = Mapping[str, Any]

EMPTY: Final[Object] = {}
LONGEST: Final = 600
"""Characters of one text that are shown."""


def part(found: object, *path: str | int) -> object:
    """Return what is at a path of an object, or None."""
    for each in path:
        if isinstance(each, str) and isinstance(found, Mapping):
            found = found.get(each)
        elif isinstance(each, int) and isinstance(found, (list, tuple)) and each < len(found):
            found = found[each]
        else:
            return None
    return found


def mapping(found: object, *path: str | int) -> Object:
    """Return the object at a path, or an empty one."""
    value = part(found, *path)
    return value if isinstance(value, Mapping) else EMPTY


def objects(found: object, *path: str | int) -> tuple[Object, ...]:
    """Return the objects of the list at a path."""
    value = part(found, *path)
    given = value if isinstance(value, (list, tuple)) else ()
    return tuple(each for each in given if isinstance(each, Mapping))


def texts(found: object, *path: str | int) -> tuple[str, ...]:
    """Return the texts of the list at a path."""
    value = part(found, *path)
    given = value if isinstance(value, (list, tuple)) else ()
    return tuple(each for each in given if isinstance(each, str))


def text(found: object, *path: str | int) -> str:
    """Return the text at a path, or an empty one."""
    value = part(found, *path)
    return value if isinstance(value, str) else ""


def number(found: object, *path: str | int) -> float | None:
    """Return the number at a path, or None."""
    value = part(found, *path)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(value) < 1e15 and math.isfinite(value) else None


def whole(found: object, *path: str | int, default: int = 0) -> int:
    """Return the whole number at a path, or a default."""
    value = number(found, *path)
    return default if value is None else int(value)


def labels(found: object, *path: str | int) -> dict[str, str]:
    """Return the pairs of texts at a path, for example labels or a selector."""
    return {
        name: value
        for name, value in mapping(found, *path).items()
        if isinstance(name, str) and isinstance(value, str)
    }


def words(given: str, longest: int = LONGEST) -> str:
    """Return a text on one line, without control characters, and not too long."""
    joined = " ".join(given[: 4 * longest].split())
    shown = "".join(one_line(joined[at : at + 100]) for at in range(0, len(joined), 100))
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def seconds(given: float) -> str:
    """Return a duration for people, for example `14 s`, `3 min` or `2 h`."""
    given = max(0.0, given)
    if given < 10 and given != int(given):
        return f"{given:.1f} s"
    if given < 120:
        return f"{given:.0f} s"
    if given < 7200:
        return f"{given / 60:.0f} min"
    return f"{given / 3600:.0f} h" if given < 172800 else f"{given / 86400:.0f} days"
