"""
The thread that answers the parent's questions: which requests are in flight, and where they stand.

Rules of this file:

1. The thread waits in the kernel for a question, so it costs nothing until there is one. It answers
   while all other threads of the worker are blocked, as long as one lets go of the GIL.
2. The thread uses no lock of Python, imports nothing after its start, and raises nothing.
3. The thread blocks all signals. Otherwise a signal could be lost for the thread that waits for it.
4. A forked process does not answer, and closes its copy of the connection.
"""

from __future__ import annotations

import os

from .board import ASK

TYPE_CHECKING = False  # importing typing costs as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Callable

QUESTION = 256
"""Bytes to read at once. A question is one short line."""


class Answers:
    """
    The answers of one worker.

    Args:
        path: The path of the board.
        find: Returns the answer to a question: the most requests, and whether with stacks.
        start_thread: Starts a thread of the system, also once gevent has patched `threading`.
    """

    def __init__(
        self, path: str, find: Callable[[int, bool], bytes], start_thread: Callable[..., object]
    ) -> None:
        self._path = path + ASK
        self._find = find
        self._start_thread = start_thread
        self._line: _Line | None = None

    def start(self) -> None:
        """Start the thread. Without one, the parent knows only how many requests there are."""
        import _signal  # type: ignore[import-not-found]  # gevent patches the library's

        mask = getattr(_signal, "pthread_sigmask", None)
        kept = mask(_signal.SIG_BLOCK, _all_signals()) if mask is not None else ()
        try:
            self._start_thread(self._run, ())
        except RuntimeError:  # the limit of threads is reached
            pass
        finally:
            if mask is not None:
                mask(_signal.SIG_SETMASK, kept)

    def forget(self) -> None:
        """Close the connection in a forked process, where the thread does not run."""
        if self._line is not None:
            self._line.close()

    def _run(self) -> None:
        try:
            self._serve()
        except Exception:  # noqa: S110 - the parent is gone, or sees that there is no answer
            pass

    def _serve(self) -> None:
        from . import standing  # noqa: F401 - while imports still work

        line = self._line = _Line()
        try:
            line.connect(self._path)
            rest = b""
            while (found := line.receive()) and len(rest) < QUESTION:
                *questions, rest = (rest + found).split(b"\n")
                for each in questions:
                    number, limit, stacks = map(int, each.split())
                    body = self._answer(limit, bool(stacks))
                    line.send(b"%d %d\n" % (number, len(body)) + body)
        finally:
            line.close()

    def _answer(self, limit: int, stacks: bool) -> bytes:  # noqa: FBT001 - as `find`
        try:
            return self._find(limit, stacks)
        except Exception:  # the requests change meanwhile, and belong to the app
            return b""


class _Line:
    """
    A connection to the parent.

    Code that closes all descriptors by their numbers may give the number of this one to a file of
    the app, which is then left alone.
    """

    def __init__(self) -> None:
        import _socket  # not `socket`, which gevent patches

        self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        self._socket.settimeout(None)  # an app may have set another default
        self._quiet = getattr(_socket, "MSG_NOSIGNAL", 0)
        self._file = self._found()

    def connect(self, path: str) -> None:
        """Connect to the parent."""
        self._socket.connect(path)

    def receive(self) -> bytes:
        """Wait for a question. Empty once the parent is gone."""
        return self._socket.recv(QUESTION) if self._found() == self._file else b""

    def send(self, data: bytes) -> None:
        """
        Send an answer.

        Raises:
            OSError: The parent is gone, or the connection was closed here.
        """
        if self._found() != self._file:
            raise OSError
        self._socket.sendall(data, self._quiet)

    def close(self) -> None:
        """Close the connection."""
        if self._found() == self._file:
            self._socket.close()
        else:
            self._socket.detach()

    def _found(self) -> tuple[int, int]:
        try:
            found = os.fstat(self._socket.fileno())
        except OSError:
            return 0, 0
        return found.st_dev, found.st_ino


def _all_signals() -> set[int]:
    import _signal

    faults = {_signal.SIGSEGV, _signal.SIGFPE, _signal.SIGABRT, _signal.SIGBUS, _signal.SIGILL}
    return set(_signal.valid_signals()) - faults
