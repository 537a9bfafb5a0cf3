"""Speaking to the control thread: open, closing, closed."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from lifecycle.calls import control_thread
from lifecycle.calls.control_thread import ControlThread
from lifecycle.calls.moment import Moment
from lifecycle.exceptions import LifecycleError, NotRunning

LIMIT = 10


class Control:
    """A control thread that lives until it is told otherwise."""

    def __init__(self) -> None:
        self.thread = ControlThread()
        self.over: Moment[None] = Moment()
        self.thread.start(self.over.wait)

    def end(self) -> None:
        """End it."""
        self.over.set(None)
        assert self.thread.join(LIMIT)


def test_calling_the_control_thread() -> None:
    """A call runs on the control thread and brings back what it returned, or raised."""
    control = Control()

    def fail() -> None:
        raise LookupError("no")

    try:
        name = control.thread.call(lambda: threading.current_thread().name)
        assert name == "lifecycle-control"
        nested = control.thread.call(lambda: control.thread.call(lambda: control.thread.here))
        assert nested is True
        with pytest.raises(LookupError, match="no"):
            control.thread.call(fail)
        assert not control.thread.here
    finally:
        control.end()


@pytest.mark.parametrize("late", ["to begin", "to end"])
def test_a_call_of_a_thread_that_is_held_up(late: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for a bounded time, since an app's loop waits with it; what is late is said."""
    monkeypatch.setattr(control_thread, "CALL_TIME", 0.05)
    control = Control()
    go_on = threading.Event()
    done = []

    def work() -> None:
        if late == "to end":
            go_on.wait(LIMIT)
        done.append(late)

    try:
        if late == "to begin":
            control.thread.post(lambda: go_on.wait(LIMIT))
        with pytest.raises(LifecycleError, match=r"has not answered for 0\.05 s"):
            control.thread.call(work)
        go_on.set()
        control.thread.wait(lambda: asyncio.sleep(0))
        assert done == (["to end"] if late == "to end" else [])  # nobody waits for the other
    finally:
        go_on.set()
        control.end()


def test_a_call_that_raises_timeout_error() -> None:
    """It is the function's own, and no reason to wait on."""
    control = Control()

    def fail() -> None:
        raise TimeoutError("its own")

    try:
        with pytest.raises(TimeoutError, match="its own"):
            control.thread.call(fail)
    finally:
        control.end()


def test_waiting_for_a_coroutine_on_the_control_thread() -> None:
    """It brings back what it returned; the control thread cannot wait for itself."""
    control = Control()

    async def work() -> str:
        await asyncio.sleep(0)
        return threading.current_thread().name

    try:
        assert control.thread.wait(work) == "lifecycle-control"
        with pytest.raises(RuntimeError, match="for itself"):
            control.thread.call(lambda: control.thread.wait(work))
    finally:
        control.end()
    with pytest.raises(RuntimeError, match="has ended"):
        control.thread.wait(work)


async def nothing() -> None:
    """What a refused coroutine would have done."""
    pytest.fail("it runs")


@pytest.mark.parametrize("way", ["call", "wait", "request"])
@pytest.mark.parametrize("started", [True, False])
def test_before_the_start_and_after_the_end(way: str, *, started: bool) -> None:
    """Everything is refused: nothing hangs, and nothing runs where it is asked for."""
    thread = ControlThread()
    if started:
        control = Control()
        control.end()
        thread = control.thread
        thread.post(lambda: pytest.fail("nobody is there"))
    ways: dict[str, Callable[[], object]] = {
        "call": lambda: thread.call(lambda: pytest.fail("it runs")),
        "wait": lambda: thread.wait(nothing),
        "request": lambda: asyncio.run(thread.request(nothing)),
    }
    with pytest.raises(NotRunning, match="has ended"):
        ways[way]()
    assert thread.join(0)


