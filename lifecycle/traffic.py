"""What is in flight, and whether anything still arrives."""

from __future__ import annotations

import asyncio
import math
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from typing import ClassVar, Final

from lifecycle.guest import Guest

PROBERS: Final = (
    "kube-probe/",
    "kube-lifecycle/",
    "GoogleHC/",
    "ELB-HealthChecker/",
    "Azure Traffic Manager",
    "Load Balancer Agent",
    "DigitalOcean Uptime Probe",
    "Envoy/HC",
    "Prometheus/",
    "vm_promscrape",
    "OpenTelemetry Collector",
    "Consul Health Check",
    "HAProxy",
    "Blackbox Exporter/",
    "Datadog Agent/",
)
"""User agents (by prefix) of who only looks whether we are there: they do not disturb the quiet."""


AGENTS_KEPT: Final = 100
AGENT_SHOWN: Final = 100
"""How many user agents, and how much of each, a report keeps: strangers choose them."""


class Traffic:
    """
    Counts pieces of work. `track` may be used from any thread; the rest is the control loop's.

    A deque, because its methods are atomic: two threads cannot lose a count.

    Args:
        clock: Seconds, monotonic.
        ignored: More user agents (by prefix) and paths (`/…`) that do not count as arrivals.
    """

    unclaimed: ClassVar[bool] = False
    """True if a middleware was made while no lifecycle ran: it is the next one's."""

    def __init__(self, clock: Callable[[], float], ignored: tuple[str, ...] = ()) -> None:
        self._clock = clock
        self._agents = PROBERS + tuple(word for word in ignored if not word.startswith("/"))
        self._paths = frozenset(word for word in ignored if word.startswith("/"))
        self._work: deque[None] = deque()
        self._wake: Callable[[], object] = lambda: None
        self._changed: asyncio.Event | None = None
        self._arrived_at = float("-inf")
        self._deaf = False
        self.disturbers: Counter[str] = Counter()
        self.in_use = False
        """True once something counts: a middleware was made for it, or work was tracked."""
        self.draining = False
        """True from T0 on, and for good."""
        self.ended = False
        """True once the lifecycle whose traffic this is has ended."""
        self._tracker = _Tracker(self)

    @property
    def in_flight(self) -> int:
        """How many pieces of work are under way; from any thread."""
        return len(self._work)

    def claim(self) -> None:
        """Take over, at the start, the middleware that was made before."""
        self.in_use, Traffic.unclaimed = self.in_use or Traffic.unclaimed, False

    def track(self, agent: str = "", path: str = "") -> _Tracker:
        """
        Return what counts one piece of work for as long as it is entered.

        Args:
            agent: The user agent of who asks for it: a probe does not disturb the quiet.
            path: What it asks for.
        """
        self.in_use = True
        if self.draining and (agent or path):
            return _Tracker(self, agent, path)
        return self._tracker

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
        self.draining = True

    def arrived(self, agent: str = "", path: str = "") -> None:
        """Note an arrival while draining, unless it is a probe's or a scraper's; any thread."""
        if self._deaf or path in self._paths or (agent and agent.startswith(self._agents)):
            return
        self._arrived_at = self._clock()
        known = agent[:AGENT_SHOWN] or "(no user agent)"
        if len(self.disturbers) >= AGENTS_KEPT and known not in self.disturbers:
            known = "(others)"
        self.disturbers[known] += 1

    def left(self) -> None:
        """Note the end of a piece of work while draining; any thread."""
        if not self._work:
            self._wake()

    async def gone(self, *, not_before: Callable[[], float], quiet: float, app: Guest) -> None:
        """
        Wait until nothing is in flight and nothing has arrived for `quiet` seconds.

        While the app's loop is blocked nobody is seen arriving. So only time in which it comes
        round counts, and at the end it has once more looked at what waits in its sockets.

        Args:
            not_before: Tells the time before which it is too early in any case.
            quiet: Seconds.
            app: The loop on which arrivals are noticed.
        """
        look: _Look | None = None
        while True:
            self._watched().clear()
            waived = math.isinf(self._arrived_at)
            since = self._arrived_at if waived else max(self._arrived_at, app.awake_since())
            left = max(not_before(), since + quiet) - self._clock()
            timeout = None  # with work in flight only its end can change the answer
            if self._work:
                look = None
            elif 0 < left < math.inf:
                look, timeout = None, left
            elif left <= 0 and (waived or (look is not None and look.over)):
                return
            elif look is None or look.over:
                look = _Look(app, self._wake)
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await self._watched().wait()

    async def nothing_in_flight(self) -> None:
        """Wait until nothing is in flight."""
        while True:
            self._watched().clear()
            if not self._work:
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
        self._arrived_at = float("-inf")

    def last_disturbers(self) -> list[str]:
        """Return who has arrived most often while draining: `user agent (count)`."""
        counts = Counter(self.disturbers.copy())  # other threads go on counting
        return [f"{agent} ({count})" for agent, count in counts.most_common(5)]

    def nudge(self) -> None:
        """Have `gone` look again; on the control loop."""
        if self._changed is not None:
            self._changed.set()


class _Look:
    """One look of the app's loop at what waits in its sockets."""

    def __init__(self, app: Guest, wake: Callable[[], object]) -> None:
        self.over = False
        self._wake = wake
        if not app.come_round(self._done):
            self._done()

    def _done(self) -> None:
        self.over = True
        self._wake()


class _Tracker:
    """One for all until T0: it has no state of its own, so entering it costs no allocation."""

    __slots__ = ("_add", "_agent", "_path", "_remove", "_traffic")

    def __init__(self, traffic: Traffic, agent: str = "(tracked work)", path: str = "") -> None:
        self._traffic = traffic
        self._agent = agent
        self._path = path
        self._add = traffic._work.append
        self._remove = traffic._work.pop

    def __enter__(self) -> None:
        self._add(None)
        if self._traffic.draining:
            self._traffic.arrived(self._agent, self._path)

    def __exit__(self, *_: object) -> None:
        self._remove()
        if self._traffic.draining:
            self._traffic.left()
