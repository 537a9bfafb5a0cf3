"""The parts of a lifecycle: when its port answers."""

from __future__ import annotations

import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator

import pytest

from lifecycle.config import Config
from lifecycle.core import Core
from lifecycle.drain.exit_code import Ending
from lifecycle.runtime import core_of, handle_of


@pytest.fixture
def core() -> Iterator[Core]:
    """One whose port is open, and does not answer yet."""
    core = made(60)
    core.open()
    yield core
    ended(core)


def made(put_off: float) -> Core:
    """Make one."""
    config = Config(qos_port=0, settle=0, quiet=0, plugins=("no:kubernetes",))
    return core_of(handle_of(lambda life: Core(life, config, put_off=put_off)))


def ended(core: Core) -> None:
    """End it."""
    core.end(Ending(0), "the end of the test")
    core.close()


def asked(core: Core) -> socket.socket:
    """Ask `/live`, and do not wait for the answer."""
    sock = socket.create_connection(("127.0.0.1", int(core.url.rpartition(":")[2])), timeout=20)
    sock.sendall(b"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    return sock


def test_who_asks_before_the_port_answers_is_answered_then(core: Core) -> None:
    """Its connection waits in the queue."""
    with asked(core) as sock:
        core.answer()
        core.answer()  # twice is once

        assert sock.makefile().read().endswith("\n\ntrue")
    with urllib.request.urlopen(core.url + "/live", timeout=20) as reply:
        assert reply.read() == b"true"


def test_answers_are_put_off_no_longer_than_that() -> None:
    """Whatever the start waits for: nobody calls `answer` here."""
    core = made(0.1)
    core.open()
    with asked(core) as sock:
        assert sock.makefile().read().endswith("\n\ntrue")
    ended(core)


def test_a_port_that_never_answers_is_closed_at_the_end(core: Core) -> None:
    """Who waits there is told."""
    with asked(core) as sock:
        ended(core)

        with pytest.raises(ConnectionError):
            sock.recv(1)


def test_a_command_is_started_before_the_servers_import() -> None:
    """It is a third of all that is imported, and the command starts at the same time."""
    code = (
        "import sys, lifecycle.cli.run, lifecycle.process.command.supervise;"
        "sys.exit(bool({'hypercorn', 'h11', 'h2', 'wsproto', 'uvicorn'} & {*sys.modules}))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
