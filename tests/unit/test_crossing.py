"""Crossing from one thread to another."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from lifecycle.crossing import ControlThread, Moment, run_in_thread, run_soon

LIMIT = 10


def test_a_moment_happens_once() -> None:
    """The first to set it decides; later ones, and a failure, change nothing."""

    async def main() -> None:
        moment: Moment[int] = Moment()
        assert not moment.happened
        waiting = asyncio.create_task(moment.wait())
        await asyncio.sleep(0)
        moment.set(1)
        moment.set(2)
        moment.fail(ValueError("late"))
        assert moment.happened
        assert await waiting == 1
        assert await moment.wait() == 1
        assert moment._waiters == {}

    asyncio.run(main())


def test_a_moment_that_can_no_longer_come() -> None:
    """Everybody who waits, and who comes later, gets the error."""

    async def main() -> None:
        moment: Moment[None] = Moment()
        waiting = [asyncio.create_task(moment.wait()) for _ in range(3)]
        await asyncio.sleep(0)
        moment.fail(ValueError("never"))
        moment.set(None)
        for each in (*waiting, moment.wait()):
            with pytest.raises(ValueError, match="never"):
                await each

    asyncio.run(main())


def test_a_moment_is_awaited_on_many_loops() -> None:
    """Loops in several threads wait for one moment, which any thread may set."""
    moment: Moment[str] = Moment()
    ready = threading.Barrier(5)

    async def wait() -> str:
        several = [asyncio.ensure_future(moment.wait()) for _ in range(10)]
        await asyncio.sleep(0)
        ready.wait(LIMIT)
        values = await asyncio.wait_for(asyncio.gather(*several), LIMIT)
        assert set(values) == {"now"}
        return values[0]

    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(asyncio.run, wait()) for _ in range(4)]
        ready.wait(LIMIT)
        moment.set("now")
        assert [each.result(LIMIT) for each in done] == ["now"] * 4
    assert moment._waiters == {}


def test_cancelling_who_waits_leaves_nothing_behind() -> None:
    """A thousand waits that time out are forgotten, and disturb nobody."""

    async def main() -> None:
        moment: Moment[int] = Moment()
        other = asyncio.create_task(moment.wait())
        for _ in range(1000):
            waiting = asyncio.create_task(moment.wait())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait({waiting})
        assert len(moment._waiters) == 1
        moment.set(7)
        assert await other == 7

    asyncio.run(main())


def test_cancelled_and_set_in_one_step() -> None:
    """Whoever is cancelled at the moment itself is cancelled, without a noise."""

    async def main() -> None:
        noises: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, c: noises.append(c))
        moment: Moment[int] = Moment()
        waiting = asyncio.create_task(moment.wait())
        await asyncio.sleep(0)
        moment.set(1)
        waiting.cancel()
        await asyncio.wait({waiting})
        assert waiting.cancelled()
        assert noises == []
        assert moment._waiters == {}

    asyncio.run(main())


def test_a_moment_survives_a_loop_that_is_gone() -> None:
    """A loop that was closed while a task of it waited is passed over."""
    moment: Moment[int] = Moment()
    loop = asyncio.SelectorEventLoop()
    task = loop.create_task(moment.wait())
    loop.run_until_complete(asyncio.sleep(0))
    task.cancel()
    loop.run_until_complete(asyncio.wait({task}))
    loop.close()
    moment._waiters[loop.create_future()] = loop
    moment.set(1)
    assert asyncio.run(moment.wait()) == 1
    assert run_soon(loop, print) is False


def test_a_thread_works_in_the_callers_context() -> None:
    """What runs in a worker thread sees the caller's context variables, and changes only a copy."""
    variable = contextvars.ContextVar("variable", default="nothing")
    outcome: list[tuple[object, object]] = []
    done = threading.Event()

    def work() -> str:
        seen = variable.get()
        variable.set("theirs")
        return seen

    def finish(value: object, error: BaseException | None) -> None:
        outcome.append((value, error))
        done.set()

    variable.set("ours")
    run_in_thread(work, finish, name="worker")
    assert done.wait(LIMIT)
    assert outcome == [("ours", None)]
    assert variable.get() == "ours"


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


def test_calling_after_the_end() -> None:
    """When the control thread is gone a call runs where it is made; nothing hangs."""
    control = Control()
    control.end()
    assert control.thread.call(threading.get_ident) == threading.get_ident()
    control.thread.post(lambda: pytest.fail("nobody is there"))
    assert control.thread.join(0)

    async def work() -> None: ...

    with pytest.raises(RuntimeError, match="has ended"):
        asyncio.run(control.thread.request(work))


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
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(control.thread.call, lambda: 1) for _ in range(8)]
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


def test_before_the_start() -> None:
    """A control thread that was never started is called in place, and holds nothing open."""
    assert ControlThread().call(lambda: 5) == 5
    assert ControlThread().join(0)


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
