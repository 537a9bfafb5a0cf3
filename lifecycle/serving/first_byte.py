"""Accepted connections that have sent nothing yet: each costs hardly more than its socket."""

from __future__ import annotations

import asyncio
import enum
import socket
from collections.abc import Callable
from typing import Final

from lifecycle.serving.byte_stream import has_sent
from lifecycle.serving.connection_table import ConnectionEntry

HANDSHAKE_TIME: Final = 10.0
"""Seconds for a handshake, for the wait before it, and for its first message."""


class Came(enum.Enum):
    """What has come of a client's first message."""

    PART = enum.auto()
    ALL = enum.auto()
    """It can begin; or what has come is no such message, and whoever reads it knows what to say."""
    NO_MORE = enum.auto()
    """Its client is gone."""


def any_byte() -> Came:
    """Look for a first message where one byte is enough: whoever is called has seen one."""
    return Came.ALL


class FirstBytes:
    """
    Those of one server, on the running loop.

    Args:
        keep_alive: Seconds that a client has for its first byte.
        begin: Serves a connection whose first message has come.
        lost: Told of one that is closed before.
    """

    def __init__(
        self,
        keep_alive: float,
        *,
        begin: Callable[[socket.socket, ConnectionEntry, asyncio.Event], None],
        lost: Callable[[ConnectionEntry], None],
    ) -> None:
        self._keep_alive = keep_alive
        self._begin = begin
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._timers: dict[ConnectionEntry, asyncio.TimerHandle] = {}

    def wait(
        self,
        accepted: socket.socket,
        entry: ConnectionEntry,
        look: Callable[[], Came],
        closing: asyncio.Event,
    ) -> None:
        """
        Begin with a connection once its first message has come: now, if it is there.

        Args:
            accepted: Its socket.
            entry: Where it stands.
            look: Looks what has come, once something has.
            closing: Set once it should close as soon as it is idle.
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
        closing: asyncio.Event,
    ) -> None:
        def over() -> None:
            self._loop.remove_reader(accepted)
            self._timers.pop(entry).cancel()

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
        entry.abort = abort

    def hurry(self) -> None:
        """Let none wait for longer than until it is idle: the server closes what is."""
        for entry in list(self._timers):
            self._abort_by(entry, entry.idle_from)

    def _abort_by(self, entry: ConnectionEntry, until: float) -> None:
        timer = self._timers[entry]
        if until < timer.when():
            timer.cancel()
            until = max(until, self._loop.time())
            self._timers[entry] = self._loop.call_at(until, entry.abort)
