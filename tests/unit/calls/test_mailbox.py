"""Transitions are delivered to each plugin in order, one at a time, and none is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from lifecycle.calls.app_loop import AppLoop
from lifecycle.calls.dispatch import Delivery
from lifecycle.calls.mailbox import Mailbox
from tests.unit.virtual_time import (
    Hang,
    attached,
    implementation,
    move,
    now,
    posted,
    run,
    until,
)


def mailbox(
    hook: Any, *, inline: bool = False, app_loop: AppLoop | None = None
) -> tuple[Mailbox, list[tuple[str, str]]]:
    """Make the mailbox of a hook that takes `number`."""
    problems: list[tuple[str, str]] = []
    each = implementation(hook, inline=inline)._replace(argnames=("number",))
    call = Delivery(each, app_loop or attached(), 0.8)
    return Mailbox(call, lambda plugin, problem: problems.append((plugin, problem))), problems


def test_in_order_one_at_a_time() -> None:
    """A slow plugin gets the next one when it is done with the one before."""
    seen: list[tuple[str, int]] = []

    async def hook(number: int) -> None:
        seen.append(("begin", number))
        await asyncio.sleep(0.5)
        seen.append(("end", number))

    async def main() -> None:
        box, problems = mailbox(hook)
        for number in range(5):
            box.put(number=number)
        await box.empty()
        assert seen == [(what, n) for n in range(5) for what in ("begin", "end")]
        assert problems == []

    run(main())


def test_threads_too() -> None:
    """The same for a plain function, which runs in a thread."""
    seen: list[int] = []

    def hook(number: int) -> None:
        seen.append(number)

    async def main() -> None:
        box, _ = mailbox(hook)
        for number in range(20):
            box.put(number=number)
        await box.empty()
        assert seen == list(range(20))

    run(main())


def test_a_built_in_learns_at_once() -> None:
    """A built-in has seen the transition when `put` returns."""
    seen: list[int] = []

    def hook(number: int) -> None:
        seen.append(number)

    async def main() -> None:
        box, _ = mailbox(hook, inline=True)
        box.put(number=1)
        assert seen == [1]

    run(main())


def test_raising_is_noted_and_the_next_one_comes() -> None:
    """One that raises is complained of; the next is delivered all the same."""
    seen: list[int] = []

    def hook(number: int) -> None:
        seen.append(number)
        if number == 1:
            raise ValueError("no")

    async def main() -> None:
        box, problems = mailbox(hook)
        for number in range(3):
            box.put(number=number)
        await box.empty()
        assert seen == [0, 1, 2]
        assert problems == [("p", "raised ValueError: no")]

    run(main())


def test_a_slow_one_delays_nobody_else() -> None:
    """Two mailboxes know nothing of each other."""
    hang = Hang()
    seen: list[int] = []

    def hook(number: int) -> None:
        seen.append(number)

    async def main() -> None:
        slow, problems = mailbox(lambda number: hang.wait())
        quick, _ = mailbox(hook)
        for number in range(3):
            slow.put(number=number)
            quick.put(number=number)
        began = now()
        await quick.empty()
        assert seen == [0, 1, 2]
        assert now() - began < 0.8
        await until(lambda: bool(problems))
        assert problems == [("p", "gave no answer for 0.8 s")]
        hang.let_go()
        await slow.empty()

    run(main())


def test_put_in_the_step_after_the_last_delivery() -> None:
    """What is put just as the last delivery has ended is delivered, not forgotten."""
    seen: list[int] = []

    async def hook(number: int) -> None:
        seen.append(number)
        raise ValueError

    async def main() -> None:
        loop = asyncio.get_running_loop()
        box, _ = mailbox(hook)
        # Told of the problem in the very step in which the delivery ends.
        box._on_problem = lambda *_: loop.call_soon(late) if len(seen) == 1 else None  # type: ignore[assignment, func-returns-value]

        def late() -> None:
            box.put(number=2)

        box.put(number=1)
        await until(lambda: len(seen) == 2, within=1)
        await box.empty()
        assert seen == [1, 2]

    run(main())


def test_a_closed_mailbox_delivers_nothing_more() -> None:
    """What waits is forgotten, and `empty` returns."""
    seen: list[int] = []

    async def hook(number: int) -> None:
        seen.append(number)
        await asyncio.sleep(100)

    async def main() -> None:
        box, _ = mailbox(hook)
        box.put(number=1)
        box.put(number=2)
        await until(lambda: bool(seen))
        box.close()
        await box.empty()
        await asyncio.sleep(1000)
        assert seen == [1]

    run(main())


def test_closing_before_the_first_delivery() -> None:
    """A mailbox that is closed in the step in which it got something does not hang."""

    async def main() -> None:
        box, _ = mailbox(lambda number: None)
        box.put(number=1)
        box.close()
        await box.empty()

    run(main())


def block(app_loop: AppLoop, stuck: asyncio.SelectorEventLoop) -> Callable[[], None]:
    """Have the app's loop be stuck; what is returned has it come back, and do what waits."""
    apps = asyncio.get_running_loop()
    move(app_loop, stuck)

    def free() -> None:
        move(app_loop, apps)
        apps.call_soon(posted(stuck)[0]._run)

    return free


