"""
Signals that end the process, noticed at once even if the app's loop or C code blocks.

Rules of this file:

1. When a signal arrives, the interpreter writes its number to a wakeup descriptor at once. The
   control thread reads the other end. No signal is blocked or masked, because children would
   inherit that.
2. If the app, or a server inside it, installs a handler for SIGTERM or SIGINT, that handler does
   not replace ours. It is kept, and called once after the drain. Meanwhile `signal.getsignal`
   returns it, as if the app were alone.
   The handler may then send a signal to this process, so that the signal ends the process. Such a signal
   does not count as a second one. uvicorn does it with `signal.raise_signal` after it has stopped.
   Other servers do it at once, also with `os.kill`. Both calls are intercepted, so a signal from
   outside is never mistaken for one of these.
3. SIGQUIT and SIGHUP are ours while their default would end the process without a log line. An app
   that installs a handler for them uses them for something else. Only the kernel can see a handler
   in C (`faulthandler.register`).
4. Every other signal belongs to the app. Its number is passed on to the app's loop.
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
from typing import Any, Final, NamedTuple

from lifecycle.process.app_signal_handlers import Handler, Handlers, default, is_caught
from lifecycle.process_globals import PROCESS

OURS: Final = (signal.SIGTERM, signal.SIGINT)
"""Signals that always start a drain. The app's own handlers are called at its end."""
UNLESS_WANTED: Final = (signal.SIGQUIT, signal.SIGHUP)
"""Signals that start a drain unless the app handles or ignores them."""


def by_person() -> bool:
    """Return whether a person uses this process at a terminal. In a pod this is False."""
    if os.environ.get("KUBERNETES_SERVICE_HOST") or os.getpid() == 1:
        return False
    return any(os.isatty(fd) for fd in (0, 1, 2))


class _Descriptor(NamedTuple):
    """A wakeup descriptor of the app. Its number may belong to another file when it is used."""

    number: int
    device: int
    inode: int

    @classmethod
    def of(cls, number: int) -> _Descriptor | None:
        try:
            found = os.fstat(number)
        except OSError:  # -1 among them: there is none
            return None
        return cls(number, found.st_dev, found.st_ino)

    def is_there(self) -> bool:
        """Return whether the number still refers to the same file."""
        return _Descriptor.of(self.number) == self


class _Seam:
    """A replacement for the C functions that the module `signal` calls. Two of them are ours."""

    def __init__(
        self,
        real: Any,
        install: Callable[[int, Handler], Handler],
        installed: Callable[[int], Handler],
    ) -> None:
        self._real = real
        self.signal = install
        self.getsignal = installed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def _named(handler: Handler) -> Handler:
    return signal.Handlers(handler) if isinstance(handler, int) else handler


