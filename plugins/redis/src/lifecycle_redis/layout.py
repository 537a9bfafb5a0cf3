"""The interface of a layout, which has the keys of entries and the commands that write them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import lifecycle

Command: TypeAlias = tuple[str | int, ...]
"""A command of Redis, with its arguments."""

GONE, OURS, FOREIGN = 0, 1, 2
"""What a refresh has found for one entry."""


@dataclass(frozen=True)
class Entry:
    """
    One service in the registry.

    Attributes:
        service: The name of the service.
        key: The key in Redis.
        value: The value that is written. In the layout `dubbo`, the field.
        address: A part of the value that only entries of the same host and port have.
    """

    service: str
    key: str
    value: str
    address: str


class Layout(Protocol):
    """How entries are written. All functions are pure, except for the clock and the owner."""

    def probe(self) -> Command:
        """Return a write that changes nothing."""

    def entry(self, instance: lifecycle.Instance) -> Entry:
        """
        Return the entry of a service.

        Raises:
            RegistrationRefused: The layout cannot hold this service.
        """

    def put(self, entry: Entry, *, take_over: bool) -> Command:
        """
        Return the command that writes an entry and tells clients.

        The answer is nothing, or the entry of another owner that is in the way.

        Args:
            entry: The entry.
            take_over: Whether to replace an entry of another owner that has the same host and
                port. Such an owner is dead, because this process has its port now.
        """

    def refresh(self, entries: Sequence[Entry]) -> Command:
        """Return the command that renews entries. It returns GONE, OURS or FOREIGN for each."""

    def remove(self, entry: Entry) -> Command:
        """Return the command that removes an entry, if it is ours, and tells clients."""
