"""`lifecycle run -- daphne …`."""

from __future__ import annotations

import os
import signal
import socket
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import connect

from tests.process.command_drain import SETTLE, assert_drains, serve
from tests.process.commands import descendants
from tests.process.kit import ask, wait_for

DAPHNE = ("-m", "daphne", "--bind", "127.0.0.1", "--port", "{port}", "shop:app")
LATE = """
import asyncio, shop
async def app(scope, receive, send):
    if scope["path"] == "/late":
        await asyncio.sleep(0.5)
    if scope["path"] != "/big":
        return await shop.app(scope, receive, send)
    await receive()
    await send({"type": "websocket.accept"})
    for _ in range(8):
        await send({"type": "websocket.send", "bytes": b"x" * 900_000})
    await receive()
"""
UPGRADE = (
    b"GET /big HTTP/1.1\r\nHost: shop\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def test_it_is_drained(start, tmp_path):
    """Nothing is lost, and every client is told to go: requests, streams, WebSockets, the idle."""
    app = serve(start, tmp_path, sys.executable, *DAPHNE)
    assert_drains(app)


def test_who_is_there_when_it_is_told_to_stop(start, tmp_path):
    """A request is answered, and WebSockets are closed with 1001: also one not accepted yet."""
    (tmp_path / "late.py").write_text(LATE)
    app = serve(start, tmp_path, sys.executable, *DAPHNE[:-1], "late:app", PYTHONPATH=str(tmp_path))
    with connect(f"ws://127.0.0.1:{app.port}/ws") as talk, ThreadPoolExecutor() as others:
        talk.send("one")
        assert talk.recv(5) == "one"
        app.signal(signal.SIGTERM)
        app.wait_state("draining")
        asking = others.submit(ask, app.port, "/slow")
        accepted_late = others.submit(closed, f"ws://127.0.0.1:{app.port}/late")
        wait_for(lambda: app.status()["in_flight"] == 3, 5, "all of them")

        os.kill(descendants(app.pid)[0].pid, signal.SIGTERM)  # before settle closes anything

        assert code_of(talk) == 1001
        assert accepted_late.result(10) == 1001
        assert asking.result(10) == (200, "hello")
    assert app.wait() in (0, 1)  # it ends by itself, or is told to just then
    assert "Traceback" not in app.stderr, app.stderr


def closed(url):
    """Return the code by which a WebSocket is closed to its client."""
    with connect(url) as talk:
        return code_of(talk)


def code_of(talk):
    with pytest.raises(ConnectionClosed) as seen:
        talk.recv(10)
    return seen.value.rcvd and seen.value.rcvd.code


def test_websockets_that_come_again_and_again(start, tmp_path):
    """Each that was opened is closed with 1001, up to the last one."""
    app = serve(start, tmp_path, sys.executable, *DAPHNE)

    def come_again():
        codes = []
        while True:
            try:
                talk = connect(f"ws://127.0.0.1:{app.port}/ws")
            except ConnectionRefusedError:
                return codes
            except (OSError, WebSocketException):  # it was not opened
                continue
            with talk:
                codes.append(code_of(talk))

    with ThreadPoolExecutor(6) as clients:
        coming = [clients.submit(come_again) for _ in range(6)]
        wait_for(lambda: app.status()["in_flight"] == 6, 10, "all of them")
        app.signal(signal.SIGTERM)
        code = app.wait()
        codes = {each for client in coming for each in client.result(10)}
    assert codes == {1001}
    assert code == 0, app.stderr


def test_a_websocket_whose_client_does_not_read(start, tmp_path):
    """It holds nobody up: the 1001 behind what it has not read is waited for, and then it is cut."""
    (tmp_path / "late.py").write_text(LATE)
    app = serve(start, tmp_path, sys.executable, *DAPHNE[:-1], "late:app", PYTHONPATH=str(tmp_path))
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", app.port))
        client.sendall(UPGRADE)
        wait_for(lambda: app.status()["in_flight"] == 1, 5, "the WebSocket")

        app.stop(0)
    [report] = app.events("drain report")
    assert "waited_for" not in report, report


SIZE = 6_000_000
BIG = f"""
async def app(scope, receive, send):
    headers = [(b"content-length", b"{SIZE}")]
    await send({{"type": "http.response.start", "status": 200, "headers": headers}})
    await send({{"type": "http.response.body", "body": b"x" * {SIZE}}})
"""


def test_an_answer_that_its_client_is_slow_to_take(start, tmp_path):
    """The app is done with it, and daphne's stop would cut it off: it is waited for."""
    (tmp_path / "big.py").write_text(BIG)
    words = (*DAPHNE[:-1], "big:app")
    app = serve(start, tmp_path, sys.executable, *words, PYTHONPATH=str(tmp_path))
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.settimeout(10)
        client.connect(("127.0.0.1", app.port))
        client.sendall(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
        wait_for(lambda: app.status()["in_flight"] == 1, 5, "the answer")

        app.signal(signal.SIGTERM)
        app.wait_state("draining")

        wait_for(
            lambda: app.status()["drain"]["elapsed"] > 2 * SETTLE, 10, "what had been its stop"
        )
        taken = b""
        while piece := client.recv(1 << 20):
            taken += piece
    assert len(taken.partition(b"\r\n\r\n")[2]) == SIZE
    assert app.wait() == 0, app.stderr
