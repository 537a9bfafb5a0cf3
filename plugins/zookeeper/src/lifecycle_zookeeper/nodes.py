"""The nodes that are written and read, and the steps of a transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias


@dataclass(frozen=True)
class Node:
    """
    A node that ends with the session of this process.

    Attributes:
        path: The path.
        data: The data.
        is_same_address: Whether the data of another node at this path are of the same host and
            port. The owner of such a node is dead, because this process has its port now.
    """

    path: str
    data: bytes
    is_same_address: Callable[[bytes], bool] = field(default=lambda _: False, compare=False)


class Found(NamedTuple):
    """
    A node on the server.

    Attributes:
        data: The data.
        version: How often the data were set.
        owner: The session that the node ends with, or 0.
    """

    data: bytes
    version: int
    owner: int


class Create(NamedTuple):
    """Create a node that ends with this session."""

    path: str
    data: bytes


class Delete(NamedTuple):
    """Delete a node of this version."""

    path: str
    version: int


class Change(NamedTuple):
    """Set the data of a node of this version."""

    path: str
    data: bytes
    version: int


Step: TypeAlias = Create | Delete | Change


class NotAsFoundError(Exception):
    """
    A node has changed since it was read.

    Args:
        missing: Whether a node, or the one above it, is missing.
    """

    def __init__(self, *, missing: bool = False) -> None:
        super().__init__("a node has changed since it was read")
        self.missing = missing
