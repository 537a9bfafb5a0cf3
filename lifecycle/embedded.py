"""
A lifecycle that starts and ends on a loop that somebody else runs.

The parts that wait have a thread of their own, so that a slow registry holds up nothing else on
that loop. Plugins are imported and constructed in the app's thread all the same.
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
"""Seconds that leaving takes at most once who waits for it has been cancelled."""


async def enter(core: Core) -> None:
    """
    Start under the loop that runs here; returns when the app may start.

    Raises:
        LifecycleError: It cannot start; then it has ended.
    """
    await _open(core)
    core.app_loop.attach()
    try:
        await core.control.request(core.running().start)
    except BaseException as error:
        await leave(core, error)
        raise


async def _open(core: Core) -> None:
    """Open, with what has to wait in a thread of its own: a registry takes its time."""
    await _in_thread_of_its_own(core, core.open_port)
    with core.ends_if_it_fails():
        core.find_plugins()
    try:
        await _in_thread_of_its_own(core, core.install_all)
    except LifecycleError:
        if core.is_up:  # no thread was to be had to end it in
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
        if not opening.done():  # an import that hangs: its thread clears up by itself
            opening.add_done_callback(lambda done: done.cancelled() or done.exception())
        elif not opening.exception():
            await leave(core, error)
        raise


async def leave(core: Core, error: BaseException | None = None) -> None:
    """
    Drain, if that is not done, and end. Cancelled, it takes 2 s more at most.

    Args:
        core: What was entered.
        error: What the app's block was left with.
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
    except LifecycleError:  # no thread to be had
        core.await_end()
