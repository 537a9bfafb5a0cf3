"""What the kernel knows of a port: that something listens, and who waits to be accepted."""

from __future__ import annotations

import socket

import pytest

from lifecycle.drain import kernel_sockets
from lifecycle.drain.kernel_sockets import accept_queue, is_listening, listeners, tcp_sockets
from lifecycle.drain.socket_diagnosis import NoDiagnosis
from lifecycle.drain.socket_messages import ESTABLISHED, LISTEN, name_of


@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
def test_a_port_is_seen_once_it_listens_and_not_while_it_is_only_bound(family, host):
    """Bound, nobody could connect yet. A socket of both families keeps the port from all others."""
    with socket.socket(socket.AF_INET6) as held:
        held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(("::", 0))
        port = held.getsockname()[1]
        assert not is_listening(port)
        with socket.socket(family) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind((host, port))
            assert not is_listening(port)
            sock.listen()
            assert is_listening(port)
        assert not is_listening(port)


def test_a_connection_is_no_listener():
    """The local port of a client's connection is not taken for a service."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()) as client:
            assert not is_listening(client.getsockname()[1])


def test_where_a_port_is_open():
    """The address tells whether others can reach it; in the order of the ports, each once."""
    with (
        socket.create_server(("127.0.0.1", 0), reuse_port=True) as one,
        socket.create_server(one.getsockname(), reuse_port=True),
        socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as other,
        socket.create_server(("0.0.0.0", 0)) as third,
    ):
        ports = [each.getsockname()[1] for each in (other, one, third)]
        assert listeners(ports) == [
            f"[::]:{ports[0]}",
            f"127.0.0.1:{ports[1]}",
            f"0.0.0.0:{ports[2]}",
        ]
    assert listeners(ports) == [f"*:{port}" for port in ports]


def test_where_no_table_tells(monkeypatch):
    """The port alone is known."""
    monkeypatch.setattr(kernel_sockets, "TABLES", ("/proc/net/no-such-table",))
    assert listeners([8080]) == ["*:8080"]
    assert listeners([]) == []


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_who_waits_to_be_accepted_is_counted(host):
    """Until a server has accepted the last of them, closing its listener would reset some."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as server:
        address = server.getsockname()[:2]
        counts = [accept_queue(address[1])]
        clients = [socket.create_connection(address) for _ in range(3)]
        counts.append(accept_queue(address[1]))
        accepted = [server.accept()[0] for _ in range(3)]
        counts.append(accept_queue(address[1]))
        for each in clients + accepted:
            each.close()
    assert counts == [0, 3, 0]


@pytest.fixture
def no_diagnosis(monkeypatch):
    """A kernel, or a sandbox, without socket diagnosis."""

    def none(*_, **__):
        raise NoDiagnosis

    monkeypatch.setattr("lifecycle.drain.kernel_sockets.sockets_of", none)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_tables_tell_the_same(no_diagnosis, host):
    """Who waits, who is connected from where, whose bytes nobody has read."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as server:
        address = server.getsockname()[:2]
        with socket.create_connection(address) as client:
            client.sendall(b"hello")
            assert accept_queue(address[1]) == 1
            with server.accept()[0]:
                assert accept_queue(address[1]) == 0
                [found] = tcp_sockets([1, address[1]], ESTABLISHED)
    assert found.port == address[1]
    assert name_of(found.peer) == host
    assert (found.waiting, found.accepted, found.state) == (5, True, ESTABLISHED)


def test_whoever_comes_first_is_not_all(no_diagnosis):
    """Other states than that of a listener are looked for in the whole table."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(5)]
        assert len(tcp_sockets([port], ESTABLISHED)) == 5
        assert len(tcp_sockets([port], LISTEN)) == 1
        assert len({each.cookie for each in tcp_sockets([port], LISTEN | ESTABLISHED)}) == 6
        for each in clients:
            each.close()


def test_without_a_table_nobody_is_seen_to_wait(monkeypatch, no_diagnosis):
    """On a system without /proc."""
    monkeypatch.setattr("lifecycle.drain.kernel_sockets.TABLES", ("/nowhere/tcp",))
    assert accept_queue(80) == 0


def test_without_a_table_of_the_kernel_it_connects(monkeypatch):
    """On a system without /proc."""
    monkeypatch.setattr("lifecycle.drain.kernel_sockets.TABLES", ("/nowhere/tcp",))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert is_listening(port)
    assert not is_listening(port)
