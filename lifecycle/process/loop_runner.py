"""The loop of main, which runs until main is over, and is then closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

TEARDOWN: Final = 0.3
"""Seconds for the tasks of plugins at the end."""


def run_until_over(
    loop: asyncio.AbstractEventLoop,
    work: Coroutine[Any, Any, None],
    *,
    leaving: Callable[[BaseException], bool],
    stopped: Callable[[], None],
) -> None:
    """
    Run a coroutine to its end, even if the app stops the loop before that.

    Args:
        loop: The loop.
        work: The coroutine.
        leaving: Called with a SystemExit or KeyboardInterrupt that a task, or the signal handler of
            a server, has raised. If it returns True, the loop makes no further turn.
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
    """Mark the exception of a task as retrieved, so that asyncio does not log it."""
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
    """Cancel the tasks that plugins have left. Returns True if a task ignores it."""
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
    Drop the loop in a forked child, which has a copy of it. The loop makes no further turn.

    Args:
        loop: A loop that is separated from the parent's: see `part_from_parent`.
    """
    # The cleanup of its tasks belongs to the parent, so the tasks are dropped too.
    loop.set_exception_handler(lambda *_: None)
