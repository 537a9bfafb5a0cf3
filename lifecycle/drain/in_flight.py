"""Counts work in flight, and notices requests that arrive during a drain."""

from __future__ import annotations

import asyncio
import math
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Self

from lifecycle.calls.app_loop import AppLoop
from lifecycle.drain.elsewhere import Elsewhere, Nowhere
from lifecycle.drain.health_checks import MONITORS
from lifecycle.drain.work_names import TRACKED, WorkEntry, most, shown
from lifecycle.exceptions import explained
from lifecycle.process_globals import PROCESS
from lifecycle.status_records import WorkerStatus

AGENTS_KEPT: Final = 100
"""User agents that a report stores at most, because clients choose them."""
LOOK_AGAIN: Final = 0.05
"""Seconds until the next check of an accept queue that is not empty, if checks are cheap."""
RARELY: Final = 20
"""A more expensive check is repeated only after this many times its duration."""


class Traffic:
    """
    Counts the work in flight. For the control loop, except methods for any thread, as documented.

    `entries` has the work with a name. `nameless` only counts the work without a name. Their
    operations are atomic, so that threads need no lock.

    Args:
        clock: A monotonic clock, in seconds.
        ignored: More user agents (by prefix) and paths (`/…`) whose requests do not count.
    """

    def __init__(self, clock: Callable[[], float], ignored: tuple[str, ...] = ()) -> None:
        self.clock = clock
        self._agents = MONITORS + tuple(word for word in ignored if not word.startswith("/"))
        self._paths = frozenset(word for word in ignored if word.startswith("/"))
        self.entries: dict[object, WorkEntry] = {}
        self.nameless: deque[None] = deque()
        self.late: dict[object, WorkEntry] = {}
        """Work without a name that came after the drain start, which may still be refused."""
        self._wake: Callable[[], object] = lambda: None
        self._changed: asyncio.Event | None = None
        self._arrived_at = -math.inf
        self._deaf = False
        self.disturbers: Counter[str] = Counter()
        self.in_use = False
        """True once something counts work: a middleware was made, or `track` was used."""
        self.draining = False
        """True from the drain start on, permanently."""
        self.ended = False
        """True once the `Lifecycle` of this traffic has ended."""
        self.elsewhere: Elsewhere = Nowhere()
        """The traffic of other processes."""
        self.workers: Callable[[], list[WorkerStatus]] = list
        """Returns the workers as `/status` shows them. From any thread."""
        self._tracker = Tracker(self)

    @property
    def in_flight(self) -> int:
        """The number of pieces of work in flight. From any thread."""
        own = len(self.nameless) + len(self.late) + len(self.entries)
        return own + self.elsewhere.in_flight()

    def names(self) -> list[str]:
        """Return the names of the most frequent kinds of work in flight. From any thread."""
        own = most(self.entries.copy().values(), len(self.nameless) + len(self.late))
        return own + self.elsewhere.names()

    def claim(self) -> None:
        """Take over a middleware that was made before the start."""
        self.in_use, PROCESS.middleware_made = self.in_use or PROCESS.middleware_made, False

    def track(self, agent: str = "", path: str = "", method: str = "") -> Tracker:
        """
        Return a context manager that counts one piece of work. From any thread.

        Args:
            agent: The user agent. Known probes do not restart the quiet period.
            path: The path.
            method: The HTTP method.

        Raises:
            TypeError: An argument is not text.
        """
        self.in_use = True
        if agent or path or method:
            agent, path, method = words = agent or "", path or "", method or ""
            for word in words:
                if not isinstance(word, str):
                    raise explained(
                        TypeError(f"track: {word!r} is not text. Use str({word!r})."),
                        see="work-without-a-name",
                    )
            return Work(self, self.entries, agent, path, method)
        return Work(self, self.late) if self.draining else self._tracker

    def watch(self, wake: Callable[[Callable[[], object]], object], since: float) -> None:
        """
        Start to notice requests, and the end of each piece of work. Called at the drain start.

        Args:
            wake: Runs a function on the control loop, from any thread.
            since: The time at which the quiet period starts if no request comes.
        """
        changed = self._changed = asyncio.Event()
        self._wake = lambda: wake(changed.set)
        self._arrived_at = since
        self.elsewhere.begin()
        self.draining = True

    def arrived(self, agent: str = "", path: str = "", at: float | None = None) -> None:
        """
        Store a request while draining, unless it is from a probe or scraper. From any thread.

        Args:
            agent: The user agent of the request.
            path: The path of the request.
            at: The time of the request. None means now.
        """
        if self._deaf or path in self._paths or (agent and agent.startswith(self._agents)):
            return
        self._arrived_at = max(self._arrived_at, self.clock() if at is None else at)
        known = shown(agent) or "(no user agent)"
        if len(self.disturbers) >= AGENTS_KEPT and known not in self.disturbers:
            known = "(others)"
        self.disturbers[known] += 1

    def left(self) -> None:
        """Handle the end of a piece of work while draining. From any thread."""
        if not self.in_flight:
            self._wake()

    async def gone(
        self,
        *,
        not_before: Callable[[], float],
        quiet: float,
        app: AppLoop,
        queued: Callable[[], int] = lambda: 0,
    ) -> None:
        """
        Wait until no work is in flight and no request has come for `quiet` seconds.

        While the app's loop is blocked, it does not notice requests. So only the time counts in
        which the loop runs, and at the end the loop looks once more at its sockets.

        Args:
            not_before: Returns the earliest time for the end of this wait.
            quiet: The quiet period in seconds.
            app: The loop that notices requests.
            queued: Returns the number of clients in the accept queue.
        """
        look: _Look | None = None
        while True:
            self._watched().clear()
            waived = math.isinf(self._arrived_at)
            over_at = max(not_before(), self._since(app) + quiet)
            left = over_at - self.clock()
            timeout = None  # while work is in flight, only its end matters
            if self.in_flight:
                look = None
            elif 0 < left < math.inf:
                look, timeout = None, left
            elif not waived and self.elsewhere.seen_until() < over_at:
                look = None  # the next look wakes this loop
            elif left <= 0 and (waived or (look is not None and look.over)):
                began = self.clock()
                if waived or not queued():
                    return
                look, timeout = None, max(LOOK_AGAIN, (self.clock() - began) * RARELY)
            elif look is None or look.over:
                look = _Look(app, self._wake)
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._watched().wait()

    def _since(self, app: AppLoop) -> float:
        """Return the start of the current quiet period."""
        if math.isinf(self._arrived_at):
            return self._arrived_at
        there = self.elsewhere
        return max(self._arrived_at, app.awake_since(), there.arrived_at(), there.awake_since())

    async def nothing_in_flight(self) -> None:
        """Wait until nothing is in flight."""
        while True:
            self._watched().clear()
            if not self.in_flight:
                return
            await self._watched().wait()

    def _watched(self) -> asyncio.Event:
        if self._changed is None:
            raise RuntimeError("call watch() first")
        return self._changed

    def end(self) -> None:
        """Handle the end of the `Lifecycle`, perhaps without a drain. From any thread."""
        self.draining = self.ended = True

    def forget_arrivals(self) -> None:
        """End the quiet period at once. Further requests do not matter, because main has ended."""
        self._deaf = True
        self._arrived_at = -math.inf

    def last_disturbers(self) -> list[str]:
        """Return the most frequent clients while draining, as `user agent (count)`."""
        counts = Counter(self.disturbers.copy())  # other threads continue to count
        own = [f"{agent} ({count})" for agent, count in counts.most_common(5)]
        return own + self.elsewhere.disturbers()

    def nudge(self) -> None:
        """Let `gone` check again. For the control loop."""
        if self._changed is not None:
            self._changed.set()


