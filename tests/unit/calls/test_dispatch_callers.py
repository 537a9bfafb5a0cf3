"""Who comes second, who leaves, and who was refused: what becomes of the run. In virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lifecycle.calls.app_loop import AppLoop
from lifecycle.calls.dispatch import Call, InTurn, Own, Shared
from lifecycle.calls.runs import Outcome, Status
from tests.unit.virtual_time import (
    Endless,
    Hang,
    attached,
    call,
    hang_for_ever,
    idle,
    made,
    move,
    now,
    posted,
    run,
    until,
    workers,
)


def guest_of(stuck: asyncio.SelectorEventLoop) -> AppLoop:
    """Return a guest whose loop is stuck."""
    app_loop = attached()
    move(app_loop, stuck)
    return app_loop


def come_back(stuck: asyncio.SelectorEventLoop) -> None:
    """Let the app's loop do all that was asked of it meanwhile."""
    control = asyncio.get_running_loop()
    asyncio._set_running_loop(None)
    try:
        stuck.run_until_complete(asyncio.sleep(0.01))
    finally:
        asyncio._set_running_loop(control)


async def leave(*callers: asyncio.Task[Outcome]) -> None:
    """Let callers go away."""
    for each in callers:
        each.cancel()
    await asyncio.wait(callers)
    assert all(each.cancelled() for each in callers)


@pytest.mark.parametrize("kind", ["async", "inline", "thread"])
def test_who_leaves_a_shared_run_takes_nothing_from_the_others(kind: str) -> None:
    """A stranger hangs up while his probe is under way; the kubelet, who shares it, is answered."""
    hang = Hang()

    async def slow() -> str:
        await asyncio.sleep(0.5)
        return "fine"

    def in_thread() -> str:
        hang.wait()
        return "fine"

    async def main() -> None:
        hook: Any = in_thread if kind == "thread" else slow
        asked = call(hook, attached(), inline=kind == "inline")
        stranger = asyncio.create_task(asked())
        await asyncio.sleep(0.1)
        kubelet = asyncio.create_task(asked())
        await asyncio.sleep(0.1)
        await leave(stranger)
        later = asyncio.create_task(asked())
        await asyncio.sleep(0.1)
        hang.let_go()
        while workers():
            await asyncio.sleep(0)
        assert (await kubelet).value == "fine"
        assert (await later).value == "fine"

    run(main())


def test_a_shared_run_that_all_have_left_ends_by_its_deadline() -> None:
    """Nobody waits for it any more, and still it is cancelled when its time is up."""
    hook = Endless()

    async def main() -> None:
        asked = call(hook, attached(), timeout=0.8)
        began = now()
        callers = [asyncio.create_task(asked()) for _ in range(3)]
        await asyncio.sleep(0.1)
        await leave(*callers)
        await until(lambda: bool(hook.ended), within=1)
        assert hook.ended == [pytest.approx(began + 0.8)]

    run(main())


@pytest.mark.parametrize("start_within", [None, 0.05])
def test_who_comes_second_waits_for_what_is_left(start_within: float | None) -> None:
    """A run has one deadline, whenever its callers have come: the second one's is not later."""

    async def main() -> None:
        asked = call(hang_for_ever, attached(), timeout=0.8, start_within=start_within)
        began = now()
        first = asyncio.create_task(asked())
        await asyncio.sleep(0.5)
        second = await asked()
        assert second.status is (await first).status is Status.LATE
        assert now() - began == pytest.approx(0.8)

    run(main())


def test_who_comes_second_to_what_has_not_begun(stuck: asyncio.SelectorEventLoop) -> None:
    """The second one is told that it was not started at the same time as the first one."""

    async def main() -> None:
        asked = call(hang_for_ever, guest_of(stuck), timeout=0.8, start_within=0.05)
        began = now()
        first = asyncio.create_task(asked())
        await asyncio.sleep(0.03)
        second = await asked()
        assert second.status is (await first).status is Status.UNSTARTED
        assert now() - began == pytest.approx(0.05)

    run(main())


@pytest.mark.parametrize(("timeout", "start_within"), [(0.03, 0.05), (0.05, 0.05), (0.8, 0.05)])
def test_to_start_takes_no_longer_than_the_whole(
    stuck: asyncio.SelectorEventLoop, timeout: float, start_within: float
) -> None:
    """A probe whose own timeout is shorter than the time to start is late by that."""

    async def main() -> None:
        began = now()
        asked = call(hang_for_ever, guest_of(stuck), timeout=timeout, start_within=start_within)
        assert (await asked()).status is Status.UNSTARTED
        assert now() - began == pytest.approx(min(timeout, start_within))

    run(main())


def test_who_comes_to_what_goes_on_after_its_deadline() -> None:
    """He is told at once for how long it has been going on, and starts no second one."""
    hang = Hang()

    async def main() -> None:
        asked = call(hang.wait, attached(), timeout=0.8)
        await asked()
        await asyncio.sleep(2)
        began = now()
        outcome = await asked()
        assert (outcome.status, now()) == (Status.LATE, began)
        assert outcome.problem() == "gave no answer for 2.8 s"
        hang.let_go()
        await idle(asked)

    run(main())


