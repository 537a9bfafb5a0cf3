"""What runs in a worker thread, and who waits for it."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import pytest

from lifecycle.calls.threads import in_thread, run_in_thread

LIMIT = 10


def test_a_thread_works_in_the_callers_context() -> None:
    """What runs in a worker thread sees the caller's context variables, and changes only a copy."""
    variable = contextvars.ContextVar("variable", default="nothing")
    outcome: list[tuple[object, object]] = []
    done = threading.Event()

    def work() -> str:
        seen = variable.get()
        variable.set("theirs")
        return seen

    def finish(value: object, error: BaseException | None) -> None:
        outcome.append((value, error))
        done.set()

    variable.set("ours")
    run_in_thread(work, finish, name="worker")
    assert done.wait(LIMIT)
    assert outcome == [("ours", None)]
    assert variable.get() == "ours"


def test_who_is_cancelled_waits_for_no_thread() -> None:
    """What runs in a thread is awaited, with its error; a cancelled caller goes at once."""
    release = threading.Event()

    def fail() -> None:
        raise LookupError("no")

    async def main() -> None:
        assert await in_thread(lambda: threading.current_thread().name, name="mine") == "mine"
        with pytest.raises(LookupError):
            await in_thread(fail, name="mine")
        waiting = asyncio.create_task(in_thread(lambda: release.wait(LIMIT), name="mine"))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting})
        assert waiting.cancelled()
        assert not release.is_set()

    try:
        asyncio.run(main())
    finally:
        release.set()
