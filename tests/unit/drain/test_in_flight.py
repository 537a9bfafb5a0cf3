"""What is in flight, and when nothing arrives any more."""

from __future__ import annotations

import asyncio
import itertools
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from lifecycle.asgi import Middleware
from lifecycle.calls.app_loop import AppLoop
from lifecycle.calls.threads import run_soon
from lifecycle.config import Config
from lifecycle.drain.health_checks import MONITORS
from lifecycle.drain.in_flight import AGENTS_KEPT, Traffic
from lifecycle.drain.work_names import SHOWN
from lifecycle.process_globals import PROCESS
from lifecycle.runtime import Lifecycle, core_of
from tests.unit.virtual_time import attached, now, run

SETTLE = 5.0
QUIET = 1.0


class Scene:
    """A drain of some traffic that began now."""

    def __init__(
        self,
        *,
        ignored: tuple[str, ...] = (),
        busy: int = 0,
        app_loop: AppLoop | None = None,
        quiet: float = QUIET,
        since: float | None = None,
        queued: Callable[[], int] = lambda: 0,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.began = now()
        self.app_loop = app_loop or attached()
        self.traffic = Traffic(loop.time, ignored)
        self.work = [self.traffic.track() for _ in range(busy)]
        for each in self.work:
            each.__enter__()
        self.settle_at = self.began + SETTLE
        self.traffic.watch(
            lambda function: run_soon(loop, function), self.began if since is None else since
        )
        self.task = asyncio.create_task(
            self.traffic.gone(
                not_before=lambda: self.settle_at, quiet=quiet, app=self.app_loop, queued=queued
            )
        )

    def at(self, seconds: float, act: Callable[[], Any]) -> None:
        """Do something so long after the beginning."""
        asyncio.get_running_loop().call_at(self.began + seconds, act)

    def leave(self) -> None:
        """End a piece of work."""
        self.work.pop().__exit__()

    async def gone_after(self) -> float:
        """Return how long it took until nobody was there any more."""
        await self.task
        self.app_loop.detach()
        return now() - self.began


def test_nothing_at_all() -> None:
    """With nothing in flight it is over when settle has passed, to the moment."""

    async def main() -> None:
        assert await Scene().gone_after() == pytest.approx(SETTLE)

    run(main())


def test_work_in_flight_is_waited_for() -> None:
    """However long it takes; its end is noticed at once."""

    async def main() -> None:
        scene = Scene(busy=2)
        scene.at(6, scene.leave)
        scene.at(77.7, scene.leave)
        assert await scene.gone_after() == pytest.approx(77.7)

    run(main())


def test_quiet() -> None:
    """Each arrival asks for another second of quiet."""

    async def main() -> None:
        scene = Scene()
        for seconds in (1, 4.5, 5.4, 6.3, 7.2):
            scene.at(seconds, lambda: scene.traffic.arrived("curl/8"))
        assert await scene.gone_after() == pytest.approx(7.2 + QUIET)
        assert scene.traffic.last_disturbers() == ["curl/8 (5)"]

    run(main())


def test_an_arrival_while_work_is_in_flight() -> None:
    """The quiet is counted from the last arrival, also while something else is in flight."""

    async def main() -> None:
        scene = Scene(busy=1)
        scene.at(19.5, scene.traffic.arrived)
        scene.at(20, scene.leave)
        assert await scene.gone_after() == pytest.approx(20.5)
        assert scene.traffic.last_disturbers() == ["(no user agent) (1)"]

    run(main())


@pytest.mark.parametrize(
    ("agent", "path"),
    [
        *((agent + "1.0", "/orders") for agent in MONITORS),
        ("kube-probe/1.34", "/"),
        ("my-checker/2", "/orders"),
        ("curl/8", "/metrics"),
        ("", "/metrics"),
    ],
)
def test_who_only_looks_does_not_disturb(agent: str, path: str) -> None:
    """The kubelet, load balancers, scrapers, and what `quiet_ignore` names, are not arrivals."""

    async def main() -> None:
        scene = Scene(ignored=("my-checker/", "/metrics"))
        for tick in range(100):
            scene.at(tick / 10, lambda: scene.traffic.arrived(agent, path))
        assert await scene.gone_after() == pytest.approx(SETTLE)
        assert scene.traffic.last_disturbers() == []

    run(main())


@pytest.mark.parametrize(
    ("agent", "path"),
    [
        ("/metrics", "/"),
        ("curl/8 (like kube-probe/1)", "/"),
        ("", "/"),
        ("my-checker/2", "/"),
        ("x", "/metrics/x"),
    ],
)
def test_everybody_else_disturbs(agent: str, path: str) -> None:
    """An agent counts by how it begins, a path as a whole."""

    async def main() -> None:
        scene = Scene(ignored=("/metrics",))
        scene.at(5, lambda: scene.traffic.arrived(agent, path))
        assert await scene.gone_after() == pytest.approx(6)

    run(main())


def test_the_timetable_shrinks_meanwhile() -> None:
    """A settle that is cut short is noticed when it is told."""

    async def main() -> None:
        scene = Scene()

        def cut() -> None:
            scene.settle_at = now()
            scene.traffic.nudge()

        scene.at(2, cut)
        assert await scene.gone_after() == pytest.approx(2)

    run(main())


def test_main_has_ended() -> None:
    """Who arrives when main is over finds nobody: the quiet is not waited for."""

    async def main() -> None:
        scene = Scene()
        scene.at(4.9, scene.traffic.arrived)

        def end() -> None:
            scene.traffic.forget_arrivals()
            scene.traffic.nudge()

        scene.at(5.1, end)
        assert await scene.gone_after() == pytest.approx(5.1)

    run(main())


def test_nothing_in_flight() -> None:
    """This one waits for work alone."""

    async def main() -> None:
        scene = Scene(busy=1)
        scene.at(0.5, scene.leave)
        await scene.traffic.nothing_in_flight()
        assert now() - scene.began == pytest.approx(0.5)
        scene.task.cancel()
        with pytest.raises(RuntimeError, match=r"^call watch\(\) first$"):
            await Traffic(now).nothing_in_flight()

    run(main())


def test_of_many_agents_the_first_are_kept() -> None:
    """What strangers call themselves fills no memory: the others have one line."""
    traffic = Traffic(lambda: 0.0)
    for number in range(AGENTS_KEPT + 5):
        traffic.arrived(f"agent {number}")
    traffic.arrived("agent 0")
    assert len(traffic.disturbers) == AGENTS_KEPT + 1
    assert traffic.last_disturbers()[:2] == ["(others) (5)", "agent 0 (2)"]


def test_the_end_of_a_lifecycle() -> None:
    """From then on a middleware serves as if there was no lifecycle, and looks for another."""
    traffic = Traffic(lambda: 0.0)
    assert (traffic.draining, traffic.ended) == (False, False)
    traffic.end()
    assert (traffic.draining, traffic.ended) == (True, True)
    with traffic.track("curl/8"), traffic.track():
        assert traffic.in_flight == 2
    assert traffic.in_flight == 0


def test_a_report_while_others_count() -> None:
    """Who has disturbed is told while threads go on adding to it; what is kept is bounded."""
    workers, enough = 3, threading.Event()
    drains = [Traffic(lambda: 0.0)]

    def disturb(worker: int) -> None:
        for number in itertools.count():
            if enough.is_set():
                return
            drains[-1].arrived(f"agent {worker} {number} {'x' * 200}")

    threads = [threading.Thread(target=disturb, args=(number,)) for number in range(workers)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for _ in range(100):
            drains.append(Traffic(lambda: 0.0))
            while len(drains[-1].disturbers) < AGENTS_KEPT:
                told = drains[-1].last_disturbers()
                assert len(told) <= 5
                assert all(len(each) < SHOWN + 20 for each in told)
    finally:
        enough.set()
        for thread in threads:
            thread.join(10)
        sys.setswitchinterval(interval)
    # Each thread may be the one too many, once; and the others have a line too.
    assert max(len(each.disturbers) for each in drains) <= AGENTS_KEPT + workers


def test_a_middleware_is_one_lifecycles(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is that of the lifecycle that runs when it is made, or of the first one after."""
    monkeypatch.setattr(PROCESS, "middleware_made", False)
    config = Config(qos_enabled=False, settle=0, quiet=0)

    async def app(*_: Any) -> Any: ...

    async def main() -> None:
        before = Middleware(app)
        in_use: list[bool] = []
        async with Lifecycle(config) as life:
            in_use.append(core_of(life).traffic.in_use)
        async with Lifecycle(config) as life:
            in_use.append(core_of(life).traffic.in_use)
            Middleware(app, life)
            in_use.append(core_of(life).traffic.in_use)
        async with Lifecycle(config) as life:
            in_use.append(core_of(life).traffic.in_use)
            Middleware(app)
            in_use.append(core_of(life).traffic.in_use)
        async with Lifecycle(config) as life:
            in_use.append(core_of(life).traffic.in_use)
            scope = {"type": "http", "http_version": "1.1", "headers": [], "path": "/"}
            await before(scope, app, app)  # used here too, as it turns out
            in_use.append(core_of(life).traffic.in_use)
        assert in_use == [True, False, True, False, True, False, True]

    asyncio.run(main())
