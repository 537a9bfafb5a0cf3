"""The app's loop as the control thread sees it, on a real loop in a real thread."""

from __future__ import annotations

import asyncio
import contextvars
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from lifecycle.calls.app_loop import BEAT, LAG_TIME, AppLoop
from lifecycle.calls.runs import Status
from tests.unit.virtual_time import call, idle

LIMIT = 10.0
WHO = contextvars.ContextVar("who", default="nobody")


class App:
    """An app's loop in a thread of its own, which can be blocked."""

    def __init__(self) -> None:
        self.app_loop = AppLoop()
        self.loop = asyncio.SelectorEventLoop()
        self.beats = 0
        self._free = threading.Event()
        self._attached = threading.Event()
        self.thread = threading.Thread(target=self._run, name="app")
        self.thread.start()
        assert self._attached.wait(LIMIT)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._main())
        self.loop.close()

    async def _main(self) -> None:
        WHO.set("the app")
        self.app_loop.attach(self._beat)
        self.over = asyncio.Event()
        self._attached.set()
        await self.over.wait()
        self.app_loop.detach()

    def _beat(self) -> None:
        self.beats += 1

    def block(self) -> None:
        """Block the loop; returns when it is blocked."""
        blocked = threading.Event()

        def stuck_here() -> None:
            blocked.set()
            self._free.wait(LIMIT)

        assert self.app_loop.post(stuck_here)
        assert blocked.wait(LIMIT)

    def unblock(self) -> None:
        """Let it go on."""
        self._free.set()

    def end(self) -> None:
        """End it."""
        self.unblock()
        if self.app_loop.attached:
            self.app_loop.post(self.over.set)
        self.thread.join(LIMIT)
        assert not self.thread.is_alive()


@pytest.fixture
def app() -> Iterator[App]:
    """Give an app's loop."""
    app = App()
    yield app
    app.end()


def test_a_hook_runs_on_the_apps_loop(app: App) -> None:
    """An async hook runs in the app's thread, on its loop, in its context."""

    async def hook() -> tuple[object, str, str]:
        return asyncio.get_running_loop(), threading.current_thread().name, WHO.get()

    async def main() -> None:
        outcome = await call(hook, app.app_loop, timeout=LIMIT)()
        assert outcome.value == (app.loop, "app", "the app")

    asyncio.run(main())


def test_a_blocked_loop(app: App) -> None:
    """What was not begun is unstarted, and does not run when the loop is back; who asks then does."""
    ran = []

    async def hook() -> str:
        ran.append(1)
        return "back"

    async def main() -> None:
        asked = call(hook, app.app_loop, timeout=0.02)
        app.block()
        for _ in range(5):
            assert (await asked()).status is Status.UNSTARTED
        assert any("stuck_here" in line for line in app.app_loop.stack())
        app.unblock()
        assert (await call(hook, app.app_loop, timeout=LIMIT)()).value == "back"
        assert ran == [1]

    asyncio.run(main())


def test_a_hook_that_blocks_the_loop_itself(app: App) -> None:
    """The outcome says that it is this very hook that blocks."""
    free = threading.Event()

    async def hook() -> None:
        free.wait(LIMIT)

    async def main() -> None:
        asked = call(hook, app.app_loop, timeout=0.3)
        outcome = await asked()
        assert outcome.blocking
        assert re.fullmatch(
            r"gave no answer for \d\.\d s, because it blocks the app's event loop",
            outcome.problem() or "",
        )
        free.set()
        await idle(asked)

    asyncio.run(main())


def test_late_before_its_task_is_known(app: App) -> None:
    """A hook whose time is up while its task is being made never begins, and is asked again."""
    begun, blocked, free = [], threading.Event(), threading.Event()

    async def hook() -> None:
        begun.append(1)
        await asyncio.get_running_loop().create_future()

    def factory(loop: asyncio.AbstractEventLoop, work: Any, **how: Any) -> asyncio.Task[Any]:
        blocked.set()
        free.wait(LIMIT)
        return asyncio.Task(work, loop=loop, **how)

    async def main() -> None:
        app.loop.set_task_factory(factory)
        asked = call(hook, app.app_loop, timeout=0.2)
        assert (await asked()).status is Status.LATE
        assert blocked.is_set()
        free.set()
        await asyncio.wait_for(idle(asked), LIMIT)
        assert begun == []
        assert (await asked()).status is Status.LATE
        assert begun == [1]
        await asyncio.wait_for(idle(asked), LIMIT)

    asyncio.run(main())


