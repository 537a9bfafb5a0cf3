"""
Questions to the workers of a command: which requests are in flight, and where do they stand?

Rules of this file:

1. Everything runs on the control loop. A worker that does not answer in time is left out.
2. Only the process of a worker on the board may connect, which the kernel proves.
3. Workers run the code of the app. So an answer is bounded, and a malformed one is dropped.
"""

from __future__ import annotations

import asyncio
import math
import socket
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Final

from lifecycle.drain.elsewhere import Seen, SeenThread, View
from lifecycle.drain.work_names import Words, what_of
from lifecycle.instrumentation.lifecycle_worker.board import Board
from lifecycle.instrumentation.lifecycle_worker.standing import MOST_BYTES, OK

READ: Final = 65536
"""Bytes to read at once."""
MOST_WAITING: Final = MOST_BYTES + READ
"""Bytes of an answer, after which its worker is not heard any more."""
AT_ONCE: Final = 8
"""Connections that are taken in one turn of the loop."""
ROWS_AT_ONCE: Final = 50
"""Rows of an answer that are read in one turn of the loop."""
HEAD: Final = 64
"""Bytes of the first line of an answer."""
FIELDS: Final = 6
"""Fields of a request before its lines."""
DIGITS: Final = 9
"""Digits of a number of requests."""
AGAIN: Final = 1.0
"""Seconds until workers may connect again if no descriptor was free."""
_CREDENTIALS: Final = struct.Struct("3i")
_SOL_LOCAL, _LOCAL_PEERPID = 0, 2
"""The numbers of macOS."""


class Questions:
    """
    Asks workers. For the control loop.

    Args:
        board: The board, with the workers that may connect.
        listener: The socket to which they connect.
    """

    def __init__(self, board: Board, listener: socket.socket) -> None:
        self._board = board
        self._listener = listener
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lines: dict[int, _Line] = {}
        self._number = 0

    def open(self) -> None:
        """Let workers connect from now on."""
        self._loop = asyncio.get_running_loop()
        self._listen()

    def _listen(self) -> None:
        if self._loop is not None:
            self._loop.add_reader(self._listener, self._accept)

    def close(self) -> None:
        """Close the socket and all connections."""
        if self._loop is not None:
            self._loop.remove_reader(self._listener)
            self._loop = None
        self._listener.close()
        for line in list(self._lines.values()):
            line.close()

    def _accept(self) -> None:
        loop = self._loop
        if loop is None:
            return
        try:
            for _ in range(AT_ONCE):  # the loop also answers the probes
                sock, _ = self._listener.accept()
                self._join(sock, loop)
        except BlockingIOError:
            return
        except OSError:  # no descriptor is free
            loop.remove_reader(self._listener)
            loop.call_later(AGAIN, self._listen)

    def _join(self, sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        pid = _peer(sock)
        if pid not in {slot.pid for slot in self._board.slots()}:
            sock.close()
            return
        if pid in self._lines:  # the process has become another program
            self._lines[pid].close()
        self._lines[pid] = _Line(sock, loop, partial(self._leave, pid))

    def _leave(self, pid: int) -> None:
        self._lines.pop(pid, None)

    async def ask(
        self, pids: Iterable[int], limit: int, *, stacks: bool, within: float
    ) -> dict[int, View]:
        """
        Ask several workers at once.

        Args:
            pids: Their processes.
            limit: The most requests of each one.
            stacks: Whether to find where requests and threads stand.
            within: Seconds to wait for the answers.

        Returns:
            The answers that came in time, by process.
        """
        self._number += 1
        question = f"{self._number} {limit} {int(stacks)}\n".encode()
        waits = {
            pid: answer
            for pid in pids
            if (line := self._lines.get(pid)) is not None
            and (answer := line.ask(self._number, question)) is not None
        }
        if waits:
            await asyncio.wait(waits.values(), timeout=within)
        for pid in waits:
            if (line := self._lines.get(pid)) is not None:
                line.give_up(self._number)
        answers = {pid: each.result() for pid, each in waits.items() if each.done()}
        return {pid: await _read(each, pid) for pid, each in answers.items() if each.startswith(OK)}


class _Line:
    """
    The connection of one worker.

    Args:
        sock: The connection.
        loop: The control loop.
        leave: Called at its end.
    """

    def __init__(
        self, sock: socket.socket, loop: asyncio.AbstractEventLoop, leave: Callable[[], None]
    ) -> None:
        self._socket = sock
        self._loop = loop
        self._leave = leave
        self._waits: dict[int, asyncio.Future[bytes]] = {}
        self._received = bytearray()
        sock.setblocking(False)
        loop.add_reader(sock, self._read)

    def ask(self, number: int, question: bytes) -> asyncio.Future[bytes] | None:
        """Send a question. Returns None if the worker does not read."""
        try:
            self._socket.send(question)
        except OSError:  # it is gone, or has not read many questions
            return None
        answer = self._waits[number] = self._loop.create_future()
        return answer

    def give_up(self, number: int) -> None:
        """Do not wait for an answer any more."""
        self._waits.pop(number, None)

    def close(self) -> None:
        """Close the connection. Nothing more is answered."""
        self._loop.remove_reader(self._socket)
        self._socket.close()
        for each in self._waits.values():
            if not each.done():
                each.set_result(b"")
        self._waits.clear()
        self._leave()

    def _read(self) -> None:
        try:
            found = self._socket.recv(READ)
        except BlockingIOError:
            return
        except OSError:
            found = b""
        self._received += found
        if not found or len(self._received) > MOST_WAITING or not self._is_understood():
            self.close()

    def _is_understood(self) -> bool:
        """Take the answers that are complete. Returns False for anything else than answers."""
        while True:
            head, mark, _ = bytes(self._received[:HEAD]).partition(b"\n")
            if not mark:
                return len(head) < HEAD
            try:
                number, size = map(int, head.split())
            except ValueError:
                return False
            begin = len(head) + 1
            if not 0 <= size <= MOST_BYTES:
                return False
            if len(self._received) < begin + size:
                return True
            self._take(number, bytes(self._received[begin : begin + size]))
            del self._received[: begin + size]

    def _take(self, number: int, answer: bytes) -> None:
        waits = self._waits.pop(number, None)
        if waits is not None and not waits.done():
            waits.set_result(answer)


def _peer(sock: socket.socket) -> int:
    """Return the id of the process at the other end, or 0 if the kernel does not tell it."""
    try:
        if hasattr(socket, "SO_PEERCRED"):
            size = _CREDENTIALS.size
            found = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
            return int(_CREDENTIALS.unpack(found)[0])
        return sock.getsockopt(_SOL_LOCAL, _LOCAL_PEERPID)
    except OSError:
        return 0


async def _read(answer: bytes, pid: int) -> View:
    work, threads, total = [], [], 0
    for number, row in enumerate(answer.decode("utf-8", "replace").split("\n"), 1):
        if not number % ROWS_AT_ONCE:
            await asyncio.sleep(0)
        kind, *fields = row.split("\t")
        if kind == "r" and len(fields) >= FIELDS:
            at, method, path, agent, protocol, line, *stack = fields
            words = Words(agent, path, method)
            with suppress(ValueError):
                since = float(at)
                if math.isfinite(since):
                    work.append(Seen(since, what_of(words), agent, pid, protocol, stack, line))
        elif kind.startswith(f"{OK.decode()} ") and kind[len(OK) + 1 :].isdecimal():
            total = int(kind[len(OK) + 1 :][:DIGITS])
        elif kind == "t" and fields:
            threads.append(SeenThread(pid, fields[0], fields[1:]))
    return View(work, threads, max(total, len(work)))
