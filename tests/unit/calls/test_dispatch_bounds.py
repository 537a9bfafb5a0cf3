"""Nothing piles up in the dispatcher, whatever hangs; a busy app loop is told apart. In virtual time."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from lifecycle.calls.app_loop import AppLoop
from lifecycle.calls.dispatch import InTurn
from lifecycle.calls.runs import Status
from tests.unit.virtual_time import (
    Hang,
    attached,
    call,
    hang_for_ever,
    idle,
    implementation,
    made,
    move,
    now,
    posted,
    run,
    until,
    workers,
)


class Counting(AppLoop):
    """Counts what is posted to the app's loop."""

    posted = 0

    def post(self, function: Any) -> bool:
        """Post, and count."""
        self.posted += 1
        return super().post(function)


@pytest.mark.parametrize("kind", ["hangs", "ignores", "blocks", "busy"])
def test_nothing_piles_up(kind: str, stuck: asyncio.SelectorEventLoop) -> None:
    """1,000 calls of what hangs: one thread, one task, a handful of queued handles."""
    hang = Hang()
    free = []

    async def ignores() -> None:
        while not free:
            try:
                await asyncio.sleep(1)
            except asyncio.CancelledError:
                continue

    async def main() -> None:
        app_loop = Counting(asyncio.get_running_loop().time)
        app_loop.attach()
        if kind == "busy":
            move(app_loop, stuck)
        hook: Any = {"ignores": ignores, "blocks": hang.wait}.get(kind, hang_for_ever)
        asked = call(hook, app_loop, timeout=0.8)
        tasks = len(asyncio.all_tasks())
        wanted = Status.UNSTARTED if kind == "busy" else Status.LATE
        for _ in range(1000):
            assert (await asked()).status is wanted
        assert len(workers()) == (1 if kind == "blocks" else 0)
        assert len(asyncio.all_tasks()) - tasks <= 1
        assert len(posted(stuck)) == (1 if kind == "busy" else 0)
        if kind != "hangs":
            assert app_loop.posted <= 2
        free.append(True)
        hang.let_go()
        if kind != "busy":
            await idle(asked)

    run(main())


def test_in_turn() -> None:
    """Each caller gets a run of its own, one after the other, and nobody another's answer."""

    async def main() -> None:
        order: list[int] = []
        free = threading.Event()

        alone = threading.Lock()

        def handler(number: int) -> int:
            assert alone.acquire(blocking=False)
            assert free.wait(10)
            order.append(number)
            alone.release()
            return number

        asked = made(InTurn, handler, attached(), timeout=5.0)
        assert asked.threaded
        calls = [asyncio.create_task(asked(number)) for number in range(5)]
        free.set()
        assert [(await each).value for each in calls] == [0, 1, 2, 3, 4]
        assert sorted(order) == [0, 1, 2, 3, 4]

    run(main())


def test_a_turn_that_comes_too_late() -> None:
    """Who has waited for two others gives up when his own time is over, not when theirs is."""

    async def main() -> None:
        async def handler(seconds: float) -> float:
            await asyncio.sleep(seconds)
            return seconds

        asked = made(InTurn, handler, attached(), timeout=1.0)
        calls = [asyncio.create_task(asked(seconds)) for seconds in (0.8, 0.9, 0.1)]
        began = now()
        outcome = await calls[2]
        assert outcome.status is Status.BUSY
        assert now() - began == pytest.approx(1.0)
        assert [(await each).value for each in calls[:2]] == [0.8, 0.9]

    run(main())


def test_what_is_offered_to_a_call_in_turn() -> None:
    """It gets by name what it asks for, beside what it is given."""

    async def main() -> None:
        def handler(request: str, life: str) -> str:
            return f"{request} {life}"

        each = implementation(handler)._replace(argnames=("life",))
        asked = InTurn(each, attached(), 1.0)
        assert (await asked("GET", life="life", other=1)).value == "GET life"

    run(main())


@pytest.mark.parametrize("timeout", [2.0, None])
def test_a_turn_that_never_comes(timeout: float | None) -> None:
    """Who comes while a run hangs is told so, in time, or at once; 1,000 calls, one thread."""
    hang = Hang()

    async def main() -> None:
        asked = made(InTurn, hang.wait, attached(), timeout=timeout)
        first = asyncio.create_task(asked())
        await asyncio.sleep(0.5)
        second = await asked()
        assert second.status is Status.BUSY
        assert second.seconds == pytest.approx(timeout or 0.5)
        began = now()
        for _ in range(1000):
            assert (await asked()).status is Status.BUSY
        assert now() == began
        assert len(workers()) == 1
        assert second.problem().startswith("not started: the previous run is still running after")
        hang.let_go()
        assert (await first).status is (Status.ANSWERED if timeout is None else Status.LATE)
        await until(lambda: not workers())
        await asyncio.sleep(0)
        assert (await asked()).status is Status.ANSWERED

    run(main())


def test_no_loop_to_run_on() -> None:
    """Without a loop, or with one that is closed, an async hook is not started, at once."""

    async def main() -> None:
        outcome = await call(hang_for_ever, AppLoop())()
        assert outcome.status is Status.UNSTARTED
        closed = asyncio.new_event_loop()
        closed.close()
        app_loop = attached()
        move(app_loop, closed)
        asked = call(hang_for_ever, app_loop)
        assert (await asked()).status is Status.UNSTARTED
        await idle(asked)

    run(main())


def test_a_system_without_a_thread_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    """When no thread can be started, that is the outcome, and the next call tries again."""
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith("lifecycle-p"):
            raise RuntimeError("can't start new thread")
        start(thread)

    async def main() -> None:
        asked = call(lambda: "fine", attached())
        monkeypatch.setattr(threading.Thread, "start", refuse)
        assert (await asked()).problem() == "raised RuntimeError: can't start new thread"
        monkeypatch.undo()
        assert (await asked()).value == "fine"

    run(main())
