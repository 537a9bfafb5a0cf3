"""
A SIGTERM that comes to a worker before its server can take it.

It would be lost, and the master would wait for its worker for ever (granian), or for its whole
timeout (gunicorn). There are three ways to lose it:

1. The interpreter forgets what comes while it makes a forked process its own.
2. A forked worker has its master's handler until its server sets its own. That one queues the
   signal, or sets an event, for a loop that does not turn in the worker.
3. uvloop notes a signal that comes before it runs, and looks at its notes when the next one comes.
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
    Say that this process is a server's master: only there is a signal held back.

    Its handlers raise nothing, and what an app's raise in a hook of a fork would be lost.
    """
    if not _is_master:
        os.register_at_fork(before=hold_back, after_in_parent=let_come, after_in_child=let_come)
    _is_master[:] = [os.getpid()]


def hold_back() -> None:
    """Have the kernel keep a SIGTERM while this thread forks: before it does."""
    if _is_master == [os.getpid()]:
        _forks.masks.append(pthread_sigmask(SIG_BLOCK, {SIGTERM}))


def let_come() -> None:
    """Have it come again: afterwards, in the parent, and in the child once that can note it."""
    if _forks.masks:
        pthread_sigmask(SIG_SETMASK, _forks.masks.pop())


class InheritedHandler:
    """
    What a forked process does at SIGTERM: the same as before, and it is noted that one came.

    Made in the child, in the thread that has forked, before anything else runs there.
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
        """Send what came to this process once more, if another handler has taken its place since."""
        if self._came and getsignal(SIGTERM) != self._take:
            os.kill(os.getpid(), SIGTERM)


def have_noted(loop: Any) -> None:
    """
    Have a loop look at the signals that it has noted; called on it, in the main thread.

    uvloop does so whenever something comes from the descriptor that the interpreter writes the
    numbers of signals to, and 0 is no signal's.
    """
    if not type(loop).__module__.startswith("uvloop"):
        return
    descriptor = set_wakeup_fd(-1)
    if descriptor >= 0:
        set_wakeup_fd(descriptor, warn_on_full_buffer=False)  # as uvloop does
        os.write(descriptor, b"\0")
