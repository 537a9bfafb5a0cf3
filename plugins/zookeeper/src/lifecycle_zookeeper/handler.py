"""
The threads and sockets of kazoo, each with limits.

Rules of this file:

1. kazoo waits for a server as long as the session lasts. Here, it waits for `connect_timeout` until a
   session is open, so that a server that is back is noticed soon.
2. The loop never blocks: the socket that wakes kazoo's thread does not.
3. A thread that fails never prints a traceback. The failure is passed on.
"""

from __future__ import annotations

import logging
import select
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

from kazoo.handlers.threading import (  # type: ignore[import-untyped]
    SequentialThreadingHandler,
)

from lifecycle_zookeeper.errors import ZooKeeperFailed
from lifecycle_zookeeper.text import one_line

_NO_FAILURES: Final = ("Transition to", "Session has expired", "Found a RW")
"""How those warnings of kazoo begin that follow another one, or are told otherwise."""
_NO_ADDRESS: Final = "Cannot resolve"
"""How the warning begins that comes before any connection."""


class Handler(SequentialThreadingHandler):  # type: ignore[misc]  # kazoo is not typed
    """
    The handler of one client.

    Args:
        connect: Opens a socket, for a host, its address and a port.
        patience: Seconds that a server may take to open a session.
        on_failure: Called in kazoo's thread with the reason of each failure.
        on_crash: Called in kazoo's thread if the thread ends with an error.
    """

    def __init__(
        self,
        connect: Callable[[str, str, int], socket.socket],
        patience: float,
        on_failure: Callable[[ZooKeeperFailed], None],
        on_crash: Callable[[Exception], None],
    ) -> None:
        super().__init__()
        self._connect = connect
        self._patience = patience
        self._on_failure = on_failure
        self._on_crash = on_crash
        self._socket: socket.socket | None = None
        self._failed: ZooKeeperFailed | None = None
        self._late = False
        self._cut = False
        self.has_session = False
        """Whether the server has opened a session on the current connection."""

    def create_connection(
        self, address: tuple[str, int], hostname: str | None = None, **_: object
    ) -> socket.socket:
        """Open a socket. kazoo takes an OSError as a failed try."""
        self.has_session = self._late = False
        self._failed = None
        if self._cut:
            raise ConnectionAbortedError
        try:
            self._socket = self._connect(hostname or address[0], *address)
        except ZooKeeperFailed as failed:
            self._failed = failed
            raise OSError(str(failed)) from None
        return self._socket

    def select(
        self,
        reading: Sequence[Any],
        writing: Sequence[Any],
        _failing: Sequence[Any],
        timeout: float | None = None,
    ) -> tuple[Any, Any, Any]:
        """Wait for sockets. TLS may have read more than was asked for."""
        ready = [each for each in reading if isinstance(each, ssl.SSLSocket) and each.pending()]
        if ready:
            return ready, [], []
        if not self.has_session and timeout is not None:
            timeout = min(timeout, self._patience)
        readable, writable = _poll(reading, writing, timeout)
        if not self.has_session and not readable and not writable:
            self._late = True
        return readable, writable, []

    def spawn(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> threading.Thread:
        """Start a thread."""

        def run() -> None:
            try:
                func(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - a bug of kazoo must not end in a traceback
                self._on_crash(error)

        thread = threading.Thread(target=run, name="zookeeper", daemon=True)
        thread.start()
        return thread

    def create_socket_pair(self) -> tuple[socket.socket, socket.socket]:
        """Return the sockets that wake kazoo's thread."""
        reading, writing = super().create_socket_pair()
        writing.setblocking(False)
        return reading, writing

    def cut(self) -> None:
        """End the connection now. For a thread that waits for a server."""
        self._cut = True
        if self._socket is not None:
            try:
                self._socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                return

    def failed(self, words: str) -> None:
        """Pass on why the connection has failed. Called by the logger, with the words of kazoo."""
        if not self._cut and not words.startswith(_NO_FAILURES):
            self._on_failure(self._failed or self._reason(one_line(words)))

    def _reason(self, words: str) -> ZooKeeperFailed:
        if self.has_session or words.startswith(_NO_ADDRESS):
            return ZooKeeperFailed("unreachable", words)
        if self._late:
            return ZooKeeperFailed("slow", f"{self._patience} s have passed without a session")
        return ZooKeeperFailed("closed", "the server has closed the connection without an answer")


def _poll(
    reading: Sequence[Any], writing: Sequence[Any], timeout: float | None
) -> tuple[list[Any], list[Any]]:
    """Wait with one call of the system, and kazoo needs five. An error counts as ready."""
    poll = select.poll()
    for each in reading:
        poll.register(each, select.POLLIN)
    for each in writing:
        poll.register(each, select.POLLOUT)
    ready = {number for number, _ in poll.poll(None if timeout is None else timeout * 1000)}
    return (
        [each for each in reading if each.fileno() in ready],
        [each for each in writing if each.fileno() in ready],
    )


class Logger(logging.Logger):
    """
    The logger of kazoo. It writes nothing, because kazoo's own records may contain passwords.

    Args:
        told: Called with the words of each warning.
    """

    def __init__(self, told: Callable[[str], None]) -> None:
        super().__init__("kazoo", logging.WARNING)
        self._told = told

    def handle(self, record: logging.LogRecord) -> None:
        """Pass on a warning."""
        self._told(record.getMessage())
