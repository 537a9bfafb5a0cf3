"""
The listening sockets of a server, and their accept queues.

Rules of this file:

1. If a listener closes, the kernel resets the clients in its queue. All of them are therefore
   accepted first.
2. While the process has no file descriptor left, it cannot accept clients. A running server then
   makes room. A closing server keeps the listener, and accepts the rest as other connections end.
3. Clients that are lost in spite of this are counted.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from lifecycle.serving.sockets import PathSocket

BACKLOG: Final = 4096
"""The size of the accept queue, unless the kernel allows less (net.core.somaxconn)."""
BATCH: Final = 16
"""Connections that are served per wake-up of the loop."""
REFUSALS: Final = 256
"""Connections that are looked at per wake-up. Most of them are refused, which is fast."""
LAST_BATCH: Final = 65536
"""Connections to accept from a queue before its listener closes, more than it can hold."""
ACCEPT_PAUSE: Final = 0.1
"""Seconds until the next try if the process has no file descriptor left."""
NO_DESCRIPTOR: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
NO_LISTENER: Final = frozenset({errno.EBADF, errno.EINVAL, errno.ENOTSOCK})
"""Errors of `accept` about the listener. Its other errors are those of one client: accept(2)."""
UNACKED: Final = 24
"""The offset of the queue's length in TCP_INFO of a listener: `tcpi_unacked` in linux/tcp.h."""


class Listeners:
    """
    The listeners of one server, on the running loop.

    Args:
        take: Receives an accepted socket. Returns False if it was refused.
        make_room: Called when the process has no file descriptor left.
        changed: Called once the last queue is empty, during the close.

    Attributes:
        late: The number of clients that were accepted during the close.
    """

    def __init__(
        self,
        take: Callable[[socket.socket], bool],
        make_room: Callable[[], object],
        changed: Callable[[], object],
    ) -> None:
        self.closing = False
        self.late = 0
        self._take = take
        self._make_room = make_room
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._sockets: list[socket.socket] = []
        self._pauses: dict[socket.socket, asyncio.TimerHandle] = {}
        self._again: asyncio.Handle | None = None

    def open(self, sockets: Iterable[socket.socket], backlog: int) -> None:
        """Start to accept on bound sockets. They belong to this object from now on."""
        for sock in sockets:
            sock.setblocking(False)
            sock.listen(backlog)
            if sock.family in (socket.AF_INET, socket.AF_INET6):
                # What is accepted inherits it. An answer leaves in parts: without this the last
                # one waits for the client to acknowledge the first, up to 40 ms.
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets.append(sock)
            self._loop.add_reader(sock, self._accept, sock)

    def __iter__(self) -> Iterator[socket.socket]:
        """Iterate over the open listeners."""
        return iter(self._sockets)

    @property
    def waiting(self) -> bool:
        """True while clients may still be accepted during the close."""
        return self._again is not None

    def _accept(self, sock: socket.socket) -> None:
        taken = 0
        for _ in range(REFUSALS):
            try:
                accepted, _ = sock.accept()
            except ConnectionAbortedError:
                continue
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in NO_DESCRIPTOR:
                    self._make_room()
                    self._pause(sock)
                return
            taken += self._take(accepted)
            if taken == BATCH:
                return

    def _pause(self, sock: socket.socket) -> None:
        self._loop.remove_reader(sock)

        def resume() -> None:
            del self._pauses[sock]
            self._loop.add_reader(sock, self._accept, sock)

        self._pauses[sock] = self._loop.call_later(ACCEPT_PAUSE, resume)

    # The end

    def stop(self) -> None:
        """
        Accept the clients that have already arrived. A listener closes as soon as its queue is
        empty.

        Each listener closes at once, unless the process has no file descriptor left.
        """
        if self.closing:
            return
        self.closing = True
        for handle in self._pauses.values():
            handle.cancel()
        for sock in self._sockets:
            self._loop.remove_reader(sock)
            if isinstance(sock, PathSocket):
                sock.withdraw()
        self._take_rest()

    def descriptor_freed(self) -> None:
        """Accept more clients, if any wait. Call it after a socket was closed."""
        if self.waiting:
            self._take_rest_at(self._loop.time())

    def _take_rest_at(self, when: float) -> None:
        self.give_up()
        self._again = self._loop.call_at(when, self._take_rest)

    def _take_rest(self) -> None:
        self._again = None
        left = [sock for sock in self._sockets if not self._take_all(sock)]
        for sock in self._sockets:
            if sock not in left:
                sock.close()
        self._sockets = left
        if left:  # others than this server's connections may give descriptors back
            self._take_rest_at(self._loop.time() + ACCEPT_PAUSE)
        else:
            self._changed()

    def _take_all(self, sock: socket.socket) -> bool:
        for _ in range(LAST_BATCH):
            try:
                accepted, _ = sock.accept()
            except BlockingIOError:
                return True
            except OSError as error:
                if error.errno in NO_DESCRIPTOR:
                    return False
                if error.errno in NO_LISTENER:
                    return True
                continue
            self.late += 1
            self._take(accepted)
        return True

    def give_up(self) -> None:
        """Stop accepting. Clients that still wait are lost at `close`."""
        if self._again is not None:
            self._again.cancel()
            self._again = None

    def close(self) -> int:
        """Close the open listeners, and return how many clients were lost."""
        self.give_up()
        lost = sum(_close(sock) for sock in self._sockets)
        self._sockets = []
        return lost


def _close(sock: socket.socket) -> int:
    """Close a listener, and return how many clients were in its queue."""
    with sock:
        for lost in range(LAST_BATCH):
            try:
                sock.accept()[0].close()
            except BlockingIOError:
                return lost
            except OSError:  # still no descriptor
                return lost + _queue(sock)
    return LAST_BATCH


def _queue(sock: socket.socket) -> int:
    """Return how many clients wait in a TCP listener, or 0 if the system does not report it."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6) or not hasattr(socket, "TCP_INFO"):
        return 0
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, UNACKED + 4)
    return int(struct.unpack_from("I", info, UNACKED)[0])
