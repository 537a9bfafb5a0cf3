"""
Rolls a service of real processes as a Deployment and its kubelet do, under load.

    new replica ──/ready──▶ endpoint known at once
    old replica: deleted ─┬─ each client hears of it up to `spread` seconds later
                          └─ preStop (if there is one), then SIGTERM, then SIGKILL
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from tests.process.kit import App
from tests.process.load import Endpoint, Load, Loss, Tally, keep_asking

SPREAD: Final = 2.0
"""Seconds until the last client has heard that an endpoint is gone."""
START_TIME: Final = 20.0
"""Seconds a replica has to become ready."""

WATCHERS: Final = (
    ("kube-probe/1.30", False),
    ("ELB-HealthChecker/2.0", False),
    ("Prometheus/2.50.1", True),
)
"""Who keeps asking the app's own port, and whether over one connection."""

_taken: deque[int] = deque(maxlen=200)  # later ones are free again, or refuse to be bound
_first = 20000 + os.getpid() % 24 * 500  # so that two runs at a time rarely meet


def pick_port() -> int:
    """Return a free port that no client's own end of a connection can be given meanwhile."""
    while True:
        port = random.randrange(_first, _first + 500)
        if port in _taken:
            continue
        _taken.append(port)
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


@dataclass(slots=True)
class Leaving:
    """
    How one replica left.

    Attributes:
        deleted: When it was deleted.
        signalled: Seconds from then to SIGTERM.
        out: Seconds from then to the end of the process.
        drained: Seconds from T0 to the end of the drain, by its own report.
        code: Its exit code; -9 if it had to be killed.
        prestop: What the preStop's exec returned; None without one.
        report: The report of its drain.
        said: Everything it logged.
    """

    name: str
    deleted: float
    signalled: float = 0.0
    out: float = 0.0
    drained: float = 0.0
    code: int = 0
    prestop: int | None = None
    report: dict[str, object] = field(default_factory=dict, repr=False)
    said: str = field(default="", repr=False)


@dataclass(slots=True)
class Result:
    """One rollout."""

    name: str
    tally: Tally
    left: list[Leaving]

    def when(self, loss: Loss) -> str:
        """Say what was lost, and when, as seen from the replica's end."""
        for leaving in self.left:
            if leaving.name == loss.endpoint.name:
                since = loss.at - leaving.deleted
                return (
                    f"{loss.kind} {loss.path} {loss.cause}: {since - leaving.signalled:+.3f} s "
                    f"from SIGTERM, {since - leaving.out:+.3f} s from the exit of {leaving.name}"
                )
        return f"{loss.kind} {loss.path} {loss.cause}: {loss.endpoint.name}, which stays"

    def __str__(self) -> str:
        tally = self.tally
        out = ", ".join(f"{each.out:.2f}" for each in self.left)
        drained = ", ".join(f"{each.drained:.2f}" for each in self.left)
        losses = "".join(f"\n  lost: {self.when(loss)}" for loss in tally.losses[:20])
        return (
            f"{self.name}: {tally.requests} requests ({tally.kept} on kept connections, "
            f"{tally.closed_idle} found closed), lost {tally.lost('new')} new + "
            f"{tally.lost('kept')} kept, longest {tally.longest:.2f} s, out in {out} s "
            f"(from T0: {drained} s), exit {[each.code for each in self.left]}{losses}"
        )


class Rollout:
    """
    One service, rolled once.

    Args:
        name: For the report.
        start: Starts a replica on the port it is given.
        load: The clients.
        replicas: How many there are before and after.
        prestop: Whether `lifecycle prestop` runs before SIGTERM.
        spread: Seconds until the last client hears of an endpoint's removal.
        grace: The pod's terminationGracePeriodSeconds.
        watched: Whether a kubelet, a load balancer and a scraper ask the app's own port.
    """

    def __init__(
        self,
        name: str,
        start: Callable[[int], App],
        load: Load,
        *,
        replicas: int = 2,
        prestop: bool,
        spread: float = SPREAD,
        grace: float = 30.0,
        watched: bool = False,
    ) -> None:
        self._name = name
        self._start = start
        self._load = load
        self._replicas = replicas
        self._prestop = prestop
        self._spread = spread
        self._grace = grace
        self._watched = watched
        self._started = 0
        self._running: list[tuple[App, Endpoint]] = []
        self._watching: list[asyncio.Task[int]] = []

    async def run(self, *, warm_up: float = 0.3, cool_down: float = 0.3) -> Result:
        """Start the service, set the load on it, replace every replica, and count."""
        await asyncio.gather(*(self._add() for _ in range(self._replicas)))
        old = list(self._running)
        self._load.begin()
        await asyncio.sleep(warm_up)
        leaving = []
        for app, endpoint in old:
            await self._add()
            leaving.append(asyncio.create_task(self._delete(app, endpoint)))
        left = await asyncio.gather(*leaving)
        await asyncio.sleep(cool_down)
        tally = await self._load.end()
        for task in self._watching:
            task.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)
        return Result(self._name, tally, left)

    async def _add(self) -> None:
        self._started += 1
        endpoint = Endpoint(f"{self._name} {self._started}", pick_port())
        app = self._start(endpoint.port)
        await asyncio.to_thread(app.wait_state, "ready", START_TIME)
        self._running.append((app, endpoint))
        self._load.add(endpoint)
        if self._watched:
            self._watching += [
                asyncio.create_task(keep_asking(endpoint, agent, 0.1, kept=kept))
                for agent, kept in WATCHERS
            ]

    async def _delete(self, app: App, endpoint: Endpoint) -> Leaving:
        leaving = Leaving(endpoint.name, time.monotonic())
        self._load.remove(endpoint, self._spread)
        try:
            async with asyncio.timeout(self._grace):
                if self._prestop:
                    leaving.prestop = await _prestop(app)
                app.signal(signal.SIGTERM)
                leaving.signalled = time.monotonic() - leaving.deleted
                leaving.code = await asyncio.to_thread(app.process.wait)
        except TimeoutError:
            app.process.kill()
            leaving.code = await asyncio.to_thread(app.process.wait)
        leaving.out = time.monotonic() - leaving.deleted
        leaving.said = app.stderr
        for report in app.events("drain report"):
            leaving.report = report
            leaving.drained = report["steps"]["close"] if "steps" in report else 0.0
        return leaving


async def _prestop(app: App) -> int:
    """Run the preStop as the kubelet's exec does: inside, with the container's environment."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "lifecycle", "prestop", env=app.env | {"PATH": os.environ["PATH"]}
    )
    try:
        return await process.wait()
    except asyncio.CancelledError:
        process.kill()
        raise
