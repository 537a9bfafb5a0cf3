"""
The signal handlers that an app, or a server inside it, has installed.

They are kept as the app believes them to be installed, and called once, when the drain is over.
So `signal.getsignal` answers as if the app were alone, and a handler that calls the one it
has replaced still reaches it.
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
    """Stand for a handler that the loop calls: what `getsignal` gives after `add_signal_handler`."""


def default(number: int) -> Handler:
    """Return what Python itself does about a signal."""
    return signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL


def is_caught(number: int) -> bool:
    """
    Tell whether this process handles a signal, in C too: `getsignal` knows of Python's alone.

    False where the system does not tell (it is read from /proc).
    """
    try:
        with open("/proc/self/status", "rb") as status:
            masks = [line.split()[1] for line in status if line.startswith(b"SigCgt:")]
    except OSError:
        return False
    return any(int(mask, 16) >> (number - 1) & 1 for mask in masks)


def _is_own(number: int, handler: Handler) -> bool:
    """Tell whether a handler is more than what Python itself does about this very signal."""
    return callable(handler) and handler is not default(number)


class Handlers:
    """What the app has installed, by signal. Used on the main thread; `get` on any."""

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
        """Return what is installed, as `signal.getsignal` would."""
        return self._installed[number]

    def of_child(self, number: int) -> Handler:
        """Return what a forked child inherits; not the loop's own, which is the parent's loop."""
        handler = self._installed.get(number)
        return default(number) if handler in (None, on_the_loop) else handler

    def install(self, number: int, handler: Handler) -> Handler:
        """Install one, and return what it replaces."""
        previous = self._installed.get(number)
        self._beneath[number] = previous
        self._installed[number] = handler
        return previous

    def add_on_loop(self, number: int, handle: asyncio.Handle) -> None:
        """Install one that the loop calls; the loop's one before it is forgotten."""
        self._on_loop[number] = handle
        self._installed[number] = on_the_loop

    def remove_on_loop(self, number: int) -> bool:
        """Remove the loop's, as `remove_signal_handler` does; False if there is none."""
        if self._on_loop.pop(number, None) is None:
            return False
        self._installed[number] = default(number)
        return True

    def wants(self, number: int) -> bool:
        """Tell whether there is one to be called: not the default action, nor to ignore it."""
        return _is_own(number, self._installed.get(number))

    @property
    def frame(self) -> FrameType | None:
        """What the handler that runs at this moment was called with; None if none runs."""
        return self._frame

    def call_beneath(self, number: int) -> None:
        """Call what the running handler has replaced without being seen, and now hands on to."""
        handler = self._beneath.get(number)
        if callable(handler) and _is_own(number, handler):
            handler(number, self._frame)

    def call(
        self,
        numbers: Iterable[int],
        on_end: Callable[[Exception | None], object],
    ) -> int | None:
        """
        Call the first one there is, once for good; on the app's loop.

        Args:
            numbers: Which signals, the most wanted first.
            on_end: Called after it if it has sent this process a signal to die of, or with
                what it has raised.

        Returns:
            Its signal; None if there is none, or it was called before.
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
            handle._run()  # noqa: SLF001 - now, in its own context, and its errors are the loop's
        return number

    def is_echo(self, number: int) -> bool:
        """Tell whether a signal that this process raises is what a called handler means by it."""
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