def test_a_busy_loop_is_told_afterwards(stuck: asyncio.SelectorEventLoop) -> None:
    """What could not be delivered is complained of, and delivered when the loop is back, in order."""
    seen: list[int] = []

    async def hook(number: int) -> None:
        seen.append(number)

    async def main() -> None:
        app_loop = attached()
        box, problems = mailbox(hook, app_loop=app_loop)
        free = block(app_loop, stuck)
        for number in range(3):
            box.put(number=number)
        await asyncio.sleep(100)
        assert seen == []
        late = "not started within 0.8 s, because the app's event loop is busy or has ended"
        assert problems == [("p", late)]
        free()
        await box.empty()
        assert seen == [0, 1, 2]
        assert len(problems) == 1

    run(main())


def test_one_that_begins_late_and_hangs(stuck: asyncio.SelectorEventLoop) -> None:
    """Its time counts from its beginning; then it is cancelled, and the next one comes."""
    seen: list[tuple[int, float]] = []

    async def hook(number: int) -> None:
        began = now()
        try:
            await asyncio.sleep(100 if number == 0 else 0)
        finally:
            seen.append((number, now() - began))

    async def main() -> None:
        app_loop = attached()
        box, _ = mailbox(hook, app_loop=app_loop)
        free = block(app_loop, stuck)
        for number in range(2):
            box.put(number=number)
        await asyncio.sleep(10)
        free()
        await box.empty()
        assert seen == [(0, pytest.approx(0.8)), (1, 0)]

    run(main())


@pytest.mark.parametrize("wait", [0.1, 10.0])
def test_closing_while_the_loop_is_busy(stuck: asyncio.SelectorEventLoop, wait: float) -> None:
    """What waits for the loop when the mailbox is closed is not delivered afterwards."""
    seen: list[int] = []

    async def hook(number: int) -> None:
        seen.append(number)

    async def main() -> None:
        app_loop = attached()
        box, _ = mailbox(hook, app_loop=app_loop)
        free = block(app_loop, stuck)
        box.put(number=0)
        await asyncio.sleep(wait)
        box.close()
        await asyncio.sleep(1)
        free()
        await asyncio.sleep(1)
        assert seen == []

    run(main())


def test_one_that_may_take_all_the_time() -> None:
    """Without a timeout it is waited for, however late it has begun."""
    seen: list[float] = []

    async def hook(number: int) -> None:
        await asyncio.sleep(number)
        seen.append(now())

    async def main() -> None:
        began = now()
        each = implementation(hook)._replace(argnames=("number",))
        problems: list[str] = []
        box = Mailbox(Delivery(each, attached(), None), lambda _, problem: problems.append(problem))
        box.put(number=3600)
        await box.empty()
        assert (seen, problems) == ([pytest.approx(began + 3600)], [])

    run(main())
