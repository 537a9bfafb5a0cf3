"""Signals that would end this process, as events."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from typing import Final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """
    The signals that have come.

    Attributes:
        any: Set by each of them.
        end: Set by SIGTERM and SIGHUP, which a command that is run does not get by itself, unlike the
            SIGINT of Ctrl-C.
        code: The exit code of this process after the last one, or 0.
    """

    def __init__(self) -> None:
        self.any = asyncio.Event()
        self.end = asyncio.Event()
        self.code = 0

    def take(self, number: int) -> None:
        """Note a signal."""
        self.code = 128 + number
        self.any.set()
        if number != signal.SIGINT:
            self.end.set()


@contextlib.contextmanager
def noted() -> Iterator[Signals]:
    """Note the signals in place of ending this process."""
    loop, signals = asyncio.get_running_loop(), Signals()
    for each in SIGNALS:
        loop.add_signal_handler(each, signals.take, each)
    try:
        yield signals
    finally:
        for each in SIGNALS:
            loop.remove_signal_handler(each)


async def first(*events: asyncio.Event) -> None:
    """Return when one of the events is set."""
    waiting = [asyncio.create_task(each.wait()) for each in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()
