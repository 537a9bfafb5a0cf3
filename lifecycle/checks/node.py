"""A manifest's values, each of which knows where it stands."""

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
    A value in a manifest, or the place where it would be.

    Attributes:
        value: A dict or list of nodes, a scalar, or None.
        path: From the document's root, as JSON path writes it.
        line: Of the file, from 1; None if it is not known.
        repeated: Of a mapping, the keys that were written before with the value that did not last.
    """

    value: Any = None
    path: str = "$"
    line: int | None = None
    repeated: tuple[tuple[str, Node], ...] = ()

    def __bool__(self) -> bool:
        return self.value is not None

    def at(self, *keys: str) -> Node:
        """Return what is under some keys; a node without a value if there is nothing."""
        node = self
        for key in keys:
            node = node._items().get(key) or Node(None, step(node.path, key), node.line)
        return node

    def keys(self) -> Iterable[str]:
        """Return the keys of a mapping."""
        return self._items().keys()

    def each(self) -> list[Node]:
        """Return the items of a list; none if it is not there."""
        if self.value is None:
            return []
        if not isinstance(self.value, list):
            raise self.wrong("a list")
        return self.value

    def text(self) -> str:
        """Return text; empty if it is not there."""
        if isinstance(self.value, (bool, int, float)):
            raise self.wrong("text: put it in quotes")
        return self.shown()

    def shown(self) -> str:
        """Return a scalar as text, also where Kubernetes takes a number: a port, a percentage."""
        if isinstance(self.value, (dict, list)):
            raise self.wrong("text")
        if isinstance(self.value, bool):
            return str(self.value).lower()
        return "" if self.value is None else str(self.value)

    def number(self, default: float) -> float:
        """Return a number."""
        if self.value is None:
            return default
        if isinstance(self.value, bool) or not isinstance(self.value, (int, float)):
            raise self.wrong("a number")
        if not -(2**63) <= self.value < 2**63:  # NaN is not, either
            raise self.wrong("a number of 64 bits")
        return self.value

    def plain(self) -> Any:
        """Return the value without the places."""
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
        """Return the error that says what it must be."""
        line = f"line {self.line}: " if self.line else ""
        what = "it" if self.path == "$" else self.path.removeprefix("$.").removeprefix("$")
        return Unreadable(f"{line}{what} must be {wanted}")


def digits(text: str) -> int | None:
    """Return a count written in digits; None if it is none."""
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None


def duration(text: str) -> float | None:
    """Return the seconds of what `sleep` and `timeout` take: `5`, `.5`, `2m`; None if it is none."""
    found = _DURATION.fullmatch(text)
    return float(found[1]) * _UNITS[found[2]] if found else None


def step(path: str, key: str) -> str:
    """Return the path of a key under a path."""
    return f"{path}.{key}" if _PLAIN.fullmatch(key) else f"{path}['{key}']"


class Budget:
    """
    How much a document may hold.

    Args:
        written: How many values stand in it; its aliases may add `MAX_ALIASED` to them.
    """

    def __init__(self, written: int = MAX_NODES) -> None:
        self._left = min(written + MAX_ALIASED, MAX_NODES)
        self._limit = (
            f"more than {MAX_NODES:,} values"
            if self._left == MAX_NODES
            else f"its aliases repeat more than {MAX_ALIASED:,} values"
        )

    def spend(self, depth: int) -> None:
        """Count one more value."""
        self._left -= 1
        if self._left < 0:
            raise Unreadable(self._limit)
        if depth > MAX_DEPTH:
            raise Unreadable(f"nested deeper than {MAX_DEPTH}, or an alias that contains itself")


def from_plain(value: Any, path: str = "$", depth: int = 0, budget: Budget | None = None) -> Node:
    """
    Make nodes of what JSON gives: they know their paths and no lines.

    Raises:
        Unreadable: It is too deep or too large.
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
