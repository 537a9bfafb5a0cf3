"""The dispatcher: every call is isolated and bounded, and nothing piles up. In virtual time."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from lifecycle.calls.dispatch import MOST_ANSWERS, Call, Delivery, InTurn, Own, Shared
from lifecycle.calls.runs import Status
from lifecycle.contracts import probe
from tests.unit.virtual_time import (
    Endless,
    Hang,
    attached,
    call,
    hang_for_ever,
    idle,
    implementation,
    made,
    now,
    run,
    until,
    workers,
)


class Unprintable(Exception):
    """Cannot be shown."""

    def __str__(self) -> str:
        raise SystemExit("no")


def test_a_plain_hook_answers_from_a_thread() -> None:
    """A plain function runs in a thread of its own, which ends with it."""

    async def main() -> None:
        outcome = await call(threading.current_thread, attached(), plugin="disk")()
        assert outcome.status is Status.ANSWERED
        assert outcome.problem() == ""
        assert outcome.value.name == "lifecycle-disk"
        assert outcome.value.daemon

    run(main())


def test_an_async_hook_answers_on_the_apps_loop() -> None:
    """An async function runs on the app's loop, in the app's context."""

    async def hook() -> Any:
        task = asyncio.current_task()
        assert task is not None
        return asyncio.get_running_loop(), task.get_name()

    async def main() -> None:
        outcome = await call(hook, attached(), plugin="disk")()
        assert outcome.value == (asyncio.get_running_loop(), "lifecycle-disk")

    run(main())


@pytest.mark.parametrize(
    "error", [ValueError("no"), SystemExit(3), KeyboardInterrupt(), GeneratorExit()]
)
@pytest.mark.parametrize("kind", ["async", "thread", "inline", "inline async"])
def test_a_hook_that_raises(kind: str, error: BaseException) -> None:
    """Whatever it raises, SystemExit too, is an outcome and no exception of ours."""

    async def async_hook() -> None:
        raise error

    def hook() -> None:
        raise error

    async def main() -> None:
        raising = async_hook if kind.endswith("async") else hook
        outcome = await call(raising, attached(), inline=kind.startswith("inline"))()
        assert outcome.status is Status.RAISED
        assert outcome.problem() == f"raised {type(error).__name__}: {error}"

    run(main())


def test_an_error_that_cannot_be_shown() -> None:
    """An exception whose own __str__ raises is named by its type."""

    def hook() -> None:
        raise Unprintable

    async def main() -> None:
        outcome = await call(hook, attached())()
        assert outcome.problem() == "raised Unprintable: (its message cannot be shown)"

    run(main())


def test_an_async_hook_with_arguments_it_cannot_take() -> None:
    """A call that fails before its first await is an outcome too."""

    async def hook(_one: object, _two: object) -> None: ...

    async def main() -> None:
        outcome = await call(hook, attached())()
        assert "missing 2 required positional arguments" in outcome.problem()

    run(main())


def test_a_plain_hook_that_returns_a_coroutine() -> None:
    """It is told how to be written."""

    async def answer() -> bool:
        return True

    def hook() -> Any:
        return answer()

    async def main() -> None:
        outcome = await call(hook, attached())()
        assert outcome.problem() == (
            "raised TypeError: the hook returned a coroutine. Declare the hook itself with `async def`."
        )

    run(main())


def test_a_generator_is_gone_through_in_its_thread() -> None:
    """A hook that yields several answers is run in the thread, not on the control loop."""

    def hook() -> Any:
        yield threading.current_thread().name

    async def main() -> None:
        outcome = await call(hook, attached(), plugin="many")()
        assert outcome.value == ["lifecycle-many"]

    run(main())


def test_a_callable_object_with_an_async_call() -> None:
    """An object whose `__call__` is async is async."""

    class Hook:
        async def __call__(self) -> str:
            return "async"

    async def main() -> None:
        assert (await call(Hook(), attached())()).value == "async"

    run(main())


def test_an_async_hook_that_hangs_is_cancelled() -> None:
    """It is late at its deadline, to the millisecond, and its task is cancelled."""
    hook = Endless()

    async def main() -> None:
        began = now()
        outcome = await call(hook, attached(), timeout=0.8)()
        assert outcome.status is Status.LATE
        assert outcome.problem() == "gave no answer for 0.8 s"
        assert now() - began == pytest.approx(0.8)
        await until(lambda: bool(hook.ended), within=0.1)

    run(main())


def test_its_own_timeout_wins() -> None:
    """`@lifecycle.probe(timeout=…)` counts instead of `probe_timeout`."""

    @probe(timeout=5)
    async def hook() -> str:
        await asyncio.sleep(4)
        return "slow"

    async def main() -> None:
        assert (await call(hook, attached(), timeout=0.8)()).value == "slow"

    run(main())


def test_a_thread_that_hangs() -> None:
    """It is late at its deadline; who asks again gets no second thread; then it is forgotten."""
    hang = Hang()

    async def main() -> None:
        asked = call(hang.wait, attached())
        began = now()
        assert (await asked()).status is Status.LATE
        assert now() - began == pytest.approx(0.8)
        assert (await asked()).status is Status.LATE
        assert len(workers()) == 1
        hang.let_go()
        await idle(asked)
        assert (await asked()).status is Status.ANSWERED

    run(main())


def test_a_cancellation_that_is_ignored() -> None:
    """A task that ignores its cancellation stays outstanding, and is not started again."""
    free = []
    started = []

    async def hook() -> str:
        started.append(1)
        while not free:
            try:
                await asyncio.sleep(0.05)
            except asyncio.CancelledError:
                continue
        return "at last"

    async def main() -> None:
        asked = call(hook, attached())
        for _ in range(20):
            assert (await asked()).status is Status.LATE
        assert started == [1]
        free.append(True)
        await idle(asked)
        assert (await asked()).value == "at last"
        assert started == [1, 1]

    run(main())


def test_a_run_is_shared() -> None:
    """Who asks while a run is under way gets its outcome; the next one after it runs anew."""
    runs = []

    async def hook() -> int:
        runs.append(1)
        await asyncio.sleep(0.5)
        return len(runs)

    async def main() -> None:
        asked = call(hook, attached())
        several = await asyncio.gather(*(asked() for _ in range(50)))
        assert {outcome.value for outcome in several} == {1}
        assert (await asked()).value == 2

    run(main())


def test_as_many_answers_as_may_be() -> None:
    """A generator may give exactly so many."""

    def hook() -> Any:
        yield from range(MOST_ANSWERS)

    async def main() -> None:
        outcome = await call(hook, attached(), timeout=60.0)()
        assert outcome.value == list(range(MOST_ANSWERS))

    run(main())


@pytest.mark.parametrize("kind", [Shared, Own, InTurn])
@pytest.mark.parametrize("inline", [False, True])
def test_what_it_is_given(kind: type[Call], inline: bool) -> None:
    """What is given comes first, and of what is offered an implementation gets what it names."""

    async def hook(request: str, life: str) -> str:
        return f"{request} {life}"

    async def main() -> None:
        each = implementation(hook, inline=inline)._replace(argnames=("life",))
        asked: Any = kind(each, attached(), 0.8)
        assert (await asked("request", life="life", drain="drain")).value == "request life"

    run(main())


def test_an_endless_generator() -> None:
    """One that never ends is a failure that says so; it fills no memory."""
    given = []

    def hook() -> Any:
        while True:
            given.append(True)
            yield True

    async def main() -> None:
        outcome = await call(hook, attached(), timeout=60.0)()
        assert (
            outcome.problem()
            == f"raised TypeError: the hook yielded more than {MOST_ANSWERS} answers"
        )
        assert outcome.value is None
        assert len(given) == MOST_ANSWERS + 1

    run(main())


def test_an_inline_hook_runs_here_and_now() -> None:
    """A built-in runs on the control loop itself, without a step in between."""

    async def main() -> None:
        asked = made(Delivery, now, attached(), inline=True)
        assert asked.immediate
        assert asked.now().value == now()

        def hook() -> None:
            raise ValueError("no")

        failing = made(Delivery, hook, attached(), inline=True)
        assert failing.now().problem() == "raised ValueError: no"
        assert not made(Delivery, hang_for_ever, attached(), inline=True).immediate
        assert not made(Delivery, now, attached()).immediate

    run(main())


def test_an_inline_coroutine_is_cancelled_with_its_caller() -> None:
    """The drain handler's wait ends when the drain's does."""
    hook = Endless()

    async def main() -> None:
        asked = made(Own, hook, attached(), timeout=None, inline=True)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):
                await asked()
        await until(lambda: bool(hook.ended), within=0.1)

    run(main())
