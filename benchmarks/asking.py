"""Asking a server for as much as it answers, by connections that are kept and never idle."""

from __future__ import annotations

import selectors
import socket
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

DEADLINE: Final = 15.0
CONNECTIONS: Final = 16
REQUEST: Final = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
BODY: Final = b"true"


class Asking:
    """
    The connections to a server.

    Args:
        port: Where it listens.
        spent: Tells the CPU seconds that it has spent so far.
        workers: How many processes serve there. If more than one, each has as many of the
            connections, and says who it is in a header `X-Worker`.
    """

    def __init__(self, port: int, spent: Callable[[], float], workers: int = 1) -> None:
        self._spent = spent
        self._selector = selectors.DefaultSelector()
        has: Counter[bytes] = Counter()
        limit = time.perf_counter() + DEADLINE
        while has.total() < CONNECTIONS:
            sock = socket.create_connection(("127.0.0.1", port))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            worker = _worker_of(sock) if workers > 1 else b""
            if has[worker] < CONNECTIONS // workers:
                has[worker] += 1
                self._selector.register(sock, selectors.EVENT_READ, sock)
            else:
                sock.close()
                if time.perf_counter() > limit:
                    raise TimeoutError(f"not all of {workers} workers have served in {DEADLINE} s")

    def ask(self, seconds: float) -> tuple[float, float]:
        """Ask as much as it answers; returns requests a second, and CPU seconds a request."""
        spent, count, began = self._spent(), 0, time.perf_counter()
        for key in self._selector.get_map().values():
            key.data.sendall(REQUEST)
        asked, over = CONNECTIONS, False
        while count < asked:
            if not (answers := self._selector.select(DEADLINE)):
                raise TimeoutError(f"the server has not answered for {DEADLINE} s")
            for key, _ in answers:
                if not (answer := key.data.recv(4096)):
                    raise ConnectionError("the server has closed a kept connection")
                if answer.endswith(BODY):
                    count += 1
                    if not over:
                        key.data.sendall(REQUEST)
                        asked += 1
            over = time.perf_counter() - began > seconds
        return count / (time.perf_counter() - began), (self._spent() - spent) / count

    def tell(self, path: str) -> None:
        """Ask for this path once, on each connection, one after the other."""
        request = REQUEST.replace(b"/", path.encode(), 1)
        for key in self._selector.get_map().values():
            _answer(key.data, request)

    def close(self) -> None:
        """Close the connections."""
        for key in [*self._selector.get_map().values()]:
            key.data.close()
        self._selector.close()


def _worker_of(sock: socket.socket) -> bytes:
    return _answer(sock, REQUEST).lower().partition(b"\r\nx-worker: ")[2].partition(b"\r\n")[0]


def _answer(sock: socket.socket, request: bytes) -> bytes:
    sock.settimeout(DEADLINE)
    sock.sendall(request)
    answer = sock.recv(4096)
    while not answer.endswith(BODY):
        if not (more := sock.recv(4096)):
            raise ConnectionError(f"no whole answer: {answer!r}")
        answer += more
    return answer


def cpu_of(pid: int) -> float:
    """Return the CPU seconds of a process so far."""
    return time.clock_gettime(~pid << 3 | 2)  # clock_getcpuclockid(3)
