"""Binding sockets."""

from __future__ import annotations

import os

import pytest

from lifecycle import PortUnavailable
from lifecycle.serving.sockets import bind


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