def test_asking_to_the_very_end() -> None:
    """Whatever moment of its end a request comes at, it is answered or refused."""
    control = Control()

    async def stubborn() -> None:
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(1000)

    tasks: list[asyncio.Task[None]] = []
    control.thread.call(lambda: tasks.append(control.thread.loop.create_task(stubborn())))

    async def work() -> int:
        await asyncio.sleep(0)
        return 1

    async def ask() -> int:
        answered = 0
        while True:
            try:
                answered += await asyncio.wait_for(control.thread.request(work), LIMIT)
            except NotRunning:
                return answered

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(asyncio.run, ask()) for _ in range(4)]
        control.end()
        assert all(each.result(LIMIT) >= 0 for each in asking)


@pytest.mark.parametrize("way", ["wait", "request"])
def test_what_is_under_way_at_the_end(way: str) -> None:
    """It is refused, and who has asked is not taken for cancelled."""
    control = Control()
    begun = threading.Event()

    async def work() -> None:
        begun.set()
        await asyncio.Event().wait()

    async def ask() -> None:
        with pytest.raises(NotRunning):
            await control.thread.request(work)

    def wait() -> None:
        with pytest.raises(NotRunning):
            control.thread.wait(work)

    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(wait) if way == "wait" else pool.submit(asyncio.run, ask())
        assert begun.wait(LIMIT)
        control.end()
        asked.result(LIMIT)


def test_calling_while_it_ends() -> None:
    """A call that is queued when the thread ends is answered all the same."""
    control = Control()
    blocked, go_on = threading.Event(), threading.Event()

    def block() -> None:
        control.over.set(None)
        blocked.set()
        go_on.wait(LIMIT)

    control.thread.post(block)
    assert blocked.wait(LIMIT)
    queued = threading.Semaphore(0)
    soon = control.thread.loop.call_soon_threadsafe

    def note(*arguments: object, **named: object) -> asyncio.Handle:
        handle = soon(*arguments, **named)
        queued.release()
        return handle

    control.thread.loop.call_soon_threadsafe = note
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(control.thread.call, lambda: 1) for _ in range(8)]
        assert all(queued.acquire(timeout=LIMIT) for _ in calls)
        go_on.set()
        assert [each.result(LIMIT) for each in calls] == [1] * 8
    assert control.thread.join(LIMIT)


def test_requesting_a_coroutine() -> None:
    """A coroutine runs on the control loop and is awaited here; its error comes here too."""
    control = Control()

    async def where() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    async def fail() -> None:
        raise LookupError("no")

    async def main() -> None:
        assert await control.thread.request(where) is control.thread.loop
        with pytest.raises(LookupError):
            await control.thread.request(fail)

    try:
        asyncio.run(main())
    finally:
        control.end()


def test_a_task_that_ignores_its_cancellation_holds_nobody_up() -> None:
    """The control thread waits a moment for what is left, and goes."""
    ignored = threading.Event()

    async def ignore() -> None:
        while True:
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                ignored.set()

    control = Control()
    tasks: list[asyncio.Task[None]] = []
    control.thread.call(lambda: tasks.append(control.thread.loop.create_task(ignore())))
    control.thread.call(lambda: None)
    control.end()

    assert ignored.is_set()
    assert control.thread.loop.is_closed()


def test_what_wants_to_exit_on_the_control_thread() -> None:
    """A stranger's SystemExit there, in a task or a callback, ends nothing: the next is answered."""
    control = ControlThread()
    over = Moment[None]()
    ended = []

    async def main() -> None:
        await over.wait()

    async def leaves(error: BaseException) -> None:
        raise error

    async def leaves_at_the_end() -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append(True)
            raise SystemExit(3)

    def leave(error: BaseException) -> None:
        raise error

    control.start(main)
    tasks = []
    for error in (SystemExit(3), KeyboardInterrupt()):
        control.post(lambda error=error: leave(error))  # type: ignore[misc]
        tasks.append(control.call(lambda error=error: control.loop.create_task(leaves(error))))  # type: ignore[misc]
    tasks.append(control.call(lambda: control.loop.create_task(leaves_at_the_end())))
    assert control.call(lambda: "still there") == "still there"
    over.set(None)
    assert control.join(LIMIT)
    assert ended == [True]
    assert control.loop.is_closed()
    for task in tasks:
        assert isinstance(task.exception(), (SystemExit, KeyboardInterrupt))
