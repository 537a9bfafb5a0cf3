"""What `accept` says while a server stops, and who is taken all the same."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from typing import Any

import pytest

from lifecycle.serving.listeners import Listeners

CROWD = 3


class Scripted(socket.socket):
    """A listener that first says what it is told to."""

    says: tuple[int, ...] = ()

    def accept(self) -> Any:
        """Raise the next error; accept when there is none left."""
        if self.says:
            error, *rest = self.says
            self.says = tuple(rest)
            raise OSError(error, os.strerror(error))
        return super().accept()


@pytest.mark.parametrize(
    ("says", "at_once"),
    [
        ((errno.EMFILE,), False),
        ((errno.ENFILE, errno.ENFILE), False),
        ((errno.ENOBUFS,), False),
        ((errno.ENOMEM, errno.EMFILE), False),
        ((errno.ECONNABORTED, errno.EPROTO, errno.EHOSTUNREACH), True),
        ((errno.EINTR, errno.EPERM, errno.ENOMEM), False),
    ],
    ids=["EMFILE", "ENFILE twice", "ENOBUFS", "ENOMEM", "one client's", "both"],
)
@pytest.mark.parametrize("freed", [False, True])
def test_everybody_is_taken_whatever_accept_says_first(
    says: tuple[int, ...], at_once: bool, freed: bool
) -> None:
    """What is one client's own fault ends nothing, and what the process lacks is waited for."""

    async def scenario() -> None:
        taken: list[socket.socket] = []
        over = asyncio.Event()
        with Scripted(socket.AF_INET, socket.SOCK_STREAM) as sock:
            sock.bind(("127.0.0.1", 0))
            listeners = Listeners(lambda each: taken.append(each) or True, list, over.set)
            listeners.open([sock], CROWD)
            clients = [socket.create_connection(sock.getsockname()) for _ in range(CROWD)]
            sock.says = says
            listeners.stop()
            assert listeners.waiting is not at_once
            if freed:
                listeners.descriptor_freed()
            async with asyncio.timeout(5):
                await over.wait()
            assert not listeners.waiting
            assert sock.fileno() == -1
            assert listeners.close() == 0
        assert len(taken) == CROWD
        for each in (*clients, *taken):
            each.close()

    asyncio.run(scenario())