class _Look:
    """One look of the app's loop at its sockets."""

    def __init__(self, app: AppLoop, wake: Callable[[], object]) -> None:
        self.over = False
        self._wake = wake
        if not app.come_round(self._done):
            self._done()

    def _done(self) -> None:
        self.over = True
        self._wake()


class Tracker:
    """Counts work without a name. It has no state, so one object is enough for all work."""

    __slots__ = ("_add", "_remove", "_traffic")

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._add = traffic.nameless.append
        self._remove = traffic.nameless.pop

    def __enter__(self) -> Self:
        self._add(None)
        if self._traffic.draining:
            self._traffic.arrived(f"({TRACKED})")
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()
        if self._traffic.draining:
            self._traffic.left()

    def sent_away(self) -> None:
        """Report that the work is refused or ends at once because the app is draining."""


class Work(Tracker):
    """
    One piece of work that has a name, or that came after the drain start.

    While the work is in flight, the drain waits for it anyway. So its request is counted at its
    end, when it is known whether the work was refused.
    """

    __slots__ = ("_among", "_since", "agent", "method", "path")

    def __init__(
        self,
        traffic: Traffic,
        among: dict[object, WorkEntry],
        agent: str = "",
        path: str = "",
        method: str = "",
    ) -> None:
        self._traffic = traffic
        self._among = among
        self._since: float | None = None
        self.agent = agent
        self.path = path
        self.method = method

    def __enter__(self) -> Self:
        if self._traffic.draining:
            self._since = self._traffic.clock()
        self._among[self] = self
        return self

    def __exit__(self, *_: object) -> None:
        traffic = self._traffic
        try:
            if self._since is not None:  # while the drain still waits for it
                nameless = self._among is traffic.late
                agent = f"({TRACKED})" if nameless else self.agent
                traffic.arrived(agent, self.path, self._since)
        finally:
            self._leave()

    def _leave(self) -> None:
        traffic = self._traffic
        if self._among.pop(self, None) is not None and traffic.draining:
            traffic.left()

    def sent_away(self) -> None:
        """Report that the work is refused or ends at once because the app is draining."""
        self._since = None
        self._leave()
