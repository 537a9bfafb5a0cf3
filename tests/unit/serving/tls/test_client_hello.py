"""A client's first TLS message, while nobody reads it."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
from collections.abc import Iterator

import pytest

from lifecycle.serving.first_byte import Came
from lifecycle.serving.tls.client_hello import HEADER, LONGEST, LOOKS, ClientHello
from tests.process.serving import first_flight

WHOLE = first_flight()
LINGER = struct.pack("ii", 1, 0)


@contextlib.contextmanager
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Have a client, and what was accepted of it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with socket.create_connection(listener.getsockname()) as client:
            accepted, _ = listener.accept()
            accepted.setblocking(False)
            with accepted:
                yield client, accepted


def readable(sock: socket.socket, seconds: float = 5) -> bool:
    """Wait until a socket is readable; False if it is not in time."""
    return bool(select.select([sock], [], [], seconds)[0])


def ended(sock: socket.socket, seconds: float = 5) -> None:
    """Wait until the end of the other side has come, which a busy machine may delay."""
    waits = select.poll()
    waits.register(sock, select.POLLRDHUP)
    assert waits.poll(seconds * 1000)


@pytest.mark.parametrize(
    ("sent", "came"),
    [
        (WHOLE, Came.ALL),
        (WHOLE + b"more", Came.ALL),
        (WHOLE[:-1], Came.PART),
        (WHOLE[:HEADER], Came.PART),
        (WHOLE[:1], Came.PART),
        (b"GET / HTTP/1.1\r\n", Came.ALL),
        (b"\x16\x03\x01" + (LONGEST + 1).to_bytes(2), Came.ALL),
        (b"\x16\x03\x01" + LONGEST.to_bytes(2), Came.PART),
    ],
)
@pytest.mark.parametrize("ends", ["stays", "says no more", "is reset"])
def test_what_has_come(sent: bytes, came: Came, ends: str) -> None:
    """A part is a part while its client may send the rest; what is no handshake needs no rest."""
    with pair() as (client, accepted):
        client.sendall(sent)
        assert readable(accepted)
        if ends == "says no more":
            client.shutdown(socket.SHUT_WR)
        elif ends == "is reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
            client.close()
        if ends != "stays":
            ended(accepted)
            came = Came.NO_MORE if came is Came.PART else came
        assert ClientHello(accepted).look() is came
        if ends != "is reset":
            assert accepted.recv(LONGEST) == sent, "it stays unread"


def test_who_hangs_up_without_a_word_is_gone() -> None:
    """There is nothing to shake hands with."""
    with pair() as (client, accepted):
        client.shutdown(socket.SHUT_WR)
        assert readable(accepted)
        assert ClientHello(accepted).look() is Came.NO_MORE


def test_the_socket_is_readable_when_the_rest_has_come() -> None:
    """Not at every byte, and then at every byte again."""
    with pair() as (client, accepted):
        hello = ClientHello(accepted)
        client.sendall(WHOLE[:1])
        assert readable(accepted)
        assert hello.look() is Came.PART
        client.sendall(WHOLE[1 : HEADER - 1])
        assert not readable(accepted, 0.05)
        client.sendall(WHOLE[HEADER - 1 : -1])
        assert readable(accepted)
        assert hello.look() is Came.PART
        assert not readable(accepted, 0.05)
        client.sendall(WHOLE[-1:])
        assert readable(accepted)
        assert hello.look() is Came.ALL
        assert accepted.recv(LONGEST) == WHOLE
        client.sendall(b"x")
        assert readable(accepted)


def test_a_system_that_does_not_wait_is_not_asked_for_ever() -> None:
    """Where a socket is readable all the same, the handshake begins with what there is."""
    with pair() as (client, accepted):
        client.sendall(WHOLE[:-1])
        assert readable(accepted)
        hello = ClientHello(accepted)
        assert [hello.look() for _ in range(LOOKS)] == [Came.PART] * (LOOKS - 1) + [Came.ALL]
