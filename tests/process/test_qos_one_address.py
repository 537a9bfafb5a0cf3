"""A crowd from one address beside a kubelet at another: it costs the kubelet nothing."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from pathlib import Path

import pytest

from tests.process import wire
from tests.process.kit import App, wait_for

pytestmark = pytest.mark.usefixtures("many_descriptors")

CROWD = "127.0.0.2"
CAP = 64
"""Connections that the port takes under a limit of 256 descriptors."""
LIVE = b"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\n"
READY = b"GET /ready HTTP/1.1\r\nHost: 127.0.0.1\r\n"
AS_ASKED = 3.0
"""Seconds for a probe's answer, on a machine with other things to do."""

SERVICE = """
import asyncio, os
import lifecycle
from lifecycle import hookimpl

class Slow:
    @hookimpl
    async def lifecycle_readiness(self):
        await asyncio.sleep(float(os.environ["SLOW"]))
        return True

async def main(life):
    await life.ready()
    await life.drained()

lifecycle.run(main, plugins=[Slow()])
"""


@pytest.fixture
def app(start) -> App:
    app = start(SERVICE, nofile=4 * CAP, env={"SLOW": "0.6"})
    app.wait_state("ready")
    return app


def live(app: App) -> float:
    """Ask as the kubelet does, and return the seconds until it had its answer."""
    began = time.monotonic()
    assert wire.ask(("127.0.0.1", app.qos), "/live").text == "true"
    return time.monotonic() - began


def test_a_thousand_probes_at_once(app: App) -> None:
    """Each is answered or refused, and the kubelet's beside them is always answered."""

    async def one() -> bytes:
        try:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", app.qos, local_addr=(CROWD, 0)
            )
        except ConnectionError:
            return b""
        try:
            writer.write(LIVE + b"Connection: close\r\n\r\n")
            return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()

    async def scenario() -> tuple[list[bytes], list[float]]:
        at_once = asyncio.gather(*(one() for _ in range(1000)))
        took = []
        while not at_once.done():
            took.append(await asyncio.to_thread(live, app))
        return await at_once, took

    answers, took = asyncio.run(scenario())
    answered = [each for each in answers if each]
    print(
        f"{len(answered)} of 1000 answered; the kubelet's slowest of {len(took)}: {max(took):.3f}"
    )
    assert all(each.endswith(b"true") for each in answered)
    assert len(answered) >= CAP / 2
    assert max(took) < AS_ASKED


@pytest.mark.parametrize("said", [b"", LIVE, LIVE + b"\r\n"], ids=["new", "half a header", "idle"])
def test_who_waits_in_a_crowd_pushes_nobody_out(app: App, said: bytes) -> None:
    """A kubelet's kept connection outlives a crowd that comes later, new or answered."""
    kept = wire.connect(("127.0.0.1", app.qos))
    with kept, contextlib.ExitStack() as stack:
        for _ in range(2):
            assert answer(kept, LIVE + b"\r\n") == b"true"
            for _ in range(CAP):
                sock = stack.enter_context(wire.connect(("127.0.0.1", app.qos), source=CROWD))
                with contextlib.suppress(ConnectionError):
                    sock.sendall(said)
            assert live(app) < AS_ASKED
        assert answer(kept, LIVE + b"\r\n") == b"true"


def unread(port: int) -> int:
    """Return how many bytes that have come for a port nobody has read."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    established = [row for row in rows if row[3] == "01"]
    here = [row for row in established if int(row[1].partition(":")[2], 16) == port]
    return sum(int(row[4].partition(":")[2], 16) for row in here)


def answer(sock: socket.socket, request: bytes = b"") -> bytes:
    """Send a request, if there is one, and return the body of the answer."""
    sock.sendall(request)
    received = b""
    while not received.endswith((b"true", b"false")):
        chunk = sock.recv(4096)
        assert chunk, received
        received += chunk
    return received.rpartition(b"\r\n\r\n")[2]


def test_who_has_asked_is_not_dropped_for_who_has_not(app: App) -> None:
    """The port is full of requests that take their time: silent connections end none of them."""
    with contextlib.ExitStack() as stack:
        address = ("127.0.0.1", app.qos)
        asking = [stack.enter_context(wire.connect(address, source=CROWD)) for _ in range(CAP)]
        for sock in asking:
            sock.sendall(READY + b"\r\n")
        time.sleep(0.1)
        for number in range(3 * CAP):
            source = "127.0.0.1" if number % 2 else CROWD
            with contextlib.suppress(OSError):
                stack.enter_context(wire.connect(address, source=source))
        assert [answer(sock) for sock in asking] == [b"true"] * CAP


def test_a_crowd_that_asks_slowly_delays_no_probe(app: App) -> None:
    """The port is full of requests that take their time; the kubelet's is answered at once."""
    with contextlib.ExitStack() as stack:
        address = ("127.0.0.1", app.qos)
        for _ in range(3 * CAP):
            sock = stack.enter_context(wire.connect(address, source=CROWD))
            with contextlib.suppress(ConnectionError):
                sock.sendall(READY + b"\r\n")
        took = [live(app) for _ in range(5)]
    print(f"slowest: {max(took):.3f} s")
    assert max(took) < AS_ASKED
    wait_for(lambda: app.get("/ready")[:2] == (200, "true"), 20, "an answer to its own crowd")
