"""Pieces of work that the app counts with `track`, from their beginning to their end."""

from __future__ import annotations

import asyncio
import sys
from _thread import get_ident
from _weakref import ref
from collections.abc import Callable
from typing import Any, Final, Protocol, Self

from lifecycle.calls.app_loop import AppLoop
from lifecycle.drain.counts import Count
from lifecycle.drain.late_arrivals import LateArrivals
from lifecycle.drain.work_names import TASK, TRACKED, Where, WorkEntry

_NOBODY: Final = f"({TRACKED})"
"""The client of work that is not a request, in the list of those who delayed the drain."""
_running_loop = asyncio._get_running_loop  # noqa: SLF001 - raises nothing if there is none
# The public function takes twice as long before Python 3.12, where it is written in Python. From
# Python 3.14 on, the private dict does not have the tasks that are written in C.
_tasks = getattr(asyncio.tasks, "_current_tasks", None) if sys.version_info < (3, 14) else None
_task_of: Final[Callable[[Any], asyncio.Task[Any] | None]] = getattr(
    _tasks, "get", asyncio.current_task
)


class Counter(Protocol):
    """The traffic, for one piece of work."""

    clock: Callable[[], float]
    app_loop: AppLoop
    entries: dict[object, WorkEntry]
    again: dict[object, int]
    sends_away: bool
    deaf: bool
    late_arrivals: LateArrivals
    came: Count
    told_to_go: Count

    def is_monitor(self, agent: str, path: str) -> bool:
        """Return whether a request is that of a health check or a scraper."""

    def arrived(self, agent: str = "", path: str = "", at: float | None = None) -> None:
        """Store an arrival while clients are sent away."""

    def left(self, work: WorkEntry, *, cut: bool) -> None:
        """Handle the end of a piece of work while clients are sent away."""

    def gone_again(self) -> None:
        """Handle the end of a piece of work that was refused meanwhile."""


def here(app_loop: AppLoop) -> Where:
    """
    Return the task that runs in this thread, or the number of the thread if it has no loop.

    The app's loop is tried first, because this function runs for every request.
    """
    thread = get_ident()
    if thread == app_loop.running_in:
        task = _task_of(app_loop.loop)
    else:
        loop = _running_loop()
        if loop is None:
            return thread
        task = _task_of(loop)
    return None if task is None else ref(task)


def _is_cut(kind: type[BaseException] | None) -> bool:
    """Return whether work has ended because it was cancelled. Its own errors are answers too."""
    return kind is not None and not issubclass(kind, Exception)


class Work:
    """
    One piece of work without a name, and the base of those with one.

    While the work is in flight, the drain waits for it anyway. So its request is counted at its
    end, when it is known whether the work was refused.
    """

    __slots__ = ("_late", "_unseen", "since", "where")

    agent = path = method = name = protocol = ""
    since: float
    where: Where
    _unseen: bool
    """Set from the start of late work until it is stored in the record, unless it is too early."""
    _traffic: Counter

    def __enter__(self) -> Self:
        traffic = self._traffic
        traffic.came.next()
        entries = traffic.entries
        if self in entries:
            traffic.again[self] = traffic.again.get(self, 0) + 1
            return self
        self._late = traffic.sends_away
        if self._late and not traffic.deaf:
            self._unseen = True
        self.since = traffic.clock()
        app_loop = traffic.app_loop
        if get_ident() == app_loop.running_in and (task := _task_of(app_loop.loop)) is not None:
            self.where = ref(task)  # as `here` finds it, without a call
        else:
            self.where = here(app_loop)
        entries[self] = self
        return self

    def __exit__(self, kind: type[BaseException] | None = None, *_: object) -> None:
        traffic = self._traffic
        if traffic.sends_away or traffic.again:
            self._end(traffic, kind)
        else:
            traffic.entries.pop(self, None)
            if traffic.sends_away:  # since just now
                traffic.left(self, cut=_is_cut(kind))  # type: ignore[unreachable]

    def _end(self, traffic: Counter, kind: type[BaseException] | None) -> None:
        if again := traffic.again.pop(self, 0):
            if again > 1:
                traffic.again[self] = again - 1
            return
        if self not in traffic.entries:
            return
        try:
            self.note()
            if self._late:
                traffic.arrived(self.agent if self._asked else _NOBODY, self.path, self.since)
        finally:
            traffic.entries.pop(self, None)
            if traffic.sends_away:
                traffic.left(self, cut=_is_cut(kind))

    def sent_away(self) -> None:
        """Report that the work is refused or ends at once, because clients are told to go."""
        traffic = self._traffic
        traffic.again.pop(self, None)
        if traffic.entries.pop(self, None) is None:
            return
        self.note()
        if traffic.sends_away:
            traffic.gone_again()

    def told_to_go(self) -> None:
        """Report that the client was told to close the connection of this work, for metrics."""
        self._traffic.told_to_go.next()

    def came_from(self, address: object) -> None:
        """Report the client's end of the connection, as `getpeername` returns it, if known."""
        if self in self._traffic.entries:
            self.note(address)

    def note(self, address: object = None) -> None:
        """Store it in the record of late arrivals, once, unless it is a health check."""
        try:
            del self._unseen  # for one thread only, as the report may store it at the same time
        except AttributeError:
            return
        traffic = self._traffic
        if traffic.is_monitor(self.agent, self.path):
            return
        if self._asked or address is not None:
            traffic.late_arrivals.request(self.since, address)
        else:
            traffic.late_arrivals.work(self.since)

    @property
    def _asked(self) -> bool:
        """Whether it is the request of a client."""
        return bool(self.agent or self.path or self.method)


class NamedWork(Work):
    """One piece of work that has a name. See `Words` for its parts."""

    __slots__ = ("_traffic", "agent", "method", "name", "path", "protocol")

    def __init__(
        self, traffic: Counter, agent: str, path: str, method: str, name: str, protocol: str
    ) -> None:
        self._traffic = traffic
        self.agent, self.path, self.method = agent, path, method
        self.name, self.protocol = name, protocol or ("" if path or method else TASK)


def work_in(traffic: Counter) -> type[Work]:
    """Return a class for work in this traffic. Without `__init__`, it takes a third less time."""
    return type("Work", (Work,), {"__slots__": (), "_traffic": traffic})
