"""
An object that can be watched, with events and subscribers.

Rules of this file:

1. Every change wakes the waiting tasks and calls the subscribers at once.
"""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final, Self

from lifecycle.testing.events import WARNING, Event

POLL: Final = 0.02
"""Seconds between two checks of a condition that no change announces, for example on the output."""


class Observed(ABC):
    """
    An object with events. It belongs to the loop that runs when it is made.

    Attributes:
        events: Its events, oldest first.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._loop = asyncio.get_running_loop()
        self._change = asyncio.Event()
        self._subscribers: list[Callable[[], None]] = []

    @abstractmethod
    def describe(self) -> str:
        """Return the text to show when waiting for it failed."""

    def said(self, reason: str = "") -> list[str]:
        """Return the messages of all events, or of the events with the given reason."""
        return [event.message for event in self.events if reason in ("", event.reason)]

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Call a function after every change, on the kubelet's loop."""
        self._subscribers.append(callback)

    async def until(self, predicate: Callable[[Self], object], timeout: float = 10.0) -> None:
        """
        Wait until a condition is true.

        Raises:
            TimeoutError: The condition was not true in time. The message describes the pod.
        """
        try:
            async with asyncio.timeout(timeout):
                while not predicate(self):
                    change = self._change
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(POLL):
                            await change.wait()
        except TimeoutError:
            raise TimeoutError(f"not within {timeout:g} s: {self.describe()}") from None

    def _warn(self, reason: str, message: str, detail: str = "") -> None:
        self._say(WARNING, reason, message, detail)

    def _say(self, kind: str, reason: str, message: str, detail: str = "") -> None:
        self.events.append(Event(kind, reason, message, self._loop.time(), detail))
        self._changed()

    def _changed(self) -> None:
        self._change.set()
        self._change = asyncio.Event()
        for callback in self._subscribers:
            callback()
