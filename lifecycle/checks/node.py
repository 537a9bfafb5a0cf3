"""The values of a manifest, with their places in the file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from lifecycle.checks.errors import Unreadable

_PLAIN: Final = re.compile(r"[A-Za-z_][\w-]*")
_DURATION: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)([smhd]?)")
_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
MAX_DEPTH: Final = 64
MAX_NODES: Final = 1_000_000
MAX_ALIASED: Final = 200_000


@dataclass(frozen=True)
class Node:
    """
    A value in a manifest, or the place of a missing value.

    Attributes:
        value: A dict or list of nodes, a scalar, or None for a missing value.
        path: Path from the root of the document, as in JSON path.
        line: Line in the file, from 1. None if not known.
        repeated: The keys of a mapping that are written twice, each with the value that is lost.
    """

    value: Any = None
    path: str = "$"
    line: int | None = None
    repeated: tuple[tuple[str, Node], ...] = ()

    def __bool__(self) -> bool:
        return self.value is not None

    def at(self, *keys: str) -> Node:
        """Return the value under some keys. If there is none, return a node without a value."""
        node = self
        for key in keys:
            node = node._items().get(key) or Node(None, step(node.path, key), node.line)
        return node

    def keys(self) -> Iterable[str]:
        """Return the keys of a mapping."""
        return self._items().keys()

    def each(self) -> list[Node]:
        """
        Return the items of a list. A missing list is empty.

        Raises:
            Unreadable: The value is not a list.
        """
        if self.value is None:
            return []
        if not isinstance(self.value, list):
            raise self.wrong("a list")
        return self.value

    def text(self) -> str:
        """
        Return a text. A missing text is empty.

        Raises:
            Unreadable: The value is not a text.
        """
        if isinstance(self.value, (bool, int, float)):
            raise self.wrong("text. Put the value in quotes")
        return self.shown()

    def shown(self) -> str:
        """
        Return a scalar as text. For fields that also accept numbers, such as a port.

        Raises:
            Unreadable: The value is a list or a mapping.
        """
        if isinstance(self.value, (dict, list)):
            raise self.wrong("text")
        if isinstance(self.value, bool):
            return str(self.value).lower()
        return "" if self.value is None else str(self.value)

    def number(self, default: float) -> float:
        """
        Return a number.

        Args:
            default: The result for a missing number.

        Raises:
            Unreadable: The value is not a number of 64 bits.
        """
        if self.value is None:
            return default
        if isinstance(self.value, bool) or not isinstance(self.value, (int, float)):
            raise self.wrong("a number")
        if not -(2**63) <= self.value < 2**63:  # NaN fails too
            raise self.wrong("a number of 64 bits")
        return self.value

    def plain(self) -> Any:
        """Return the value without the places, as plain lists, dicts and scalars."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def _items(self) -> dict[str, Node]:
        if self.value is None:
            return {}
        if not isinstance(self.value, dict):
            raise self.wrong("a mapping")
        return self.value

    def wrong(self, wanted: str) -> Unreadable:
        """Return the error for a value of a wrong type."""
        line = f"line {self.line}: " if self.line else ""
        is_root = self.path == "$"
        what = "the document" if is_root else self.path.removeprefix("$.").removeprefix("$")
        return Unreadable(f"{line}{what} must be {wanted}")


def digits(text: str) -> int | None:
    """Return the number in a text of at most 9 digits. None for any other text."""
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None


def duration(text: str) -> float | None:
    """Return the seconds in an argument of `sleep` or `timeout`, such as `5`, `.5` or `2m`."""
    found = _DURATION.fullmatch(text)
    return float(found[1]) * _UNITS[found[2]] if found else None


def step(path: str, key: str) -> str:
    """Return the path of a key under a path."""
    return f"{path}.{key}" if _PLAIN.fullmatch(key) else f"{path}['{key}']"


class Budget:
    """
    The number of values that a document may have.

    Args:
        written: Number of values in the text. Aliases may add up to `MAX_ALIASED` values.
    """

    def __init__(self, written: int = MAX_NODES) -> None:
        self._left = min(written + MAX_ALIASED, MAX_NODES)
        self._limit = (
            f"more than {MAX_NODES:,} values"
            if self._left == MAX_NODES
            else f"its aliases repeat more than {MAX_ALIASED:,} values"
        )

    def spend(self, depth: int) -> None:
        """
        Count one more value.

        Args:
            depth: Depth of the value, from 0.

        Raises:
            Unreadable: The document has too many values, or is too deep.
        """
        self._left -= 1
        if self._left < 0:
            raise Unreadable(self._limit)
        if depth > MAX_DEPTH:
            raise Unreadable(f"nested deeper than {MAX_DEPTH}, or an alias contains itself")


def from_plain(value: Any, path: str = "$", depth: int = 0, budget: Budget | None = None) -> Node:
    """
    Turn plain lists, dicts and scalars into nodes. Their lines are not known.

    Args:
        value: The plain value.
        path: Path of the value.
        depth: Depth of the value, from 0.
        budget: The number of values that are still allowed.

    Raises:
        Unreadable: The value is too deep or too large.
    """
    budget = budget or Budget()
    budget.spend(depth)
    if isinstance(value, dict):
        value = {
            str(key): from_plain(each, step(path, str(key)), depth + 1, budget)
            for key, each in value.items()
        }
    elif isinstance(value, list):
        value = [
            from_plain(each, f"{path}[{at}]", depth + 1, budget) for at, each in enumerate(value)
        ]
    return Node(value, path)
