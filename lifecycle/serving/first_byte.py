"""Accepted connections that have sent nothing yet. Each one costs little more than its socket."""

from __future__ import annotations

import asyncio
import enum
import socket
from collections.abc import Callable
from typing import Final

from lifecycle.serving.byte_stream import has_sent
from lifecycle.serving.closing import Closing
from lifecycle.serving.connection_table import ConnectionEntry

HANDSHAKE_TIME: Final = 10.0
"""Seconds for a TLS handshake, for the wait before it, and for its first message."""


class Came(enum.Enum):
    """How much of a client's first message has arrived."""

    PART = enum.auto()
    ALL = enum.auto()
    """All of it. Or it is not such a message, and the code that reads it will answer."""
    NO_MORE = enum.auto()
    """The client is gone."""


def any_byte() -> Came:
    """Check for a first message of which one byte is enough. The caller has seen a byte."""
    return Came.ALL


class FirstBytes:
    """
    The connections of one server without a first byte, on the running loop.

    Args:
        keep_alive: Seconds for a client to send its first byte.
        begin: Serves a connection whose first message has arrived.
        lost: Called with a connection that is closed before that.
    """

    def __init__(
        self,
        keep_alive: float,
        *,
        begin: Callable[[socket.socket, ConnectionEntry, Closing], None],
        lost: Callable[[ConnectionEntry], None],
    ) -> None:
        self._keep_alive = keep_alive
        self._begin = begin
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._timers: dict[ConnectionEntry, asyncio.TimerHandle] = {}
        self._closing: dict[ConnectionEntry, Closing] = {}

    def wait(
        self,
        accepted: socket.socket,
        entry: ConnectionEntry,
        look: Callable[[], Came],
        closing: Closing,
    ) -> None:
        """
        Serve a connection once its first message has arrived, at once if it is there.

        Args:
            accepted: The socket.
            entry: The entry in the server's table.
            look: Checks the first message, once bytes have arrived.
            closing: Set while it must close as soon as it is idle.
        """
        begun = has_sent(accepted)
        if begun and look() is Came.ALL:
            self._begin(accepted, entry, closing)
            return
        self._watch(accepted, entry, look, closing)
        if begun:
            self._abort_by(entry, self._loop.time() + HANDSHAKE_TIME)

    def _watch(
        self,
        accepted: socket.socket,
        entry: ConnectionEntry,
        look: Callable[[], Came],
        closing: Closing,
    ) -> None:
        def over() -> None:
            self._loop.remove_reader(accepted)
            self._timers.pop(entry).cancel()
            del self._closing[entry]

        def first() -> None:
            came = look()
            if came is Came.ALL:
                over()
                self._begin(accepted, entry, closing)
            elif came is Came.PART:
                self._abort_by(entry, self._loop.time() + HANDSHAKE_TIME)
            else:
                abort()

        def abort() -> None:
            over()
            accepted.close()
            self._lost(entry)

        self._loop.add_reader(accepted, first)
        until = entry.idle_from if closing.is_set() else entry.since + self._keep_alive
        self._timers[entry] = self._loop.call_at(until, abort)
        self._closing[entry] = closing
        entry.abort = abort

    def hurry(self) -> None:
        """Shorten every wait to the idle time, while the server closes idle connections."""
        now = self._loop.time()
        for entry in self._timers:
            self._loop.call_at(max(entry.idle_from, now), self._abort_if_idle, entry)

    def _abort_if_idle(self, entry: ConnectionEntry) -> None:
        closing = self._closing.get(entry)
        if closing is not None and closing.is_set():  # it may have been taken back meanwhile
            entry.abort()

    def _abort_by(self, entry: ConnectionEntry, until: float) -> None:
        timer = self._timers[entry]
        if until < timer.when():
            timer.cancel()
            until = max(until, self._loop.time())
            self._timers[entry] = self._loop.call_at(until, entry.abort)
