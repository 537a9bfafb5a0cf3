"""Binding sockets, and finding out that something listens."""

from __future__ import annotations

import os
import socket

import pytest

from lifecycle import PortUnavailable
from lifecycle.drain.kernel_sockets import accept_queue, is_listening
from lifecycle.serving.sockets import bind


@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
def test_a_port_is_seen_once_it_listens_and_not_while_it_is_only_bound(family, host):
    """Bound, nobody could connect yet. A second socket keeps the port from everybody else."""
    with socket.socket(family) as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind((host, 0))
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


def test_without_a_table_nobody_is_seen_to_wait(monkeypatch):
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


@pytest.mark.parametrize("where", ["", "host", "127.0.0.1:", "127.0.0.1:99999", "a:b", "[::1]"])
def test_what_is_no_address_is_refused_with_what_would_be_one(where):
    """The message shows the forms."""
    with pytest.raises(PortUnavailable, match=r"must be HOST:PORT, \[HOST\]:PORT"):
        bind(where)


@pytest.mark.parametrize("where", ["127.0.0.1:0", "[::1]:0", ":0", "0"])
def test_every_form_of_an_address_is_bound(where):
    """`PORT` alone is every interface."""
    with bind(where) as sock:
        assert sock.getsockname()[1] > 0


def test_a_path_left_behind_is_taken_over(tmp_path):
    """A container restarts on the same volume."""
    path = tmp_path / "app.sock"
    os.close(bind(f"unix:{path}").detach())  # as if the process had been killed
    assert path.exists()
    bind(f"unix:{path}").close()


def test_a_path_goes_with_its_socket(tmp_path):
    """When it is closed, and not what another process has put there since."""
    path = tmp_path / "app.sock"
    bind(f"unix:{path}").close()
    assert not path.exists()
    first = bind(f"unix:{path}")
    path.unlink()
    with bind(f"unix:{path}"):
        first.close()
        assert path.is_socket()


def test_a_forked_child_leaves_the_path_alone(tmp_path, monkeypatch):
    """It has the socket too, and may close it as often as it likes."""
    path = tmp_path / "app.sock"
    with bind(f"unix:{path}") as sock:
        with monkeypatch.context() as child:
            child.setattr("os.getpid", lambda: -1)
            sock.close()
        assert path.is_socket()


def test_a_path_that_somebody_answers_on_is_not_stolen(tmp_path):
    """Two processes on one path: the second one is told."""
    path = f"unix:{tmp_path / 'app.sock'}"
    with bind(path) as sock:
        sock.listen()
        with pytest.raises(PortUnavailable, match="in use"):
            bind(path)


def test_a_file_that_is_no_socket_is_never_removed(tmp_path):
    """Bad input never loses anything."""
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(PortUnavailable, match="precious"):
        bind(f"unix:{path}")
    assert path.read_text() == "data"
