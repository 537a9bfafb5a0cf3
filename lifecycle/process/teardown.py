"""The end of the app's loop: taken down, or left as it is where it is a parent's."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

TEARDOWN: Final = 0.3
"""Seconds for what plugins do in their last moment."""


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
