"""A set of the objects for which a condition is true."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Generic, TypeVar

T = TypeVar("T")


class Those(Generic[T]):
    """A set that keeps the order of adding: the objects for which a condition is true."""

    def __init__(self) -> None:
        self._those: dict[T, None] = {}

    def note(self, one: T, *, so: bool) -> None:
        """Set whether the condition is true for an object."""
        if so:
            self._those.setdefault(one)
        else:
            self._those.pop(one, None)

    def __len__(self) -> int:
        return len(self._those)

    def __iter__(self) -> Iterator[T]:
        """Iterate over the objects as they are now. The set may change meanwhile."""
        return iter([*self._those])

    def first(self, most: int) -> list[T]:
        """Return the first objects, `most` at the most."""
        return list(islice(self._those, most))
