"""Calls that may hang, side by side, within a time limit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TypeAlias

from lifecycle_opentelemetry.quiet import described

Call: TypeAlias = "Callable[[], str | None]"


def side_by_side(calls: Mapping[str, Call], seconds: float) -> dict[str, str]:
    """
    Call all functions at the same time, each in a separate thread.

    Args:
        calls: For each name, a function that returns its problem, if there is one.
        seconds: The time limit. A thread that is still busy then is left behind. It does not keep
            the process alive.

    Returns:
        For each name, the problem, if there is one.
    """
    found: dict[str, str] = {}

    def run(name: str, call: Call) -> None:
        try:
            found[name] = call() or ""
        except BaseException as error:  # noqa: BLE001 - a provider of anybody
            found[name] = described(error)

    deadline = time.monotonic() + seconds
    threads = {
        name: threading.Thread(
            target=run, args=(name, call), name=f"opentelemetry-{name}", daemon=True
        )
        for name, call in calls.items()
    }
    for thread in threads.values():
        thread.start()
    for thread in threads.values():
        thread.join(max(0.0, deadline - time.monotonic()))
    late = no_answer(seconds)
    ended = dict(found)  # a late thread may still write
    return {name: problem for name in calls if (problem := ended.get(name, late))}


def no_answer(seconds: float) -> str:
    """Return the problem of a call that was not over within its time."""
    return f"No answer for {seconds:.1f} s."


class Ending:
    """
    The end of an app: its time limit, and whether the span of the drain is written.

    Args:
        seconds: The time limit.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._until = time.monotonic() + seconds
        self.written = threading.Event()

    def left(self) -> float:
        """Return the seconds that are left."""
        return max(0.0, self._until - time.monotonic())

    def write(self, write: Callable[[], None]) -> None:
        """Write the span of the drain. Usually everything is prepared for it since READY."""
        try:
            write()
        finally:
            self.written.set()
