"""
The signal handlers that the app, or a server inside it, has installed.

pod-lifecycle keeps these handlers, and calls them once, when the drain is over. Meanwhile
`signal.getsignal` answers as if the app were alone in the process. A handler that calls the
handler it has replaced still reaches it.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], Any] | int | signal.Handlers | None


def on_the_loop(number: int, frame: FrameType | None) -> None:
    """Stand for a handler on the loop: `getsignal` returns it after `add_signal_handler`."""


def default(number: int) -> Handler:
    """Return Python's default handler of a signal."""
    return signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL


def is_caught(number: int) -> bool:
    """
    Return whether this process handles a signal, including handlers in C that `getsignal` misses.

    The answer comes from /proc. It is False on systems without it.
    """
    try:
        with open("/proc/self/status", "rb") as status:
            masks = [line.split()[1] for line in status if line.startswith(b"SigCgt:")]
    except OSError:
        return False
    return any(int(mask, 16) >> (number - 1) & 1 for mask in masks)


def _is_own(number: int, handler: Handler) -> bool:
    """Return whether a handler is more than Python's default for this signal."""
    return callable(handler) and handler is not default(number)


class Handlers:
    """
    The handlers that the app has installed, by signal.

    Use it on the main thread, except `get`, which may be called on any thread.
    """

    def __init__(self) -> None:
        self._installed: dict[int, Handler] = {}
        self._on_loop: dict[int, asyncio.Handle] = {}
        self._beneath: dict[int, Handler] = {}
        self._frame: FrameType | None = None
        self._echoes: set[int] = set()
        self._killed = False
        self._kill_other = os.kill
        self._called = False

    def get(self, number: int) -> Handler:
        """Return the installed handler, as `signal.getsignal` would."""
        return self._installed[number]

    def of_child(self, number: int) -> Handler:
        """Return the handler that a forked child inherits: never one of the parent's loop."""
        handler = self._installed.get(number)
        return default(number) if handler in (None, on_the_loop) else handler

    def install(self, number: int, handler: Handler) -> Handler:
        """Install a handler, and return the handler that it replaces."""
        previous = self._installed.get(number)
        self._beneath[number] = previous
        self._installed[number] = handler
        return previous

    def add_on_loop(self, number: int, handle: asyncio.Handle) -> None:
        """Install a handler that the loop calls. It replaces the earlier one on the loop."""
        self._on_loop[number] = handle
        self._installed[number] = on_the_loop

    def remove_on_loop(self, number: int) -> bool:
        """Remove the loop's handler as `remove_signal_handler` does. Returns whether it existed."""
        if self._on_loop.pop(number, None) is None:
            return False
        self._installed[number] = default(number)
        return True

    def wants(self, number: int) -> bool:
        """Return whether the app's own handler must be called: neither the default nor SIG_IGN."""
        return _is_own(number, self._installed.get(number))

    @property
    def frame(self) -> FrameType | None:
        """The frame that the running handler was called with, or None if no handler runs."""
        return self._frame

    def call_beneath(self, number: int) -> None:
        """Call the handler that the running handler has replaced and now calls in turn."""
        handler = self._beneath.get(number)
        if callable(handler) and _is_own(number, handler):
            handler(number, self._frame)

    def call(
        self,
        numbers: Iterable[int],
        on_end: Callable[[Exception | None], object],
    ) -> int | None:
        """
        Call the first handler that is installed, on the app's loop. Later calls do nothing.

        Args:
            numbers: The signals, in order of preference.
            on_end: Called after the handler if the handler has sent this process a signal that
                ends it (with None), or has raised an exception (with that exception).

        Returns:
            The signal of the handler, or None if there is no handler, or one was called before.
        """
        number = next((each for each in numbers if self.wants(each)), None)
        if number is None or self._called:
            return None
        self._called = True
        self._echoes.add(number)
        handler, handle = self._installed[number], self._on_loop.get(number)
        if callable(handler) and handler is not on_the_loop:
            self._call(handler, number, on_end)
        if handle is not None:
            handle._run()  # noqa: SLF001 - at once, in its own context; the loop handles its errors
        return number

    def is_echo(self, number: int) -> bool:
        """Return whether a signal that this process raises was sent by the app's handler itself."""
        if number not in self._echoes:
            return False
        self._echoes.discard(number)
        self._killed = self._frame is not None
        return True

    def _call(
        self,
        handler: Callable[[int, FrameType | None], Any],
        number: int,
        on_end: Callable[[Exception | None], object],
    ) -> None:
        self._killed, self._frame = False, inspect.currentframe()
        self._kill_other, os.kill = os.kill, self._kill
        try:
            handler(number, self._frame)
        except Exception as error:  # noqa: BLE001 - shown as the app's own
            on_end(error)
        finally:
            os.kill = self._kill_other
            self._frame = None
        if self._killed:
            on_end(None)

    def _kill(self, pid: int, number: int) -> None:
        if pid == os.getpid() and number in self._installed:
            self._killed = True
        else:
            self._kill_other(pid, number)
