"""The end of the app's loop, in the process that runs it and in a forked child."""

from __future__ import annotations

import asyncio
import importlib
import os

import pytest

from lifecycle.calls.app_loop import part_from_parent


def in_child(work: object) -> int:
    """Do something in a forked child, and return its exit code."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()  # type: ignore[operator]
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
def test_a_child_that_drops_the_loop_takes_nothing_from_its_parent(kind: str) -> None:
    """What other threads ask of the parent's loop still wakes it."""
    loop = importlib.import_module(kind).new_event_loop()

    async def woken() -> bool:
        """Wait for a thread's call; a timer that wakes the loop too would hide what does not."""
        called: asyncio.Future[bool] = loop.create_future()
        late = loop.call_later(5, lambda: called.done() or called.set_result(False))
        answered = loop.run_in_executor(None, os.getpid)
        answered.add_done_callback(lambda _: called.done() or called.set_result(True))
        try:
            return await called
        finally:
            late.cancel()

    def drop() -> None:
        part_from_parent(loop)
        loop.close()

    assert loop.run_until_complete(woken())
    assert in_child(drop) == 0
    assert loop.run_until_complete(woken())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