@pytest.mark.parametrize("kind", [Shared, Own])
def test_what_was_refused_does_not_run(kind: type[Call], stuck: asyncio.SelectorEventLoop) -> None:
    """1,000 who were told "not started": one handle of the busy loop, and nothing runs later."""
    ran = []

    async def hook() -> None:
        ran.append(1)

    async def main() -> None:
        asked: Any = made(kind, hook, guest_of(stuck), timeout=0.3)
        several = await asyncio.gather(*(asked() for _ in range(1000)))
        assert {outcome.status for outcome in several} == {Status.UNSTARTED}
        for _ in range(3):
            assert (await asked()).status is Status.UNSTARTED
        assert len(posted(stuck)) == 1
        assert asked._outside._waiting == {}  # who has left is not kept
        come_back(stuck)
        assert ran == []
        again = asyncio.create_task(asked())
        await asyncio.sleep(0.1)
        come_back(stuck)
        assert (await again).status is Status.ANSWERED
        assert ran == [1]

    run(main())


@pytest.mark.parametrize("timeout", [5.0, None])
def test_what_was_left_before_it_began_does_not_run(
    timeout: float | None, stuck: asyncio.SelectorEventLoop
) -> None:
    """A caller who hangs up, or a drain that is over, while the loop is busy: it never begins."""
    ran = []

    async def hook() -> None:
        ran.append(1)

    async def main() -> None:
        asked = made(Own, hook, guest_of(stuck), timeout=timeout)
        callers = [asyncio.create_task(asked()) for _ in range(3)]
        await asyncio.sleep(1)
        await leave(*callers[1:])
        come_back(stuck)
        assert (await callers[0]).status is Status.ANSWERED
        assert ran == [1]

    run(main())


def test_an_own_run_ends_with_its_caller() -> None:
    """Each caller has one of his own; who leaves takes his with him, and no other."""
    begun: list[int] = []
    ended: list[int] = []

    async def hook(number: int) -> int:
        begun.append(number)
        try:
            await asyncio.sleep(2)
        finally:
            ended.append(number)
        return number

    async def main() -> None:
        asked = made(Own, hook, attached(), timeout=5.0)
        callers = [asyncio.create_task(asked(number)) for number in range(3)]
        await asyncio.sleep(1)
        assert begun == [0, 1, 2]
        await leave(callers[1])
        await until(lambda: ended == [1], within=0.1)
        assert (await callers[0]).value == 0
        assert (await callers[2]).value == 2

    run(main())


def test_an_own_run_in_a_thread_goes_on_without_its_caller() -> None:
    """A thread cannot be ended: the next one's turn comes when it has."""
    hang = Hang()

    async def main() -> None:
        asked = made(InTurn, hang.wait, attached(), timeout=5.0)
        caller = asyncio.create_task(asked())
        await asyncio.sleep(1)
        await leave(caller)
        second = asyncio.create_task(asked())
        await asyncio.sleep(1)
        assert not second.done()
        hang.let_go()
        while workers():
            await asyncio.sleep(0)
        assert (await second).status is Status.ANSWERED

    run(main())


@pytest.mark.parametrize("inline", [False, True])
def test_what_is_given_up_before_its_first_step(inline: bool) -> None:
    """Its caller is told, and it never begins."""
    begun = []

    async def hook() -> None:
        begun.append(1)

    async def main() -> None:
        asked = made(Shared, hook, attached(), timeout=60, inline=inline)
        caller = asyncio.create_task(asked())
        asyncio.get_running_loop().call_soon(
            asked.close
        )  # between the caller's step and the hook's
        outcome = await caller
        assert outcome.status is (Status.LATE if inline else Status.UNSTARTED)
        await idle(asked)
        assert begun == []

    run(main())


def test_a_turn_has_one_deadline() -> None:
    """Who waits for several runs before his own is told BUSY after his own time, not after theirs."""

    async def hook() -> None:
        await asyncio.sleep(1.5)

    async def main() -> None:
        asked = made(InTurn, hook, attached(), timeout=2.0)
        began = now()
        callers = [asyncio.create_task(asked()) for _ in range(3)]
        assert [(await each).status for each in callers] == [
            *(Status.ANSWERED, Status.ANSWERED),
            Status.BUSY,
        ]
        assert callers[2].result().seconds == pytest.approx(0.5)
        assert now() - began == pytest.approx(3.0)

    run(main())


def test_a_probe_that_is_closed_begins_nothing() -> None:
    """At the end what is under way is cancelled, its caller told, and nobody asked any more."""
    hook = Endless()

    async def main() -> None:
        asked = call(hook, attached(), timeout=60)
        caller = asyncio.create_task(asked())
        await asyncio.sleep(1)
        asked.close()
        assert (await caller).status is Status.LATE
        await until(lambda: bool(hook.ended), within=0.1)
        assert await asked() == Outcome(Status.UNSTARTED, 0.0)
        assert len(hook.ended) == 1

    run(main())
