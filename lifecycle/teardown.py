"""The end of the app's loop: taken down, or left as it is where it is a parent's."""

from __future__ import annotations

import asyncio
import os
import select
from contextlib import suppress
from typing import Any, Final

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

    What its tasks would do when they are cancelled is the parent's to do. And the kernel's table
    of what the loop watches is shared: the interpreter closes a loop that is dropped, which would
    take away from the parent what wakes its own.
    """
    loop.set_exception_handler(lambda *_: None)  # tasks that have not ended, when they are dropped
    selector: Any = getattr(loop, "_selector", None)
    if type(selector).__name__ == "EpollSelector":
        with select.epoll() as table:
            os.dup2(table.fileno(), selector.fileno(), inheritable=False)
