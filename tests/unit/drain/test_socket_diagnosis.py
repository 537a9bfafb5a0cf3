"""The kernel's socket diagnosis: what it tells of sockets, and what is made of any answer."""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.drain import socket_diagnosis
from lifecycle.drain.socket_diagnosis import Endings, NoDiagnosis, sockets_of
from lifecycle.drain.socket_messages import (
    CLOSE_WAIT,
    CLOSING,
    ESTABLISHED,
    LISTEN,
    TcpSocket,
    name_of,
    parse,
)

ALL = LISTEN | ESTABLISHED | CLOSE_WAIT | CLOSING
INET_DIAG = 20


def message(body: bytes, kind: int = INET_DIAG) -> bytes:
    padding = bytes(-len(body) % 4)
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 1, 0) + body + padding


def described(info: bytes = b"") -> bytes:
    """A connection as linux/inet_diag.h has it, and tcp_info, of which a kernel has a part."""
    ends = struct.pack(">HH16x4s16x", 8080, 50000, bytes([10, 0, 0, 7]))
    body = struct.pack("=BBBB", socket.AF_INET, 1, 0, 0) + ends
    body += struct.pack("=QIIIII", 77, 0, 3, 4, 1000, 99)
    return body + (struct.pack("=HH", 4 + len(info), 2) + info if info else b"")


def info(size: int) -> bytes:
    found = bytearray(232)
    struct.pack_into("=4I", found, 44, 11, 0, 12, 0)
    struct.pack_into("=QQ", found, 120, 21, 22)
    struct.pack_into("=Q", found, 200, 23)
    return bytes(found[:size])


PEER = bytes([10, 0, 0, 7])
PLAIN = TcpSocket(ESTABLISHED, 77, 8080, PEER, 3, 4, True, peer_port=50000)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, PLAIN),
        (104, PLAIN),
        (136, PLAIN._replace(received=22, sent=21, received_ago=12, sent_ago=11)),
        (232, PLAIN._replace(received=22, sent=23, received_ago=12, sent_ago=11)),
    ],
    ids=["none", "Linux 3", "Linux 4.1: what was confirmed", "today"],
)
def test_a_kernel_tells_as_much_as_it_knows(size: int, expected: TcpSocket) -> None:
    """An older one has a shorter tcp_info."""
    answer = parse(message(described(info(size))) + message(b"\0\0\0\0", 3))
    assert answer.sockets == [expected]
    assert (answer.over, answer.error) == (True, 0)


@pytest.mark.parametrize("kind", [2, 3])
def test_a_refusal_is_an_error(kind: int) -> None:
    """It comes in an answer of its own, or at the end of another."""
    refusal = message(struct.pack("=i", -errno.EPERM), kind)
    assert parse(message(described()) + refusal) == ([PLAIN], True, errno.EPERM)


@given(st.binary(max_size=300))
def test_no_answer_is_too_strange(data: bytes) -> None:
    """Rubbish tells nothing, and harms nothing."""
    assert isinstance(parse(data).over, bool)
    parse(message(data))
    parse(message(described() + data))


@given(st.integers(0, 400))
def test_what_is_cut_off_is_left_out(size: int) -> None:
    """A datagram that came in part tells of what it has whole."""
    whole = message(described(info(232))) * 2
    assert len(parse(whole[:size]).sockets) == size // (len(whole) // 2)


