"""
Start and end of a `Lifecycle` on an event loop that already runs.

The steps that wait run in a separate thread, so that a slow registry does not block the loop.
Plugins are imported and constructed in the thread of the app even so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from lifecycle.calls.threads import in_thread
from lifecycle.core import Core
from lifecycle.drain.exit_code import Ending
from lifecycle.exceptions import LifecycleError

FORCED_TIME: Final = 2.0
"""Seconds that the end takes at most after its caller was cancelled."""


async def enter(core: Core) -> None:
    """
    Start on the running event loop. Returns when the app may start.

    Raises:
        LifecycleError: The start failed, and everything has ended again.
    """
    await _open(core)
    core.app_loop.attach()
    try:
        await core.control.request(core.running().start)
    except BaseException as error:
        await leave(core, error)
        raise
    core.start_report.main("main")


async def _open(core: Core) -> None:
    """Open everything. Steps that wait, for example for a registry, run in a separate thread."""
    await _in_thread_of_its_own(core, core.open_port)
    with core.ends_if_it_fails():
        core.find_plugins()
    try:
        await _in_thread_of_its_own(core, core.install_all)
    except LifecycleError:
        if core.is_up:  # there was no thread to end it in
            with core.ends_if_it_fails():
                raise
        raise
    core.say_what_failed()


async def _in_thread_of_its_own(core: Core, work: Callable[[], None]) -> None:
    opening = asyncio.ensure_future(in_thread(work, name="lifecycle-open"))
    try:
        await asyncio.shield(opening)
    except asyncio.CancelledError as error:
        core.give_up()
        await asyncio.wait({opening}, timeout=FORCED_TIME)
        if not opening.done():  # an import that hangs, whose thread cleans up later
            opening.add_done_callback(lambda done: done.cancelled() or done.exception())
        elif not opening.exception():
            await leave(core, error)
        raise


async def leave(core: Core, error: BaseException | None = None) -> None:
    """
    Drain, unless the drain is over, and end. If cancelled, returns after 2 s at the latest.

    Args:
        core: The parts that `enter` has started.
        error: The exception that ended the `async with` block, or None.
    """
    if core.in_child:
        return
    failed = error is not None and not isinstance(error, asyncio.CancelledError)
    cause = f"{type(error).__name__} raised" if failed else "the app's block ended"
    core.end(Ending(1 if failed else 0), cause)
    leaving = asyncio.ensure_future(_see_out(core))
    try:
        await asyncio.shield(leaving)
    except asyncio.CancelledError:
        departure = core.running().departure
        core.control.post(departure.force)
        await asyncio.wait({leaving}, timeout=FORCED_TIME)
        raise
    finally:
        leaving.cancel()
        core.release()
        try:
            await _end(core)
        finally:
            core.log.close(0)


async def _see_out(core: Core) -> None:
    await core.left.wait()
    core.released.set(None)
    await core.ended.wait()


async def _end(core: Core) -> None:
    try:
        await in_thread(core.await_end, name="lifecycle-close")
    except LifecycleError:  # no thread is available
        core.await_end()