@pytest.mark.parametrize("eager", [False, True])
def test_late_in_its_first_step(app: App, eager: bool) -> None:
    """A hook that blocks in its first step is cancelled at the next one, and asked again."""
    ended, free = [], threading.Event()

    async def hook() -> None:
        free.wait(LIMIT)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append(1)

    async def main() -> None:
        if eager:
            app.loop.set_task_factory(at_once)
        asked = call(hook, app.app_loop, timeout=0.2)
        assert (await asked()).problem().endswith("it blocks the app's event loop")
        free.set()
        for ends in (1, 2):
            await asyncio.wait_for(idle(asked), LIMIT)
            assert len(ended) == ends
            late = await asked()
            assert (late.status, late.blocking) == (Status.LATE, False)

    asyncio.run(main())


def at_once(loop: asyncio.AbstractEventLoop, work: Any, **how: Any) -> asyncio.Task[Any]:
    """Make a task and take its first step at once, as `asyncio.eager_task_factory` does."""
    task = asyncio.Task(_first(work), loop=loop, **how)
    handle = loop._ready.pop()  # type: ignore[attr-defined]
    handle._run()
    return task


async def _first(work: Any) -> Any:
    return await work


def test_a_task_that_is_cancelled_before_its_first_step(app: App) -> None:
    """What the app cancels before it has begun has ended, and is asked again."""

    async def hook() -> str:
        return "fine"

    def factory(loop: asyncio.AbstractEventLoop, work: Any, **how: Any) -> asyncio.Task[Any]:
        task = asyncio.Task(work, loop=loop, **how)
        task.cancel()
        return task

    async def main() -> None:
        app.loop.set_task_factory(factory)
        asked = call(hook, app.app_loop, timeout=LIMIT)
        assert isinstance((await asked()).error, asyncio.CancelledError)
        app.loop.set_task_factory(None)
        assert (await asked()).value == "fine"

    asyncio.run(main())


def test_a_task_factory_that_fails(app: App) -> None:
    """An app whose task factory raises gets a failure with its words."""

    async def hook() -> str:
        return "fine"

    def factory(loop: asyncio.AbstractEventLoop, work: Any, **how: Any) -> asyncio.Task[Any]:
        raise OSError("no tasks today")

    async def main() -> None:
        app.loop.set_task_factory(factory)
        outcome = await call(hook, app.app_loop, timeout=LIMIT)()
        assert outcome.problem() == "raised OSError: no tasks today"
        app.loop.set_task_factory(None)

    asyncio.run(main())


def test_the_heartbeat_is_silent_while_the_loop_is_blocked() -> None:
    """The age of the last beat grows with the clock, and falls when the loop beats again."""
    time = [100.0]
    app_loop = AppLoop(lambda: time[0])

    async def main() -> None:
        assert (app_loop.silent_for(), app_loop.attached, app_loop.busy()) == (0.0, False, False)
        beaten = asyncio.Event()
        app_loop.attach(beaten.set)
        time[0] = 107.0
        assert app_loop.silent_for() == 7.0
        assert app_loop.busy()
        await asyncio.wait_for(beaten.wait(), LIMIT)
        assert app_loop.silent_for() == 0.0
        assert app_loop.busy(), "the last gap was long"
        time[0] += BEAT
        beaten.clear()
        await asyncio.wait_for(beaten.wait(), LIMIT)
        assert not app_loop.busy()
        app_loop.detach()
        time[0] += 100
        assert (app_loop.silent_for(), app_loop.busy(), app_loop.attached) == (0.0, False, False)

    asyncio.run(main())


def test_a_loop_that_has_gone(app: App) -> None:
    """Posting to an app that has ended says so, at once."""
    app.end()
    assert app.app_loop.post(print) is False
    assert app.app_loop.stack() == []


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_longest_delay_is_shown_for_a_while() -> None:
    """A scraper that comes every 30 s sees each stall once, and none of yesterday's."""

    async def main() -> None:
        clock = Hand()
        loop = AppLoop(clock)
        assert loop.lag() == 0.0
        loop.attach()

        def beat(after: float) -> float:
            clock.now += after
            loop._beat()
            return round(loop.lag(), 3)

        assert beat(BEAT) == 0.0
        assert beat(BEAT + 2) == 2.0
        assert beat(BEAT) == 2.0
        for _ in range(int(LAG_TIME / BEAT)):
            beat(BEAT)
        assert beat(BEAT) == 2.0  # less than two periods ago
        for _ in range(int(LAG_TIME / BEAT) + 8):
            beat(BEAT)
        assert beat(BEAT) == 0.0
        clock.now += 7 + BEAT  # it is blocked at this moment
        assert round(loop.lag(), 3) == 7.0
        loop.detach()

    asyncio.run(main())
