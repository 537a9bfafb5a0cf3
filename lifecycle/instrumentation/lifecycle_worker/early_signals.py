"""
Handling of a SIGTERM that arrives in a worker before its server can handle it.

Without this, the signal would be lost. The master would then wait for its worker forever (granian),
or for its whole timeout (gunicorn). There are three ways to lose it:

1. The interpreter forgets signals that arrive while it initializes a forked process.
2. A forked worker has its master's handler until its server sets its own. The master's handler
   queues the signal, or sets an event, for a loop that does not turn in the worker.
3. uvloop notes a signal that arrives before it runs, but handles it only at the next signal.
"""

from __future__ import annotations

import os
from _signal import (  # type: ignore[import-not-found]  # gevent patches the library's
    SIG_BLOCK,
    SIG_SETMASK,
    SIGTERM,
    getsignal,
    pthread_sigmask,
    set_wakeup_fd,
    signal,
)
from _thread import _local

TYPE_CHECKING = False  # importing typing costs as much as all the rest
if TYPE_CHECKING:
    from typing import Any


class _Forks(_local):
    def __init__(self) -> None:
        self.masks: list[Any] = []


_forks = _Forks()
_is_master: list[int] = []


def forks_workers() -> None:
    """
    Mark this process as the master of a server. Signals are held back only in such a process.

    Its handlers raise nothing. If a handler of an app raised in a fork hook, the exception would be
    lost.
    """
    if not _is_master:
        os.register_at_fork(before=hold_back, after_in_parent=let_come, after_in_child=let_come)
    _is_master[:] = [os.getpid()]


def hold_back() -> None:
    """Have the kernel hold a SIGTERM back while this thread forks. Called before the fork."""
    if _is_master == [os.getpid()]:
        _forks.masks.append(pthread_sigmask(SIG_BLOCK, {SIGTERM}))


def let_come() -> None:
    """Let SIGTERM through again: in the parent after the fork, in the child once it can note it."""
    if _forks.masks:
        pthread_sigmask(SIG_SETMASK, _forks.masks.pop())


class InheritedHandler:
    """
    The SIGTERM handler of a forked process, which calls the inherited one, and notes the signal.

    Make it in the child, in the thread that has forked, before any other code runs there.
    """

    def __init__(self) -> None:
        self._handler = getsignal(SIGTERM)
        self._came = False
        if callable(self._handler):
            signal(SIGTERM, self._take)

    def _take(self, number: int, frame: Any) -> None:
        self._came = True
        if callable(self._handler):
            self._handler(number, frame)

    def pass_on(self) -> None:
        """Send the noted signal to this process again, if its handler was replaced meanwhile."""
        if self._came and getsignal(SIGTERM) != self._take:
            os.kill(os.getpid(), SIGTERM)


def have_noted(loop: Any) -> None:
    """
    Have a loop handle the signals that it has noted. Called on it, in the main thread.

    uvloop does this whenever bytes arrive on the wakeup descriptor of the interpreter. The byte 0
    is sent, because no signal has this number.
    """
    if not type(loop).__module__.startswith("uvloop"):
        return
    descriptor = set_wakeup_fd(-1)
    if descriptor >= 0:
        set_wakeup_fd(descriptor, warn_on_full_buffer=False)  # as uvloop does
        os.write(descriptor, b"\0")
