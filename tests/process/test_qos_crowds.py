"""More connections than the QOS port takes: who keeps its place, and who makes room."""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Callable, Iterator

import pytest

from tests.process import wire
from tests.process.kit import App, wait_for

Start = Callable[..., App]

TOKEN = "correct-horse-battery"
CAP = 64
"""Connections that the port takes under a limit of 256 descriptors."""
ENV = {
    "LIFECYCLE_PRESTOP_TOKEN": TOKEN,
    "LIFECYCLE_SETTLE": "60",
    "LIFECYCLE_GRACE_PERIOD": "120",
}
BUSY = """
import asyncio, logging
import lifecycle
from lifecycle import Command, hookimpl

class Slow:
    @hookimpl
    def lifecycle_commands(self):
        async def slow(request):
            await asyncio.sleep(300)

        return [Command("slow", slow, changes=True, timeout=None)]

async def main(life):
    await life.ready()
    await life.drained()

logging.basicConfig(level="INFO")
lifecycle.run(main, plugins=[Slow()])
"""

SLOW = b"POST /slow HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Lifecycle: 1\r\n\r\n"
LIVE = b"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
HALF = b"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\n"
PRESTOP = (
    b"GET /prestop HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
    b"X-Lifecycle-Token: " + TOKEN.encode() + b"\r\n\r\n"
)


@pytest.fixture
def app(start: Start) -> App:
    """Serve where few connections are taken, with a command that takes long."""
    app = start(BUSY, nofile=4 * CAP, env=ENV)
    app.wait_state("ready")
    return app


@pytest.fixture
def opened() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as stack:
        yield stack


def say(app: App, stack: contextlib.ExitStack, data: bytes) -> socket.socket:
    """Open a connection, which stays open, and send something."""
    sock = stack.enter_context(wire.connect(("127.0.0.1", app.qos), timeout=20.0))
    with contextlib.suppress(ConnectionError):
        sock.sendall(data)
    return sock


def is_closed(sock: socket.socket) -> bool:
    """Tell whether the other side has closed it, or reset it."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    if not poll.poll(0):
        return False
    try:
        return sock.recv(1, socket.MSG_PEEK) == b""
    except ConnectionError:
        return True


def lives(app: App) -> bool:
    """Ask `/live` over TCP; one more of a crowd may be refused."""
    try:
        return app.get("/live")[:2] == (200, "true")
    except OSError:
        return False


def begun(app: App) -> int:
    """Return how many commands have begun."""
    return len(app.events("command"))


def test_a_prestop_in_a_crowd(app: App, opened: contextlib.ExitStack) -> None:
    """A preStop over TCP waits for its answer, and gets it, however many come after it."""
    prestop = say(app, opened, PRESTOP)
    app.wait_state("draining")
    for _ in range(CAP - 1):
        say(app, opened, SLOW)
    wait_for(lambda: begun(app) == CAP, 20, lambda: app.stderr)
    for _ in range(CAP):
        say(app, opened, SLOW)
    wait_for(lambda: lives(app), 20, "an answer, once the crowd has been read")
    assert app.control("GET", "/live")[:2] == (200, "true")
    assert not is_closed(prestop)

    app.process.terminate()
    assert wire.read(wire.read_all(prestop)).text == "drained\n"


def test_a_crowd_of_prestops(app: App, opened: contextlib.ExitStack) -> None:
    """If every place is a preStop's, the next connection is refused, and each is answered."""
    prestops = [say(app, opened, PRESTOP) for _ in range(CAP)]
    wait_for(lambda: begun(app) == CAP, 20, lambda: app.stderr)
    more = [say(app, opened, PRESTOP) for _ in range(8)]
    wait_for(lambda: all(map(is_closed, more)), 20, "refusals")
    with pytest.raises(ConnectionError):
        app.get("/live")
    assert app.control("GET", "/live")[:2] == (200, "true")

    app.process.terminate()
    assert {wire.read_all(each)[-8:] for each in prestops} == {b"drained\n"}


def test_who_makes_room(app: App, opened: contextlib.ExitStack) -> None:
    """Who is idle makes room first, then who has not sent its request, then the busy."""
    busy = [say(app, opened, SLOW)]
    # What is there when it is accepted is read at once, so one that comes next could be before it.
    wait_for(lambda: begun(app) == 1, 20, lambda: app.stderr)
    busy += [say(app, opened, SLOW) for _ in range(CAP - 9)]
    unfinished = [say(app, opened, HALF) for _ in range(4)]
    idle = [say(app, opened, LIVE) for _ in range(4)]
    for each in idle:
        received = b""
        while not received.endswith(b"\r\n\r\ntrue"):
            chunk = each.recv(4096)
            assert chunk, received
            received += chunk

    more = [say(app, opened, SLOW) for _ in range(4)]
    wait_for(lambda: all(map(is_closed, idle)), 20, "the end of who is idle")
    more += [say(app, opened, SLOW) for _ in range(4)]
    wait_for(lambda: all(map(is_closed, unfinished)), 20, "the end of the unfinished")
    assert not any(map(is_closed, busy + more))
    say(app, opened, SLOW)
    wait_for(lambda: is_closed(busy[0]), 20, "the end of the oldest")
