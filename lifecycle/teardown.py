"""The end of the app's loop: taken down, or left as it is where it is a parent's."""

from __future__ import annotations

import asyncio
import os
import select
import selectors
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

    Args:
        loop: One that has been parted from the parent's: see `part_from_parent`.
    """
    # What its tasks would do when they are cancelled is the parent's to do: they are dropped too.
    loop.set_exception_handler(lambda *_: None)


def part_from_parent(loop: asyncio.AbstractEventLoop) -> None:
    """
    Have a forked child's copy of a loop watch for itself, before anything closes it.

    The kernel's table of what a loop watches is shared: who closes the copy takes away from the
    parent what wakes its own.
    """
    selector: Any = getattr(loop, "_selector", None)
    if type(selector).__name__ != "EpollSelector":
        return
    with select.epoll() as table:
        for key in selector.get_map().values():
            reads = select.EPOLLIN if key.events & selectors.EVENT_READ else 0
            writes = select.EPOLLOUT if key.events & selectors.EVENT_WRITE else 0
            with suppress(OSError):  # it is closed in the child
                table.register(key.fd, reads | writes)
        os.dup2(table.fileno(), selector.fileno(), inheritable=False)
