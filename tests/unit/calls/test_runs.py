"""The moves of one run: what comes first decides, and what comes later changes nothing."""

from __future__ import annotations

import asyncio

from lifecycle.calls.runs import Limits, Run, Status, guard
from tests.unit.virtual_time import attached, run


def made() -> Run:
    """Make a run that waits for the app's loop."""
    return Run(attached(), Limits(0.8))


def test_what_is_given_up_never_begins() -> None:
    """Given up while it waits, it is over: told, ended, and nothing moves it any more."""

    async def main() -> None:
        one = made()
        assert one.abandon()
        assert not one.begin()
        assert not one.abandon()
        one.finish("late", None)
        await asyncio.sleep(0)
        assert one.ended.done()
        assert one.told.result().status is Status.UNSTARTED

    run(main())


def test_what_has_answered_is_not_given_up() -> None:
    """An answer that the control loop has not heard yet counts, though its deadline comes first."""

    async def main() -> None:
        one = made()
        assert one.begin()
        assert not one.begin()
        assert not one.abandon(if_queued=True)
        one.finish("answer", None)
        assert not one.abandon()
        await asyncio.sleep(0)
        assert one.told.result().value == "answer"

    run(main())


def test_what_is_given_up_at_work_is_cancelled_once() -> None:
    """Its callers are told at once; it has ended when it says so."""

    async def main() -> None:
        cancelled = []
        one = made()
        task = asyncio.create_task(asyncio.sleep(1))
        assert one.begin()
        assert one.attach(task, lambda: cancelled.append(True))
        assert one.abandon()
        assert not one.abandon()
        assert not one.attach(task, lambda: None)
        assert (one.told.result().status, one.ended.done()) == (Status.LATE, False)
        one.finish(None, asyncio.CancelledError())
        await asyncio.sleep(0)
        assert one.ended.done()
        assert cancelled == [True]
        await task

    run(main())


def test_what_must_not_take_its_first_step_is_not_awaited() -> None:
    """A run that has not begun, or was given up: its guard says that it was cancelled, and ends."""

    async def main() -> None:
        awaited = []

        async def hook() -> None:
            awaited.append(True)

        one, coroutine = made(), hook()
        await guard(coroutine, one, lambda _: None)
        coroutine.close()
        await asyncio.sleep(0)
        outcome = one.told.result()
        assert (outcome.status, outcome.value) == (Status.RAISED, None)
        assert isinstance(outcome.error, asyncio.CancelledError)
        assert one.ended.done()
        assert awaited == []

    run(main())
