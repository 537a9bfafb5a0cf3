"""What is in flight, and whether anything still arrives."""

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
from lifecycle.process_globals import PROCESS
from lifecycle.status_records import WorkerStatus

AGENTS_KEPT: Final = 100
"""How many user agents a report keeps: strangers choose them."""
LOOK_AGAIN: Final = 0.05
"""Seconds until the next look at a listener whose queue is not empty, if a look costs little."""
RARELY: Final = 20
"""A look that costs more is repeated only after so many times what it cost."""


class Traffic:
    """
    Knows the work in flight. Lives on the control loop; `track`, and what says so, is for any thread.

    `entries` has what has a name, each under a key of its own; what has none is only counted.
    A dict and a deque, because what is done to them is atomic: two threads lose nothing.

    Args:
        clock: Seconds, monotonic.
        ignored: More user agents (by prefix) and paths (`/…`) that do not count as arrivals.
    """

    def __init__(self, clock: Callable[[], float], ignored: tuple[str, ...] = ()) -> None:
        self.clock = clock
        self._agents = MONITORS + tuple(word for word in ignored if not word.startswith("/"))
        self._paths = frozenset(word for word in ignored if word.startswith("/"))
        self.entries: dict[object, WorkEntry] = {}
        self.nameless: deque[None] = deque()
        self.late: dict[object, WorkEntry] = {}
        """Work without a name that has come since T0: each may be sent away."""
        self._wake: Callable[[], object] = lambda: None
        self._changed: asyncio.Event | None = None
        self._arrived_at = -math.inf
        self._deaf = False
        self.disturbers: Counter[str] = Counter()
        self.in_use = False
        """True once something counts: a middleware was made for it, or work was tracked."""
        self.draining = False
        """True from T0 on, and for good."""
        self.ended = False
        """True once the lifecycle whose traffic this is has ended."""
        self.elsewhere: Elsewhere = Nowhere()
        """What other processes serve."""
        self.workers: Callable[[], list[WorkerStatus]] = list
        """Tells, from any thread, what `/status` shows of each of them."""
        self._tracker = Tracker(self)

    @property
    def in_flight(self) -> int:
        """How many pieces of work are under way; from any thread."""
        own = len(self.nameless) + len(self.late) + len(self.entries)
        return own + self.elsewhere.in_flight()

    def names(self) -> list[str]:
        """Name the most frequent kinds of work in flight; from any thread."""
        own = most(self.entries.copy().values(), len(self.nameless) + len(self.late))
        return own + self.elsewhere.names()

    def claim(self) -> None:
        """Take over, at the start, the middleware that was made before."""
        self.in_use, PROCESS.middleware_made = self.in_use or PROCESS.middleware_made, False

    def track(self, agent: str = "", path: str = "", method: str = "") -> Tracker:
        """
        Return what counts one piece of work for as long as it is entered.

        Args:
            agent: The user agent of who asks for it: a probe does not disturb the quiet.
            path: What it asks for.
            method: How it asks.

        Raises:
            TypeError: One of them is not text.
        """
        self.in_use = True
        if agent or path or method:
            agent, path, method = words = agent or "", path or "", method or ""
            for word in words:
                if not isinstance(word, str):
                    raise TypeError(f"track: {word!r} is not text: write str({word!r})")
            return Work(self, self.entries, agent, path, method)
        return Work(self, self.late) if self.draining else self._tracker

    def watch(self, wake: Callable[[Callable[[], object]], object], since: float) -> None:
        """
        From T0 on: notice arrivals, and the end of each piece of work.

        Args:
            wake: Runs a function on the control loop, from any thread.
            since: When the quiet begins if nothing arrives.
        """
        changed = self._changed = asyncio.Event()
        self._wake = lambda: wake(changed.set)
        self._arrived_at = since
        self.elsewhere.begin()
        self.draining = True

    def arrived(self, agent: str = "", path: str = "", at: float | None = None) -> None:
        """
        Note an arrival while draining, unless it is a probe's or a scraper's; any thread.

        Args:
            agent: The user agent of who has come.
            path: What it asks for.
            at: When it came; now otherwise.
        """
        if self._deaf or path in self._paths or (agent and agent.startswith(self._agents)):
            return
        self._arrived_at = max(self._arrived_at, self.clock() if at is None else at)
        known = shown(agent) or "(no user agent)"
        if len(self.disturbers) >= AGENTS_KEPT and known not in self.disturbers:
            known = "(others)"
        self.disturbers[known] += 1

    def left(self) -> None:
        """Note the end of a piece of work while draining; any thread."""
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
        Wait until nothing is in flight and nothing has arrived for `quiet` seconds.

        While the app's loop is blocked nobody is seen arriving. So only time in which it comes
        round counts, and at the end it has once more looked at what waits in its sockets.

        Args:
            not_before: Tells the time before which it is too early in any case.
            quiet: Seconds.
            app: The loop on which arrivals are noticed.
            queued: Tells how many clients wait to be accepted.
        """
        look: _Look | None = None
        while True:
            self._watched().clear()
            waived = math.isinf(self._arrived_at)
            over_at = max(not_before(), self._since(app) + quiet)
            left = over_at - self.clock()
            timeout = None  # with work in flight only its end can change the answer
            if self.in_flight:
                look = None
            elif 0 < left < math.inf:
                look, timeout = None, left
            elif not waived and self.elsewhere.seen_until() < over_at:
                look = None  # whoever looks next wakes us
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
        """Return since when it is quiet."""
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
            raise RuntimeError("watch() comes first")
        return self._changed

    def end(self) -> None:
        """Take note that the lifecycle has ended, perhaps without a drain; from any thread."""
        self.draining = self.ended = True

    def forget_arrivals(self) -> None:
        """Let the quiet be reached, and stay so: who arrives now finds nobody any more."""
        self._deaf = True
        self._arrived_at = -math.inf

    def last_disturbers(self) -> list[str]:
        """Return who has arrived most often while draining: `user agent (count)`."""
        counts = Counter(self.disturbers.copy())  # other threads go on counting
        own = [f"{agent} ({count})" for agent, count in counts.most_common(5)]
        return own + self.elsewhere.disturbers()

    def nudge(self) -> None:
        """Have `gone` look again; on the control loop."""
        if self._changed is not None:
            self._changed.set()


class _Look:
    """One look of the app's loop at what waits in its sockets."""

    def __init__(self, app: AppLoop, wake: Callable[[], object]) -> None:
        self.over = False
        self._wake = wake
        if not app.come_round(self._done):
            self._done()

    def _done(self) -> None:
        self.over = True
        self._wake()


class Tracker:
    """Counts all work without a name: it has no state, so one serves it all, and none is allocated."""

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
        """Say that who came is sent away at once: that disturbs no quiet, and is not waited for."""


class Work(Tracker):
    """
    One piece of work that has a name, or has come since T0.

    While it is in flight the drain waits for it anyway. So its arrival is noted at its end, when
    it is known whether it was sent away.
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
            if self._since is not None:  # before it is no longer waited for
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
        """Say that who came is sent away at once: that disturbs no quiet, and is not waited for."""
        self._since = None
        self._leave()