class Signals:
    """
    Handles the signals that end a process, from `take` to `give_back`. Used on the main thread.

    Args:
        on_signal: Called with the signal's name, on the loop that is passed to `watch`.
    """

    def __init__(self, on_signal: Callable[[str], None]) -> None:
        self._on_signal = on_signal
        self._read, self._write = socket.socketpair()
        self._read.setblocking(False)
        self._write.setblocking(False)
        self._before: dict[int, Handler] = {}
        self._fd_before: _Descriptor | None = None
        self._handlers = Handlers()
        self._caught_in_c: set[int] = set()
        self._app_fd: _Descriptor | None = None
        self._held = False
        self._real = vars(signal)["_signal"]
        self._seam = _Seam(self._real, self._signal, self._getsignal)
        self._on_arrival: Callable[[], None] = lambda: None
        self._last: Callable[[], None] | None = None
        self._raise = signal.raise_signal
        self._set_fd = signal.set_wakeup_fd
        self._interrupt: type[BaseException] | None = None

    @staticmethod
    def possible() -> bool:
        """Return whether this is the main thread, which alone may install signal handlers."""
        return threading.current_thread() is threading.main_thread()

    # Taking and giving back

    def take(self) -> None:
        """Install our handlers, and intercept the calls that would replace them."""
        before = self._set_fd(self._write.fileno(), warn_on_full_buffer=False)
        self._fd_before = _Descriptor.of(before)
        for each in (*OURS, *UNLESS_WANTED):
            if getattr(self._get(each), "__func__", None) is Signals._farewell:
                self._set(each, default(each))  # a run before this one has left it here
        self._caught_in_c = {each for each in UNLESS_WANTED if self._is_in_c(each)}
        for each in OURS:
            self._before[each] = self._get(each)
            self._handlers.install(each, self._before[each])
            if not self._stays_ignored(each):
                self._set(each, self._handle)
        self._held = True
        self.hold()
        self._interpose()
        PROCESS.let_child_forget(self._let_child_go)

    def _interpose(self) -> None:
        # Not `signal.signal`, because code that has imported that function before would bypass us.
        vars(signal)["_signal"] = self._seam
        signal.raise_signal = self._raised
        signal.set_wakeup_fd = self._set_wakeup_fd

    def _withdraw(self) -> None:
        for name, ours, theirs in (
            ("_signal", self._seam, self._real),
            ("raise_signal", self._raised, self._raise),
            ("set_wakeup_fd", self._set_wakeup_fd, self._set_fd),
        ):
            if getattr(signal, name) == ours:  # otherwise other code wraps ours
                setattr(signal, name, theirs)

    def _set(self, number: int, handler: Handler) -> Handler:
        plain = int(handler) if isinstance(handler, int) else handler
        return _named(self._real.signal(number, plain))

    def _get(self, number: int) -> Handler:
        return _named(self._real.getsignal(number))

    def give_back(self, last: Callable[[], None] | None = None) -> None:
        """
        Restore the earlier handlers.

        Args:
            last: Set if a signal has ended this process. Then our handlers stay, and call this
                function in the main thread. A signal that arrives now must neither change the exit
                code nor print a traceback.
        """
        if not self._held:
            return
        self._held = False
        self._last = last
        self._withdraw()
        for each in (*OURS, *UNLESS_WANTED):
            if self._get(each) != self._handle:
                continue
            if last is not None:
                self._set(each, self._farewell)
            else:
                before = self._before.get(each, signal.SIG_DFL)
                self._set(each, before if before is not None else signal.SIG_DFL)
        self._give_fd_back()
        if last is None:
            PROCESS.keep(self._let_child_go)
        else:
            # At its end, the interpreter removes handlers, but not SIG_IGN.
            atexit.register(self._ignore)

    def _give_fd_back(self) -> None:
        self._set_fd(-1)
        before = self._fd_before
        if before is not None and before.is_there():
            with contextlib.suppress(
                OSError, ValueError
            ):  # it is closed now, or cannot be used any more
                self._set_fd(before.number)

    def _farewell(self, _: int, __: FrameType | None) -> None:
        if self._last is not None:
            self._last()

    def _ignore(self) -> None:
        for each in OURS:
            self._set(each, signal.SIG_IGN)

    def _let_child_go(self) -> None:
        # A forked child shares the descriptor: its SIGTERM would drain the parent.
        if self._held or self._last is not None:
            self.give_back()
            self._set_fd(-1)
            for each in (*OURS, *UNLESS_WANTED):
                ours = each in OURS or self._get(each) == self._farewell
                if ours and self._get(each) is not signal.SIG_IGN:
                    self._set(each, self._handlers.of_child(each))

    def close(self) -> None:
        """Close the descriptors, once no loop watches them."""
        self._read.close()
        self._write.close()

    # Arriving signals

    def watch(
        self, loop: asyncio.AbstractEventLoop, on_arrival: Callable[[], None] = lambda: None
    ) -> None:
        """
        Read the wakeup descriptor on a loop, which must be that of the control thread.

        Args:
            loop: The control loop.
            on_arrival: Called on the main thread for each signal, in case the control loop is
                blocked.
        """
        self._on_arrival = on_arrival
        loop.add_reader(self._read, self._wakened)

    def interrupts(self, error: type[BaseException] | None) -> None:
        """Set the exception that a signal raises in the main thread, or None for none."""
        self._interrupt = error

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if frame is not None and frame is self._handlers.frame:
            # No signal has arrived: the app's handler calls the handler that it has replaced.
            self._handlers.call_beneath(number)
            return
        # The number is in the wakeup descriptor, unless other code has replaced the descriptor:
        # asyncio removes it together with the last handler.
        if not self._hold_fd():
            with contextlib.suppress(BlockingIOError):
                self._write.send(bytes((number,)))
        self._on_arrival()
        if self._interrupt is not None:
            raise self._interrupt

    def _wakened(self) -> None:
        with contextlib.suppress(BlockingIOError):
            for number in self._read.recv(256):
                ours = number in UNLESS_WANTED and self._get(number) == self._handle
                if ours or number in OURS:
                    self._on_signal(signal.Signals(number).name)
                else:
                    self._pass_on(number)

    def _pass_on(self, number: int) -> None:
        fd = self._app_fd
        if fd is None:
            return
        if not fd.is_there():  # its loop is closed, and another file has the number
            self._app_fd = None
            return
        with contextlib.suppress(OSError):
            os.write(fd.number, bytes((number,)))

    # The app's own handlers

    def adopt(self, loop: asyncio.AbstractEventLoop) -> None:
        """Intercept `add_signal_handler` on the app's loop. Call it before the loop runs."""
        add, remove = loop.add_signal_handler, loop.remove_signal_handler

        def add_signal_handler(number: int, callback: Callable[..., Any], *args: Any) -> None:
            odd = asyncio.iscoroutine(callback) or asyncio.iscoroutinefunction(callback)
            if odd or loop.is_closed() or not self._takes(number):
                add(number, callback, *args)  # raises the usual errors
            else:
                self._handlers.add_on_loop(number, asyncio.Handle(callback, args, loop))
            self.hold()

        def remove_signal_handler(number: int) -> bool:
            taken = self._takes(number)
            gone = self._handlers.remove_on_loop(number) if taken else remove(number)
            self.hold()
            return gone

        with contextlib.suppress(
            AttributeError
        ):  # a loop whose methods cannot be replaced: `hold` notices the handlers later
            loop.add_signal_handler = add_signal_handler  # type: ignore[method-assign, assignment]
            loop.remove_signal_handler = remove_signal_handler  # type: ignore[method-assign, assignment]

    def _takes(self, number: object) -> bool:
        return number in OURS and self._held and self.possible()

    def _signal(self, number: int, handler: Handler) -> Handler:
        if handler == self._handle:  # the app has found our handler without `getsignal`
            handler = self._before.get(number, signal.SIG_DFL)
        usable = callable(handler) or handler in (signal.SIG_DFL, signal.SIG_IGN)
        if usable and self._takes(number):
            previous = self._handlers.install(number, _named(handler))
        else:
            previous = self._set(number, handler)  # raises the usual errors
            if previous == self._handle:
                previous = signal.SIG_DFL
        self.hold()
        return previous

    def _getsignal(self, number: int) -> Handler:
        if number in OURS and self._held:
            return self._handlers.get(number)
        found: Handler = self._get(number)
        return signal.SIG_DFL if found == self._handle else found

    def _raised(self, number: int) -> None:
        if not self._handlers.is_echo(number):
            self._raise(number)

    def _set_wakeup_fd(self, fd: int, *, warn_on_full_buffer: bool = True) -> int:
        before, alone = self._app_fd, self._set_fd(fd, warn_on_full_buffer=warn_on_full_buffer)
        if not self._held:
            return alone
        self._hold_fd()
        return -1 if before is None else before.number

    def _hold_fd(self) -> bool:
        """Set our wakeup descriptor again. Returns False if it was replaced. On the main thread."""
        fd = self._set_fd(self._write.fileno(), warn_on_full_buffer=False)
        if fd == self._write.fileno():
            return True
        # None: its loop has ended, or has no handler any more.
        self._app_fd = _Descriptor.of(fd) if fd != -1 else None
        return False

    def _ignored_before(self, number: int) -> Handler:
        # The convention of `nohup … &`. SIGTERM is not included, because Kubernetes sends it.
        before = self._before[number]
        return before if number == signal.SIGINT and before is signal.SIG_IGN else None

    def _stays_ignored(self, number: int) -> bool:
        ignored = self._ignored_before(number)
        return ignored is not None and self._handlers.get(number) is ignored

    def hold(self) -> None:
        """Restore our handlers if they were replaced. On the main thread, at every heartbeat."""
        if not self._held:
            return
        self._hold_fd()
        for each in OURS:
            found = self._get(each)
            if found != self._handle and found is not self._ignored_before(each):
                self._handlers.install(each, found)
            wanted = signal.SIG_IGN if self._stays_ignored(each) else self._handle
            if found != wanted:
                self._set(each, wanted)
        # A handler in C may replace ours unnoticed, and may be removed again later.
        self._caught_in_c = {each for each in self._caught_in_c if self._is_in_c(each)}
        for each in UNLESS_WANTED:
            if self._get(each) is signal.SIG_DFL and each not in self._caught_in_c:
                self._set(each, self._handle)

    def _is_in_c(self, number: int) -> bool:
        return self._get(number) in (signal.SIG_DFL, None) and is_caught(number)

    def call_kept(
        self,
        cause: str,
        on_end: Callable[[Exception | None], object] = lambda _: None,
    ) -> bool:
        """
        Call the handler that the app had installed, once. On the app's loop.

        Args:
            cause: The cause of the drain. If it was SIGINT, the handler of SIGINT is preferred.
            on_end: Called after the handler if the handler has sent this process a signal that
                ends it (with None), or has raised an exception (with that exception).

        Returns:
            False if the app has installed no handler.
        """
        self.hold()
        order = sorted(OURS, key=lambda each: each.name != cause)
        number = self._handlers.call(order, on_end)
        if number is not None:
            self._pass_on(number)  # for a loop that was not passed to `adopt`
        return number is not None
