"""Counts work in flight, and notices requests that arrive while clients are sent away."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeAlias

from lifecycle.calls.app_loop import AppLoop
from lifecycle.calls.moment import Moment
from lifecycle.drain.counts import Count, Totals
from lifecycle.drain.elsewhere import Elsewhere, Ended, Nowhere
from lifecycle.drain.health_checks import MONITORS
from lifecycle.drain.late_arrivals import UNKNOWN, ArrivalStatus, LateArrivals
from lifecycle.drain.work import NamedWork, Work, work_in
from lifecycle.drain.work_names import WorkEntry, most, name_of, shown, since, words
from lifecycle.exceptions import explained
from lifecycle.process_globals import PROCESS
from lifecycle.status_records import WorkerStatus

AGENTS_KEPT: Final = 100
"""User agents that a report stores at most, because clients choose them."""
LOOK_AGAIN: Final = 0.05
"""Seconds until the next check of an accept queue that is not empty, if checks are cheap."""
RARELY: Final = 20
"""A more expensive check is repeated only after this many times its duration."""


Wake: TypeAlias = Callable[[Callable[[], object]], object]
"""Runs a function on the control loop, from any thread."""


class Traffic:
    """
    Counts the work in flight. For the control loop, except methods for any thread, as documented.

    `entries` has each piece of work, the oldest first. Its operations are atomic, so that threads
    need no lock.

    Args:
        clock: A monotonic clock, in seconds.
        ignored: More user agents (by prefix) and paths (`/…`) whose requests do not count.
        app_loop: The app's loop, whose tasks do the work.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        ignored: tuple[str, ...] = (),
        app_loop: AppLoop | None = None,
    ) -> None:
        self.clock = clock
        self.app_loop = app_loop or AppLoop(clock)
        self._agents = MONITORS + tuple(word for word in ignored if not word.startswith("/"))
        self._paths = frozenset(word for word in ignored if word.startswith("/"))
        self.entries: dict[object, WorkEntry] = {}
        self.again: dict[object, int] = {}
        """How many more times an object that counts work is in use, if it is used several times."""
        self._ended: tuple[WorkEntry, float] | None = None
        """The work that ended last while draining, and its end."""
        self.interrupted: dict[int, WorkEntry] = {}
        """The work that has ended with an exception since main was cancelled, by its id."""
        self._cancelled = False
        self.came = Count()
        """The requests and other pieces of work that have come to this process."""
        self.told_to_go = Count()
        """The connections of this process that were told to close."""
        self._wake: Callable[[], object] = lambda: None
        self._changed: asyncio.Event | None = None
        self._watched_since = -math.inf
        self._arrived_at = -math.inf
        self.deaf = False
        """True once main has ended, so that further requests do not matter."""
        self.disturbers: Counter[str] = Counter()
        self.late_arrivals = LateArrivals(clock)
        self.in_use = False
        """True once something counts work: a middleware was made, or `track` was used."""
        self.sends_away = False
        """
        True while clients are told to go: from the drain start on, permanently, and while every app
        service is offline. Requests and ends of work are then noticed.
        """
        self.settled: Moment[None] = Moment()
        """Happens when `settle` has passed since then. Replaced when clients may stay again."""
        self.ends_idle = False
        """True once this has happened. Idle connections are then closed as they come."""
        self.draining = False
        """True from the drain start on, permanently."""
        self.ended = False
        """True once the `Lifecycle` of this traffic has ended."""
        self.elsewhere: Elsewhere = Nowhere()
        """The traffic of other processes."""
        self.workers: Callable[[], list[WorkerStatus]] = list
        """Returns the workers as `/status` shows them. From any thread."""
        self.nameless = work_in(self)
        """Makes an object that counts one piece of work without a name."""

    @property
    def in_flight(self) -> int:
        """The number of pieces of work in flight. From any thread."""
        own = len(self.entries) + (sum(self.again.copy().values()) if self.again else 0)
        return own + self.elsewhere.in_flight()

    @property
    def of_a_command(self) -> bool:
        """Whether the work is that of a command, in other processes. From any thread."""
        return not isinstance(self.elsewhere, Nowhere)

    @property
    def totals(self) -> Totals:
        """The totals of all processes since the start. From any thread."""
        there = self.elsewhere.totals()
        own = Totals(self.came.value, self.told_to_go.value)
        return Totals(own.requests + there.requests, own.told_to_go + there.told_to_go)

    def oldest(self) -> float | None:
        """Return the age in seconds of the oldest work in flight, or None. From any thread."""
        own = next(map(since, self.entries.copy().values()), math.inf)
        oldest = min(own, self.elsewhere.oldest_at())
        return None if math.isinf(oldest) else max(0.0, self.clock() - oldest)

    def names(self) -> list[str]:
        """Return the names of the most frequent kinds of work in flight. From any thread."""
        return most(map(words, self.entries.copy().values())) + self.elsewhere.names()

    def claim(self) -> None:
        """Take over a middleware that was made before the start."""
        self.in_use, PROCESS.middleware_made = self.in_use or PROCESS.middleware_made, False

    def track(
        self, agent: str = "", path: str = "", method: str = "", name: str = "", protocol: str = ""
    ) -> Work:
        """
        Return a context manager that counts one piece of work. From any thread.

        Args:
            agent: The user agent. Known probes do not restart the quiet period.
            path: The path.
            method: The HTTP method.
            name: The name to show instead of the method and the path.
            protocol: The protocol to show.

        Raises:
            TypeError: An argument is not text.
        """
        self.in_use = True
        if not (agent or path or method or name or protocol):
            return self.nameless()
        given = [agent or "", path or "", method or "", name or "", protocol or ""]
        for word in given:
            if not isinstance(word, str):
                raise explained(
                    TypeError(f"track: {word!r} is not text. Use str({word!r})."),
                    see="work-without-a-name",
                )
        given[1] = given[1].partition("?")[0]  # a query may have secrets
        return NamedWork(self, *given)

    def send_away(self, wake: Wake, settles_at: float) -> None:
        """
        Tell clients to go, because every app service is offline. `stay` takes it back.

        From now on, requests and the end of each piece of work are noticed.

        Args:
            wake: Runs a function on the control loop, from any thread.
            settles_at: When idle connections start to be closed.
        """
        self._watch(wake, self.clock())
        self.elsewhere.send_away(settles_at)
        self.sends_away = True

    def stay(self) -> None:
        """Stop telling clients to go, because an app service is online again."""
        self.ends_idle = False  # first: a client that is not told keeps its connection
        self.sends_away = False
        self.elsewhere.stay()
        if self.settled.happened:
            self.settled = Moment()

    def settle(self) -> None:
        """End what is idle from now on, because `settle` has passed since clients were told."""
        self.ends_idle = True
        self.settled.set(None)

    def watch(self, wake: Wake, since: float) -> None:
        """
        Start to notice requests, and the end of each piece of work. Called at the drain start.

        Args:
            wake: Runs a function on the control loop, from any thread.
            since: The time at which the quiet period starts if no request comes.
        """
        self._watch(wake, since)
        self._ended = None
        self.elsewhere.begin()
        self.sends_away = self.draining = True

    def _watch(self, wake: Wake, since: float) -> None:
        changed = self._changed = self._changed or asyncio.Event()
        self._wake = lambda: wake(changed.set)
        self._arrived_at = since
        self._watched_since = self.clock() if math.isinf(since) else since
        self.disturbers.clear()

    def arrived(self, agent: str = "", path: str = "", at: float | None = None) -> None:
        """
        Store a request, unless it is from a probe or scraper. From any thread.

        Args:
            agent: The user agent of the request.
            path: The path of the request.
            at: The time of the request. None means now.
        """
        if at is not None and at < self._watched_since:  # it came before the drain start
            return
        if self.deaf or self.is_monitor(agent, path):
            return
        self._arrived_at = max(self._arrived_at, self.clock() if at is None else at)
        known = shown(agent) or "(no user agent)"
        if len(self.disturbers) >= AGENTS_KEPT and known not in self.disturbers:
            known = "(others)"
        self.disturbers[known] += 1

    def is_monitor(self, agent: str, path: str) -> bool:
        """Return whether a request is that of a health check or a scraper."""
        return path in self._paths or bool(agent and agent.startswith(self._agents))

    def left(self, work: WorkEntry, *, cut: bool) -> None:
        """
        Handle the end of a piece of work while clients are sent away. From any thread.

        Args:
            work: The work.
            cut: Whether it was cancelled.
        """
        named = words(work)
        if self._cancelled and cut:
            self.interrupted[id(work)] = work
        elif not self.is_monitor(named.agent, named.path):
            self._ended = work, self.clock()
        self.gone_again()

    def gone_again(self) -> None:
        """Handle the end of a piece of work that does not count as work, because it was refused."""
        if not self.in_flight:
            self._wake()

    def last_to_end(self) -> Ended | None:
        """Return the work that ended last while draining, or None."""
        there, own = self.elsewhere.last_to_end(), None
        if self._ended is not None:
            work, at = self._ended
            own = Ended(at, name_of(words(work)), at - since(work))
        return max((each for each in (own, there) if each is not None), default=None)

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
        self.sends_away = self.draining = self.ended = True

    def cancels(self) -> None:
        """Note that main is cancelled now. Work that ends with an exception is then cut off."""
        self._cancelled = True

    def forget_arrivals(self) -> None:
        """End the quiet period at once. Further requests do not matter, because main has ended."""
        self.deaf = True
        self._arrived_at = -math.inf

    def last_disturbers(self) -> list[str]:
        """Return the most frequent clients since the drain start, as `user agent (count)`."""
        counts = Counter(self.disturbers.copy())  # other threads continue to count
        own = [f"{agent} ({count})" for agent, count in counts.most_common(5)]
        return own + self.elsewhere.disturbers()

    def arrivals(self) -> ArrivalStatus:
        """Return what came after the drain start. For the control loop."""
        seen = self.elsewhere.arrivals()
        if seen is None:
            seen = self.late_arrivals.status() if self.in_use else UNKNOWN
        return seen

    def note_unfinished(self) -> None:
        """Store the requests for the report that came after the drain start, and still run."""
        for each in self.entries.copy().values():
            if isinstance(each, Work):
                each.note()

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
