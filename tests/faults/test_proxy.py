"""The proxy between plain sockets."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.faults.links import HERE, Way
from tests.faults.proxy import Proxy
from tests.process.waiting import wait_for


class Peers:
    """A server that is a listening socket, a proxy before it, and clients."""

    def __init__(self, proxy: Proxy, listener: socket.socket) -> None:
        self.proxy = proxy
        self.listener = listener
        self.opened: list[socket.socket] = []

    def connect(self) -> tuple[socket.socket, socket.socket]:
        """Return both ends of a connection through the proxy: the client's, and the server's."""
        client = socket.create_connection((HERE, self.proxy.port), 10)
        server, _ = self.listener.accept()
        server.settimeout(10)
        self.opened += [client, server]
        return client, server


@pytest.fixture
def peers() -> Iterator[Peers]:
    with socket.create_server((HERE, 0)) as listener:
        listener.settimeout(10)
        with Proxy(listener.getsockname()[1]) as proxy:
            peers = Peers(proxy, listener)
            yield peers
            for sock in peers.opened:
                sock.close()


def silent(sock: socket.socket, seconds: float = 0.2) -> bool:
    """Tell whether nothing comes for a moment."""
    sock.settimeout(seconds)
    try:
        return sock.recv(1, socket.MSG_PEEK) == b"never"
    except TimeoutError:
        return True
    finally:
        sock.settimeout(10)


def read(sock: socket.socket, count: int) -> bytes:
    got = b""
    while len(got) < count and (some := sock.recv(count - len(got))):
        got += some
    return got


def first_byte(port: int) -> bytes:
    """Connect, which can fail already, and read."""
    with socket.create_connection((HERE, port), 10) as client:
        return client.recv(1)


def test_bytes_and_both_ends_pass_through(peers: Peers) -> None:
    client, server = peers.connect()
    client.sendall(b"ask")
    client.shutdown(socket.SHUT_WR)
    assert read(server, 4) == b"ask"
    server.sendall(b"answer")
    server.close()
    assert read(client, 7) == b"answer"
    wait_for(lambda: peers.proxy.connections == 0, 10, "the connection is over")
    assert (peers.proxy.passed(Way.UP), peers.proxy.passed(Way.DOWN)) == (3, 6)


def test_megabytes_arrive_whole_and_in_order(peers: Peers) -> None:
    """The sender is held up by a receiver that does not read yet."""
    client, server = peers.connect()
    sent = b"".join(number.to_bytes(4, "big") for number in range(4_000_000))
    sender = threading.Thread(target=client.sendall, args=(sent,))
    sender.start()
    assert read(server, len(sent)) == sent
    sender.join()


def test_a_delay_is_of_one_direction(peers: Peers) -> None:
    client, server = peers.connect()
    peers.proxy.delay(0.3, Way.DOWN)
    client.sendall(b"a")
    server.sendall(b"b")
    began = time.monotonic()
    assert read(server, 1) == b"a"
    there = time.monotonic()
    assert read(client, 1) == b"b"
    back = time.monotonic()
    assert back - began >= 0.25
    assert back - began > there - began
    peers.proxy.heal()


@pytest.mark.parametrize(("way", "held", "free"), [(Way.UP, 1, 0), (Way.DOWN, 0, 1)])
def test_what_is_held_back_arrives_when_it_is_over(
    peers: Peers, way: Way, held: int, free: int
) -> None:
    """One direction is silent, and the other one goes on."""
    ends = peers.connect()
    peers.proxy.hold(way)
    for end in ends:
        end.sendall(b"x")
    assert read(ends[free], 1) == b"x"
    assert silent(ends[held])
    late = peers.connect()
    late[1 - held].sendall(b"y")
    assert silent(late[held]), "new connections are accepted, and silent too"
    peers.proxy.heal()
    assert read(ends[held], 1) == b"x"
    assert read(late[held], 1) == b"y"


def test_the_end_of_a_connection_is_held_back_too(peers: Peers) -> None:
    client, server = peers.connect()
    peers.proxy.hold()
    client.close()
    assert silent(server)
    peers.proxy.heal()
    assert read(server, 1) == b""


def test_an_isolated_server_does_not_answer_new_connections(peers: Peers) -> None:
    client, server = peers.connect()
    peers.proxy.isolate()
    client.sendall(b"x")
    assert silent(server)
    with pytest.raises(TimeoutError):
        socket.create_connection((HERE, peers.proxy.port), 0.3)
    peers.proxy.isolate()
    peers.proxy.heal()
    assert read(server, 1) == b"x"
    client, server = peers.connect()
    client.sendall(b"y")
    assert read(server, 1) == b"y"


def test_a_reset_ends_every_connection_and_loses_what_was_held(peers: Peers) -> None:
    ends = [peers.connect(), peers.connect()]
    peers.proxy.hold()
    ends[0][0].sendall(b"x")
    peers.proxy.reset()
    for sock in (sock for pair in ends for sock in pair):
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
    assert peers.proxy.connections == 0
    peers.proxy.heal()
    client, server = peers.connect()
    client.sendall(b"y")
    assert read(server, 1) == b"y"


def test_a_port_that_refuses_is_the_same_port_afterwards(peers: Peers) -> None:
    port = peers.proxy.port
    client, server = peers.connect()
    peers.proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HERE, port), 10)
    client.sendall(b"x")
    assert read(server, 1) == b"x", "what is connected stays"
    peers.proxy.heal()
    assert peers.proxy.port == port
    peers.connect()


def test_a_server_that_is_down_resets(peers: Peers) -> None:
    peers.listener.close()
    with pytest.raises(ConnectionResetError):
        first_byte(peers.proxy.port)


@pytest.mark.parametrize(("way", "kept"), [(Way.UP, 0), (Way.DOWN, 1)])
def test_one_side_of_a_half_open_connection_learns_nothing(
    peers: Peers, way: Way, kept: int
) -> None:
    """It can send and gets no answer, also when all is healed. A new connection works."""
    ends = peers.connect()
    peers.proxy.half_open(way)
    peers.proxy.half_open(way)
    assert read(ends[1 - kept], 1) == b""
    ends[kept].sendall(b"x")
    peers.proxy.heal()
    assert silent(ends[kept])
    client, server = peers.connect()
    client.sendall(b"y")
    assert read(server, 1) == b"y"
    peers.proxy.reset()
    with pytest.raises(ConnectionResetError):
        ends[kept].recv(1)


def test_a_connection_is_cut_in_the_middle_of_an_answer(peers: Peers) -> None:
    """The server has done what it was asked, and the client does not learn it."""
    client, server = peers.connect()
    peers.proxy.cut(3, Way.DOWN)
    client.sendall(b"ask")
    assert read(server, 3) == b"ask"
    server.sendall(b"answer")
    with pytest.raises(ConnectionResetError):
        read(client, 6)
    assert peers.proxy.passed(Way.DOWN) == 3
    client, server = peers.connect()
    server.sendall(b"answer")
    assert read(client, 6) == b"answer", "only once"


def test_the_bandwidth_is_of_one_direction(peers: Peers) -> None:
    client, server = peers.connect()
    peers.proxy.limit(10_000, Way.UP)
    client.sendall(b"x" * 5_000)
    server.sendall(b"y" * 5_000_000)
    began = time.monotonic()
    read(client, 5_000_000)
    read(server, 5_000)
    assert time.monotonic() - began >= 0.4


def test_a_proxy_ends_with_connections_of_every_kind() -> None:
    """Held, half open, isolated, and under way: no thread and no descriptor is left."""
    threads = threading.active_count()
    with socket.create_server((HERE, 0)) as listener:
        with Proxy(listener.getsockname()[1]) as proxy:
            clients = [socket.create_connection((HERE, proxy.port), 10) for _ in range(3)]
            proxy.half_open()
            clients += [socket.create_connection((HERE, proxy.port), 10) for _ in range(3)]
            proxy.delay(100)
            clients[-1].sendall(b"x")
            proxy.isolate()
        for client in clients:
            client.close()
    assert threading.active_count() == threads
