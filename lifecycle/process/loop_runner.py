"""The loop that main runs on: run until that is over, and taken down."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

TEARDOWN: Final = 0.3
"""Seconds for what plugins do in their last moment."""


def run_until_over(
    loop: asyncio.AbstractEventLoop,
    work: Coroutine[Any, Any, None],
    *,
    leaving: Callable[[BaseException], bool],
    stopped: Callable[[], None],
) -> None:
    """
    Run something to its end, though the app may stop the loop on the way.

    Args:
        loop: The loop.
        work: What is run.
        leaving: Called with the SystemExit or KeyboardInterrupt by which a task, or a server's
            signal handler, wants out; if it returns True, the loop runs not one turn more.
        stopped: Called when the app has stopped the loop.
    """
    task = loop.create_task(work)
    while not task.done():
        try:
            loop.run_until_complete(task)
        except (SystemExit, KeyboardInterrupt) as error:
            _know_of(error, loop)
            if leaving(error):
                return
        except RuntimeError:
            if task.done():
                raise
            stopped()


def _know_of(leaving: BaseException, loop: asyncio.AbstractEventLoop) -> None:
    """Have the loop not complain that nobody retrieved it from the task that raised it."""
    handle = loop.get_exception_handler()

    def complain(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if context.get("exception") is leaving:
            return
        if handle is None:
            loop.default_exception_handler(context)
        else:
            handle(loop, context)

    loop.set_exception_handler(complain)


def tear_down(loop: asyncio.AbstractEventLoop) -> bool:
    """Cancel what plugins have left behind; True if something ignores it."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    with suppress(SystemExit, KeyboardInterrupt):  # too late to decide anything
        if left:
            loop.run_until_complete(asyncio.wait(left, timeout=TEARDOWN))
    if any(not task.done() for task in left):
        return True
    with suppress(TimeoutError):
        loop.run_until_complete(asyncio.wait_for(loop.shutdown_asyncgens(), TEARDOWN))
    loop.close()
    return False


def leave_to_parent(loop: asyncio.AbstractEventLoop) -> None:
    """
    Drop, in a forked child, the loop that it has a copy of: it runs not one turn more.

    Args:
        loop: One that has been parted from the parent's: see `part_from_parent`.
    """
    # What its tasks would do when they are cancelled is the parent's to do: they are dropped too.
    loop.set_exception_handler(lambda *_: None)
