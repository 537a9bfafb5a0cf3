"""The traffic of other processes, such as the workers of a command, for the drain."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from operator import attrgetter
from typing import Final, NamedTuple, Protocol

from lifecycle.drain.counts import Totals
from lifecycle.drain.late_arrivals import ArrivalStatus


class Ended(NamedTuple):
    """
    The work that ended last in a drain.

    Attributes:
        at: The time of its end.
        name: Its name.
        age: How many seconds it took.
    """

    at: float
    name: str
    age: float


class Seen(NamedTuple):
    """
    A piece of work as it was seen at some time.

    Attributes:
        since: The time at which the work started.
        name: Its name, without its client.
        agent: The user agent of its client, or empty.
        worker: The id of its process, or 0 if this is unknown.
        protocol: Its protocol, or empty if this is unknown.
        stack: The lines at which it stands, innermost last. Empty if they are not known.
        line: The innermost of these lines that belongs to the app, or else the innermost one.
        pieces: How many pieces of work it stands for.
    """

    since: float
    name: str
    agent: str = ""
    worker: int = 0
    protocol: str = ""
    stack: Sequence[str] = ()
    line: str = ""
    pieces: int = 1


by_age: Final = attrgetter("since")
"""Sorts work, the oldest first."""


def some_of(known: Sequence[Seen], many: int) -> Seen:
    """Return one entry for requests of which some have ended. It is not known which ones."""
    names = ", ".join(dict.fromkeys(each.name for each in known))
    told = f"{many} of {len(known)} requests: {names}"
    return Seen(known[0].since, told, worker=known[0].worker, pieces=many)


class SeenThread(NamedTuple):
    """The stack of a thread, with the id of its process. The innermost line is last."""

    worker: int
    name: str
    stack: Sequence[str]


class View(NamedTuple):
    """
    The answers of other processes.

    Attributes:
        work: The oldest work in flight.
        threads: The threads, if they were requested.
        total: The number of all pieces of work in flight.
    """

    work: Sequence[Seen] = ()
    threads: Sequence[SeenThread] = ()
    total: int = 0


class Reports(Protocol):
    """
    The known traffic of other processes. Used on the control thread, while clients are sent away.

    An implementation calls `Traffic.nudge` when the work in flight has ended and, while clients are
    sent away, at each heartbeat of the processes that notice requests.
    """

    def begin(self) -> None:
        """Handle the drain start."""

    def in_flight(self) -> int:
        """Return the amount of work in flight. From any thread, also before the drain start."""

    def names(self) -> list[str]:
        """Return the names of the most frequent work. From any thread."""

    def arrived_at(self) -> float:
        """Return the time of the last request that counts, or minus infinity."""

    def awake_since(self) -> float:
        """Return the time since which all processes have noticed requests without a pause."""

    def seen_until(self) -> float:
        """Return the time up to which all processes have looked, or infinity without processes."""

    def disturbers(self) -> list[str]:
        """Return the user agents of the clients that came while they were sent away."""

    async def view(self, limit: int, *, stacks: bool) -> View:
        """
        Return the oldest work in flight, as far as the processes answer in time.

        For the control loop. A process that does not answer in time has one entry for all its work.
        """

    async def locate(self) -> None:
        """Store where the work in flight stands, for the report. For the control loop."""

    def cut_off(self) -> Sequence[Seen]:
        """Return the work in flight that is cut off now, and that was cut off before."""

    def last_to_end(self) -> Ended | None:
        """Return the work that ended last while draining, or None."""

    def arrivals(self) -> ArrivalStatus | None:
        """Return what came after the drain start. None if `Traffic` gets each arrival."""

    def totals(self) -> Totals:
        """Return what has come since the start. From any thread."""

    def oldest_at(self) -> float:
        """Return when the oldest work in flight has started. Infinite if there is none."""


class Elsewhere(Reports, Protocol):
    """The traffic of other processes, whose clients can be told to go without a drain."""

    def send_away(self, settles_at: float) -> None:
        """Tell clients to go, because every app service is offline. Idle ones end at that time."""

    def stay(self) -> None:
        """Take `send_away` back."""

    def watched(self) -> AbstractContextManager[bool]:
        """
        Watch for requests while `Traffic.gone` waits, before the drain start.

        Returns:
            A context manager. It gives False if not all requests can be noticed.
        """


class Nowhere:
    """No other process has traffic."""

    def begin(self) -> None:
        """Do nothing."""

    def send_away(self, settles_at: float) -> None:
        """Do nothing."""

    def stay(self) -> None:
        """Do nothing."""

    def watched(self) -> AbstractContextManager[bool]:
        """Return True in the context."""
        return nullcontext(enter_result=True)

    def in_flight(self) -> int:
        """Return 0."""
        return 0

    def names(self) -> list[str]:
        """Return no names."""
        return []

    def arrived_at(self) -> float:
        """Return minus infinity."""
        return -math.inf

    def awake_since(self) -> float:
        """Return minus infinity."""
        return -math.inf

    def seen_until(self) -> float:
        """Return infinity."""
        return math.inf

    def disturbers(self) -> list[str]:
        """Return no clients."""
        return []

    async def view(self, limit: int, *, stacks: bool) -> View:  # noqa: ARG002 - see Elsewhere
        """Return nothing."""
        return View()

    async def locate(self) -> None:
        """Do nothing."""

    def cut_off(self) -> Sequence[Seen]:
        """Return nothing."""
        return ()

    def last_to_end(self) -> Ended | None:
        """Return None."""
        return None

    def arrivals(self) -> None:
        """Return None."""

    def totals(self) -> Totals:
        """Return zeros."""
        return Totals()

    def oldest_at(self) -> float:
        """Return infinity."""
        return math.inf