def test_an_address_is_shown_as_people_write_it() -> None:
    """An IPv4 client of a socket for both has an IPv4 address."""
    assert name_of(PEER) == "10.0.0.7"
    assert name_of(bytes(10) + b"\xff\xff" + PEER) == "10.0.0.7"
    assert name_of(bytes(15) + b"\1") == "::1"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_connection_is_told_of_from_its_first_moment_on(host: str) -> None:
    """Waiting, accepted, asked, answered, half closed, closing."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as server:
        port = server.getsockname()[1]

        def now() -> TcpSocket:
            [found] = sockets_of([port], ALL & ~LISTEN, info=True)
            return found

        with socket.create_connection((host, port)) as client:
            first = now()
            assert (first.accepted, first.received, first.sent) == (False, 0, 0)
            assert name_of(first.peer) == host
            [listener] = sockets_of([port], LISTEN)
            assert (listener.waiting, listener.port) == (1, port)
            with server.accept()[0] as ours:
                client.sendall(b"hello")
                assert (now().waiting, now().received, now().accepted) == (5, 5, True)
                ours.recv(5)
                assert (now().waiting, now().sent) == (0, 0)
                ours.sendall(b"good day")
                assert (now().received, now().sent) == (5, 8)
                client.shutdown(socket.SHUT_WR)
                assert now().state == CLOSE_WAIT
                assert now().cookie == first.cookie


def test_only_who_has_one_of_the_ports_is_told_of() -> None:
    """Whatever number of ports is asked for, in whatever order; the client's end has another."""
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(7)]
    ports = [each.getsockname()[1] for each in servers]
    clients = [socket.create_connection(("127.0.0.1", port)) for port in ports]
    some = [ports[4], ports[0], ports[6]]
    for asked in (some, some[:1], [*range(1, 900), *some, *range(10_000, 10_400)]):
        found = sockets_of(asked, ALL)
        expected = [port for port in ports if port in asked]
        assert sorted(each.port for each in found) == sorted(expected * 2)
    assert sockets_of([], ALL) == []
    for each in servers + clients:
        each.close()


def test_what_is_remembered_only_is_not_told_of() -> None:
    """A server that closes first leaves a TIME-WAIT on its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        server.accept()[0].close()
        client.close()
        assert [each.state for each in sockets_of([port], ALL)] == [LISTEN]


@pytest.mark.parametrize("first", ["the server", "the client"])
def test_every_end_is_heard_of(first: str) -> None:
    """Of connections that nobody has looked at too; they are known by the same cookie."""
    with closing(Endings()) as endings, socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        ours = server.accept()[0]
        client.sendall(b"hello")
        ours.recv(5)
        [there] = sockets_of([port], ESTABLISHED)
        pair = (ours, client) if first == "the server" else (client, ours)
        for each in pair:
            each.close()
        found: list[TcpSocket] = []
        while not any(each.port == port for each in found):
            assert select.select([endings], [], [], 5)[0]
            some, missed = endings.take(100)
            found += some
            assert not missed
    [ended] = [each for each in found if each.port == port]
    assert ended.cookie == there.cookie
    assert ended.received in {5, 6}  # its end counts as one


def test_too_many_ends_at_once_are_noticed() -> None:
    """The kernel drops what there is no room for, and says so."""
    missed = False
    with closing(Endings()) as endings, socket.create_server(("127.0.0.1", 0)) as server:
        endings._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        for _ in range(200):
            client = socket.create_connection(server.getsockname())
            server.accept()[0].close()
            client.close()
        while not missed:
            assert select.select([endings], [], [], 5)[0]
            missed = endings.take(1000)[1]


@pytest.mark.parametrize(
    ("number", "expected"),
    [(errno.EPROTONOSUPPORT, NoDiagnosis), (errno.EPERM, NoDiagnosis), (errno.EMFILE, OSError)],
)
def test_what_a_sandbox_says(monkeypatch, number: int, expected: type[Exception]) -> None:
    """That there is no diagnosis is for good; that no descriptor is left is not."""

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket_diagnosis.socket, "socket", refuse)
    with pytest.raises(expected):
        sockets_of([80], LISTEN)
    with pytest.raises(expected):
        Endings()


def test_a_kernel_without_tcp(monkeypatch) -> None:
    """If it knows neither family, there is nothing to go by."""
    monkeypatch.setattr(socket_diagnosis, "FAMILIES", (socket.AF_APPLETALK, socket.AF_X25))
    with pytest.raises(NoDiagnosis):
        sockets_of([80], LISTEN)
