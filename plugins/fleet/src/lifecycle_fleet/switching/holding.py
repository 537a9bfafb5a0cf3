"""Holds a pod offline for a command, for a time, or until a person presses Enter."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import sys
import termios
from collections.abc import Sequence
from typing import Final

from lifecycle_fleet.cluster.in_pod import Place
from lifecycle_fleet.errors import Misused
from lifecycle_fleet.switching.signals import Signals, first

END_TIME: Final = 10.0
"""Seconds for a command to end after SIGTERM."""


def say(text: str) -> None:
    """Write a line to stderr, which may be gone with the terminal."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def check(command: Sequence[str], seconds: float | None) -> None:
    """
    Check that something can end the hold.

    Raises:
        Misused: Nothing can, or two things.
    """
    if command and seconds is not None:
        raise Misused("--for and a command exclude each other")
    if not command and seconds is None and not (sys.stdin is not None and sys.stdin.isatty()):
        raise Misused(
            "stdin is not a terminal, so you cannot press Enter. Pass --for SECONDS, or a command "
            "after --"
        )


async def hold(
    place: Place, command: Sequence[str], seconds: float | None, signals: Signals
) -> int:
    """
    Return when the hold is over.

    Args:
        place: The pod.
        command: The words of a command, or empty.
        seconds: A time, or None to wait for Enter.
        signals: The signals, which end it.

    Returns:
        The exit code.
    """
    if command:
        return await _run(place, command, signals)
    if seconds is not None:
        say(f"{place}: is offline for {seconds:g} s. To bring it back now, press Ctrl-C")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(signals.any.wait(), seconds)
        return signals.code
    _forget_typed()
    say(f"{place}: is offline. To bring it back, press Enter")
    loop, entered = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sys.stdin, entered.set)
    try:
        await first(entered, signals.any)
    finally:
        loop.remove_reader(sys.stdin)
        _forget_typed()
    return signals.code


def _forget_typed() -> None:
    """Discard what was typed. Before the hold, it does not end it, and later no shell runs it."""
    with contextlib.suppress(termios.error):  # the terminal is gone
        termios.tcflush(sys.stdin, termios.TCIFLUSH)


async def _run(place: Place, command: Sequence[str], signals: Signals) -> int:
    """Run a command to its end. What Ctrl-C does is its own decision, because it gets it too."""
    say(f"{place}: is offline. Runs {shlex.join(command)}")
    environ = {**os.environ, "POD_NAME": place.pod, "POD_NAMESPACE": place.namespace}
    try:
        process = await asyncio.create_subprocess_exec(*command, env=environ)
    except OSError as error:
        raise Misused(f"{command[0]} cannot be started: {error.strerror}") from None
    waiting = asyncio.create_task(process.wait())
    ended = asyncio.Event()
    waiting.add_done_callback(lambda _: ended.set())
    await first(ended, signals.end)
    if not ended.is_set():
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await asyncio.wait({waiting}, timeout=END_TIME)
    if not ended.is_set():
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    code = await waiting
    return code if code >= 0 else 128 - code
