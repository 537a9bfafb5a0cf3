"""
Signals: noticed at once, whatever the app's loop or C code in the main thread does.

Rules of this file:

1. The interpreter writes a signal's number to a wakeup descriptor as soon as it
   arrives; the control thread reads the other end. Nothing is blocked or masked:
   children would inherit it.
2. A handler that the app, or a server inside it, installs for SIGTERM or SIGINT does
   not replace ours: it is taken back, kept, and called once when the drain is over.
   What it then sends itself, so that this process dies of it, is our own doing and no
   second signal: uvicorn by `signal.raise_signal` when it has stopped, others at once,
   by `os.kill` too. Both are seen where they are called: what arrives from outside is
   never taken for it.
3. Every other signal is the app's: its number is passed on to the app's loop.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

OURS: Final = (signal.SIGTERM, signal.SIGINT)

Handler = Callable[[int, FrameType | None], Any] | int | signal.Handlers | None


def at_terminal() -> bool:
    """Tell whether a person sits in front of this process."""
    return any(os.isatty(fd) for fd in (0, 1, 2))


class Signals:
    """
    Takes SIGTERM and SIGINT while it is held. Made and used on the main thread.

    Args:
        on_signal: Called with the signal's name on the loop that `watch` runs on.
    """

    def __init__(self, on_signal: Callable[[str], None]) -> None:
        self._on_signal = on_signal
        self._read, self._write = socket.socketpair()
        self._read.setblocking(False)
        self._write.setblocking(False)
        self._before: dict[signal.Signals, Handler] = {}
        self._fd_before = -1
        self._kept: dict[signal.Signals, Handler] = {}
        self._app_fd = -1
        self._echoes: set[int] = set()
        self._in_handler = False
        self._killed = False
        self._held = False
        self._on_arrival: Callable[[], None] = lambda: None
        self._last: Callable[[], None] | None = None
        self._set = signal.signal
        self._raise = signal.raise_signal
        self._kill_other = os.kill
        self._interrupt: type[BaseException] | None = None

    @staticmethod
    def possible() -> bool:
        """Tell whether this is the main thread, the only one that may take signals."""
        return threading.current_thread() is threading.main_thread()

    def take(self) -> None:
        """Take the signals, and interpose what would give them to somebody else."""
        self._fd_before = signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
        for each in OURS:
            self._before[each] = self._set(each, self._handle)
        signal.signal = self._interposed  # type: ignore[assignment]
        signal.raise_signal = self._raised
        self._held = True
        os.register_at_fork(after_in_child=self._let_child_go)

    def give_back(self, last: Callable[[], None] | None = None) -> None:
        """
        Put back what was there.

        Args:
            last: Where a signal has ended this process: the two handlers stay, and call
                this in the main thread. What comes between here and the end must neither
                change the exit code nor leave a traceback.
        """
        if not self._held:
            return
        self._held = False
        self._last = last
        signal.signal = self._set
        signal.raise_signal = self._raise
        for each, handler in self._before.items():
            if last is not None:
                self._set(each, lambda _, __: last())
            else:
                self._set(each, handler if handler is not None else signal.SIG_DFL)
        signal.set_wakeup_fd(self._fd_before)
        if last is not None:
            # The interpreter takes handlers away before it is gone, but leaves what is ignored.
            atexit.register(self._ignore)

    def _ignore(self) -> None:
        for each in OURS:
            self._set(each, signal.SIG_IGN)

    def watch(
        self, loop: asyncio.AbstractEventLoop, on_arrival: Callable[[], None] = lambda: None
    ) -> None:
        """
        Read the wakeup descriptor on this loop (the control thread's).

        Args:
            loop: The control loop.
            on_arrival: Called on the main thread too: the last resort if that loop is stuck.
        """
        self._on_arrival = on_arrival
        loop.add_reader(self._read, self._wakened)

    def interrupts(self, error: type[BaseException] | None) -> None:
        """Have a signal raise in the main thread (while it imports the app), or not."""
        self._interrupt = error

    def _handle(self, number: int, _: FrameType | None) -> None:
        # Written to the wakeup descriptor already, unless somebody has put another there:
        # asyncio takes it away with the last handler that is removed.
        fd = signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
        if fd != self._write.fileno():
            self._app_fd = fd if fd != -1 else self._app_fd
            with contextlib.suppress(BlockingIOError):
                self._write.send(bytes((number,)))
        self._on_arrival()
        if self._interrupt is not None:
            raise self._interrupt

    def _wakened(self) -> None:
        with contextlib.suppress(BlockingIOError):
            for number in self._read.recv(256):
                if number in OURS:
                    self._on_signal(signal.Signals(number).name)
                elif self._app_fd != -1:
                    self._pass_on(number)

    def _pass_on(self, number: int) -> None:
        with contextlib.suppress(OSError):
            os.write(self._app_fd, bytes((number,)))

    def _interposed(self, number: int, handler: Handler) -> Handler:
        usable = callable(handler) or handler in (signal.SIG_DFL, signal.SIG_IGN)
        if number not in OURS or not self._held or not usable or not self.possible():
            previous = self._set(number, handler)  # raises what it must
        else:
            previous = self._kept.get(signal.Signals(number), self._handle)
            self._keep(signal.Signals(number), handler)
        self.hold()
        return previous

    def _raised(self, number: int) -> None:
        if number in self._echoes:
            self._echoes.discard(number)
            self._killed = self._in_handler
        else:
            self._raise(number)

    def _kill(self, pid: int, number: int) -> None:
        if pid == os.getpid() and number in OURS and self.possible():
            self._killed = True
        else:
            self._kill_other(pid, number)

    def _keep(self, number: signal.Signals, handler: Handler) -> None:
        # SIG_IGN too: nobody would be called, and main would be waited for in vain.
        if not callable(handler) or handler in (self._handle, signal.default_int_handler):
            self._kept.pop(number, None)
        else:
            self._kept[number] = handler

    def hold(self) -> None:
        """Take back what was taken from us meanwhile. On the main thread, at every heartbeat."""
        if not self._held:
            return
        fd = signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
        if fd not in (self._write.fileno(), -1):
            self._app_fd = fd
        for each in OURS:
            handler = signal.getsignal(each)
            if handler != self._handle:
                self._keep(each, handler)
                self._set(each, self._handle)

    def call_kept(
        self,
        loop: asyncio.AbstractEventLoop,
        cause: str,
        on_end: Callable[[Exception | None], object] = lambda _: None,
    ) -> bool:
        """
        Call the handler the app had installed, once; on the app's loop.

        Args:
            loop: The app's.
            cause: What began the drain; SIGINT's handler goes first if it was SIGINT.
            on_end: Called after it if it has sent this process a signal to die of, or with
                what it has raised.

        Returns:
            False if the app has installed none.
        """
        self.hold()
        order = sorted(OURS, key=lambda each: each.name != cause)
        number = next((each for each in order if each in self._kept), None)
        if number is None:
            return False
        handler = self._kept.pop(number)
        self._echoes.add(int(number))
        if self._app_fd != -1:
            self._pass_on(number)
        if callable(handler):
            loop.call_soon(self._call, handler, int(number), on_end)
        return True

    def _call(
        self,
        handler: Callable[[int, None], Any],
        number: int,
        on_end: Callable[[Exception | None], object],
    ) -> None:
        self._killed, self._in_handler = False, True
        self._kill_other, os.kill = os.kill, self._kill
        try:
            handler(number, None)
        except Exception as error:  # noqa: BLE001 - shown as the app's own
            on_end(error)
        finally:
            os.kill = self._kill_other
            self._in_handler = False
        if self._killed:
            on_end(None)

    def _let_child_go(self) -> None:
        # A forked child shares the descriptor: its SIGTERM would drain the parent.
        if self._held or self._last is not None:
            self.give_back()
            signal.set_wakeup_fd(-1)
            for each in OURS:
                default = signal.default_int_handler if each is signal.SIGINT else signal.SIG_DFL
                self._set(each, default)

    def close(self) -> None:
        """Give the descriptors back, once nothing watches them any more."""
        self._read.close()
        self._write.close()
