"""
Signals: noticed at once, whatever the app's loop or C code in the main thread does.

Rules of this file:

1. The interpreter writes a signal's number to a wakeup descriptor as soon as it
   arrives; the control thread reads the other end. Nothing is blocked or masked:
   children would inherit it.
2. A handler that the app, or a server inside it, installs for SIGTERM or SIGINT does
   not replace ours: it is taken back, kept, and called once when the drain is over.
   Meanwhile `signal.getsignal` gives it back, as if the app were alone.
   What it then sends itself, so that this process dies of it, is our own doing and no
   second signal: uvicorn by `signal.raise_signal` when it has stopped, others at once,
   by `os.kill` too. Both are seen where they are called: what arrives from outside is
   never taken for it.
3. SIGQUIT and SIGHUP are ours as long as they would end the process without a word.
   Who installs a handler for them means something else by them, and one in C
   (`faulthandler.register`) is seen by the kernel alone.
4. Every other signal is the app's: its number is passed on to the app's loop.
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
"""What always begins a drain; the app's own handlers come at its end."""
UNLESS_WANTED: Final = (signal.SIGQUIT, signal.SIGHUP)
"""What begins one unless the app has a handler for it, or it is ignored."""


def by_person() -> bool:
    """Tell whether a person sits in front of this process; a pod may have a terminal too."""
    if os.environ.get("KUBERNETES_SERVICE_HOST") or os.getpid() == 1:
        return False
    return any(os.isatty(fd) for fd in (0, 1, 2))


class _Descriptor(NamedTuple):
    """A wakeup descriptor of the app's: its number may be another file's by the time of use."""

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
        """Tell whether the number still stands for the same file."""
        return _Descriptor.of(self.number) == self


class _Seam:
    """What the standard library's `signal` calls: the interpreter, and two functions of ours."""

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
    Takes the signals that end a process while it is held. Made and used on the main thread.

    Args:
        on_signal: Called with the signal's name on the loop that `watch` runs on.
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
        """Tell whether this is the main thread, the only one that may take signals."""
        return threading.current_thread() is threading.main_thread()

    # Taking and giving back

    def take(self) -> None:
        """Take the signals, and interpose what would give them to somebody else."""
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
        # Not `signal.signal`: who has imported that function before would go past us.
        vars(signal)["_signal"] = self._seam
        signal.raise_signal = self._raised
        signal.set_wakeup_fd = self._set_wakeup_fd

    def _withdraw(self) -> None:
        for name, ours, theirs in (
            ("_signal", self._seam, self._real),
            ("raise_signal", self._raised, self._raise),
            ("set_wakeup_fd", self._set_wakeup_fd, self._set_fd),
        ):
            if getattr(signal, name) == ours:  # else somebody calls it within his own
                setattr(signal, name, theirs)

    def _set(self, number: int, handler: Handler) -> Handler:
        plain = int(handler) if isinstance(handler, int) else handler
        return _named(self._real.signal(number, plain))

    def _get(self, number: int) -> Handler:
        return _named(self._real.getsignal(number))

    def give_back(self, last: Callable[[], None] | None = None) -> None:
        """
        Put back what was there.

        Args:
            last: Where a signal has ended this process: the handlers stay, and call
                this in the main thread. What comes between here and the end must neither
                change the exit code nor leave a traceback.
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
            # The interpreter takes handlers away before it is gone, but leaves what is ignored.
            atexit.register(self._ignore)

    def _give_fd_back(self) -> None:
        self._set_fd(-1)
        before = self._fd_before
        if before is not None and before.is_there():
            with contextlib.suppress(OSError, ValueError):  # closed now, or no longer fit for it
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
        """Give the descriptors back, once nothing watches them any more."""
        self._read.close()
        self._write.close()

    # What arrives

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

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if frame is not None and frame is self._handlers.frame:
            # Nothing has arrived: a handler of the app's hands on to the one it found here.
            self._handlers.call_beneath(number)
            return
        # Written to the wakeup descriptor already, unless somebody has put another there:
        # asyncio takes it away with the last handler that is removed.
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
        if not fd.is_there():  # its loop has gone, and the number is another file's
            self._app_fd = None
            return
        with contextlib.suppress(OSError):
            os.write(fd.number, bytes((number,)))

    # What the app does about signals

    def adopt(self, loop: asyncio.AbstractEventLoop) -> None:
        """Keep the handlers that are installed on the app's loop; before it runs."""
        add, remove = loop.add_signal_handler, loop.remove_signal_handler

        def add_signal_handler(number: int, callback: Callable[..., Any], *args: Any) -> None:
            odd = asyncio.iscoroutine(callback) or asyncio.iscoroutinefunction(callback)
            if odd or loop.is_closed() or not self._takes(number):
                add(number, callback, *args)  # raises what it must
            else:
                self._handlers.add_on_loop(number, asyncio.Handle(callback, args, loop))
            self.hold()

        def remove_signal_handler(number: int) -> bool:
            taken = self._takes(number)
            gone = self._handlers.remove_on_loop(number) if taken else remove(number)
            self.hold()
            return gone

        with contextlib.suppress(AttributeError):  # a loop that takes none: `hold` sees it later
            loop.add_signal_handler = add_signal_handler  # type: ignore[method-assign, assignment]
            loop.remove_signal_handler = remove_signal_handler  # type: ignore[method-assign, assignment]

    def _takes(self, number: object) -> bool:
        return number in OURS and self._held and self.possible()

    def _signal(self, number: int, handler: Handler) -> Handler:
        if handler == self._handle:  # found by other means than ours
            handler = self._before.get(number, signal.SIG_DFL)
        usable = callable(handler) or handler in (signal.SIG_DFL, signal.SIG_IGN)
        if usable and self._takes(number):
            previous = self._handlers.install(number, _named(handler))
        else:
            previous = self._set(number, handler)  # raises what it must
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
        """Have the wakeup descriptor be ours; False if it was not. On the main thread."""
        fd = self._set_fd(self._write.fileno(), warn_on_full_buffer=False)
        if fd == self._write.fileno():
            return True
        # None is one that was taken back: its loop has ended, or has no handler any more.
        self._app_fd = _Descriptor.of(fd) if fd != -1 else None
        return False

    def _ignored_before(self, number: int) -> Handler:
        # The convention of `nohup … &`; SIGTERM is what Kubernetes sends, whoever started us.
        before = self._before[number]
        return before if number == signal.SIGINT and before is signal.SIG_IGN else None

    def _stays_ignored(self, number: int) -> bool:
        ignored = self._ignored_before(number)
        return ignored is not None and self._handlers.get(number) is ignored

    def hold(self) -> None:
        """Take back what was taken from us meanwhile. On the main thread, at every heartbeat."""
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
        # What comes later in C is over ours, and seen by nobody; what was there is over one day.
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
        Call the handler the app had installed, once; on the app's loop.

        Args:
            cause: What began the drain; SIGINT's handler goes first if it was SIGINT.
            on_end: Called after it if it has sent this process a signal to die of, or with
                what it has raised.

        Returns:
            False if the app has installed none.
        """
        self.hold()
        order = sorted(OURS, key=lambda each: each.name != cause)
        number = self._handlers.call(order, on_end)
        if number is not None:
            self._pass_on(number)  # for a loop that we have not been shown
        return number is not None
