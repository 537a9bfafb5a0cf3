"""Clients that have connected and not asked yet, as on every network with a round trip."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from lifecycle.serving.server import Server
from tests.process.kit import App
from tests.process.rollout import RUN, SERVED, run_asgi, run_main, run_uvicorn
from tests.process.serving import client_side, first_flight, server_side, serving

Start = Callable[..., App]

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
ROUND_TRIP = 0.15
TIME = 10.0
SETTLE = 1.0
HOSTS = {
    "asgi": run_asgi,
    "uvicorn in a main": run_uvicorn,
    "aiohttp": lambda start, **settings: run_main(start, "aiohttp_main:with_handle", **settings),
}
PARTS = {"nothing": (b"", REQUEST), "half a header": (REQUEST[:20], REQUEST[20:])}


async def visit(port: int, parts: Sequence[bytes], pause: float = ROUND_TRIP) -> bytes:
    """Connect, and send each part a round trip later; return all that comes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for number, part in enumerate(parts):
            if number:
                await asyncio.sleep(pause)
            writer.write(part)
        async with asyncio.timeout(TIME):
            return await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize("host", HOSTS)
def test_who_asks_a_round_trip_after_connecting_is_answered(host: str, start: Start) -> None:
    """A hundred a second, before settle ends, while it ends and after; nobody is lost."""

    async def scenario() -> list[bytes]:
        app = HOSTS[host](start, settle=SETTLE, quiet=0.5)
        await asyncio.to_thread(app.wait_state, "ready")
        app.signal(signal.SIGTERM)
        began = time.monotonic()
        visits = []
        while time.monotonic() - began < SETTLE + 0.4:
            parts = list(PARTS.values())[len(visits) % 2]
            close = [part.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") for part in parts]
            visits.append(asyncio.create_task(visit(app.port, close)))
            await asyncio.sleep(0.01)
        answers = await asyncio.gather(*visits, return_exceptions=True)
        assert await asyncio.to_thread(app.wait, TIME) == 0
        return answers

    answers = asyncio.run(scenario())
    lost = [each for each in answers if not isinstance(each, bytes) or b" 200 " not in each[:20]]
    assert len(answers) > 40
    assert lost == []


@pytest.mark.parametrize("sent", PARTS)
@pytest.mark.parametrize("closing", ["idle", "all"])
def test_who_connects_before_others_are_closed_is_answered(sent: str, closing: str) -> None:
    """Closing what is idle, and stopping, leave it the time for its request."""

    async def scenario() -> bytes:
        async with serving() as (server, port):
            parts = [PARTS[sent][0], PARTS[sent][1].replace(b"\r\n\r\n", CLOSE)]
            asking = asyncio.create_task(visit(port, parts))
            await asyncio.sleep(ROUND_TRIP / 3)
            await (server.close_idle() if closing == "idle" else server.close(TIME))
            return await asking

    assert asyncio.run(scenario()).endswith(b"hello")


CLOSE = b"\r\nConnection: close\r\n\r\n"


def test_who_waits_in_the_queue_when_the_listener_closes_is_answered() -> None:
    """However many they are, and whatever the cap is."""

    async def scenario() -> list[bytes]:
        async with serving(cap=8) as (server, port):
            clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(60)]
            closing = asyncio.create_task(server.close(TIME))  # the loop has accepted nobody yet
            await asyncio.sleep(ROUND_TRIP)
            answers = []
            for client in clients:
                with contextlib.suppress(ConnectionError):
                    client.sendall(REQUEST.replace(b"\r\n\r\n", CLOSE))
            for client in clients:
                reader, writer = await asyncio.open_connection(sock=client)
                with contextlib.suppress(ConnectionError):
                    answers.append(await reader.read())
                writer.close()
            await closing
            return answers

    answers = asyncio.run(scenario())
    assert [each.endswith(b"hello") for each in answers] == [True] * 60


SILENT = {
    "a connection without a byte": b"",
    "half a request": REQUEST[:20],
    "half a handshake": first_flight(),
    "what is no handshake": b"\x16\x03\x01",
}


@contextlib.asynccontextmanager
async def silent(port: int) -> AsyncIterator[list[socket.socket]]:
    """Connect in every way without asking for anything."""
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in SILENT]
        for sock, said in zip(socks, SILENT.values(), strict=True):
            sock.sendall(said)
        await asyncio.sleep(0.05)
        yield socks


@pytest.mark.parametrize("tls", [False, True])
def test_who_never_asks_is_cut_before_the_end(tls: bool) -> None:
    """What has asked for nothing has its few seconds, or less, if there are less."""

    async def scenario() -> int:
        async with serving(tls=server_side() if tls else None) as (server, port):
            async with silent(port) as socks, asyncio.timeout(TIME):
                closing = asyncio.create_task(server.close(0.6))
                async with asyncio.timeout(0.55):
                    for sock in socks:
                        await ended(sock)
                await closing
                return server.connections

    assert asyncio.run(scenario()) == 0


@pytest.mark.parametrize(("tls", "said"), [(False, "half a request"), (True, "half a handshake")])
def test_who_never_asks_makes_no_end_late_though_the_loop_is_busy(tls: bool, said: str) -> None:
    """Nobody waits until the last of them is cleared away, in as many turns as that takes."""

    async def keep_busy() -> None:
        while True:
            time.sleep(0.08)
            await asyncio.sleep(0)

    async def scenario() -> float:
        async with serving(tls=server_side() if tls else None) as (server, port):
            with socket.create_connection(("127.0.0.1", port)) as sock:
                sock.sendall(SILENT[said])
                await asyncio.sleep(0.05)
                loop = asyncio.get_running_loop()
                busy = loop.create_task(keep_busy())
                began = loop.time()
                await server.close(1.0)
                took = loop.time() - began
                busy.cancel()
                return took

    assert asyncio.run(scenario()) < 1.0


async def ended(sock: socket.socket) -> None:
    """Wait until the other side has closed a connection; what it says before is read."""
    sock.setblocking(False)
    with contextlib.suppress(ConnectionError):
        while await asyncio.get_running_loop().sock_recv(sock, 4096):
            continue


def test_a_crowd_of_half_handshakes_is_cut_before_the_end() -> None:
    """However many wait for a place of their own, and in the listener's queue."""

    async def scenario() -> tuple[int, float]:
        async with serving(tls=server_side()) as (server, port):
            with contextlib.ExitStack() as stack:
                for number in range(200):
                    address = ("127.0.0.1", port)
                    sock = stack.enter_context(socket.create_connection(address))
                    sock.sendall(SILENT["half a handshake"])
                    if number == 100:
                        await asyncio.sleep(0.05)
                loop = asyncio.get_running_loop()
                began = loop.time()
                async with asyncio.timeout(TIME):
                    await server.close(TIME)
                return server.connections, loop.time() - began

    connections, took = asyncio.run(scenario())
    assert connections == 0
    assert took < TIME / 2


def test_who_never_asks_counts_as_idle_once_it_is_old_enough() -> None:
    """As in Go's net/http: a connection kept in reserve holds no listener's neighbours up."""

    async def scenario() -> list[bool]:
        async with serving() as (server, port):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            reader, other = await asyncio.open_connection("127.0.0.1", port)
            other.write(REQUEST)
            await reader.readuntil(b"hello")
            await server.close_idle()
            early = [await served_on(server, 1)]
            async with asyncio.timeout(TIME):
                early.append(await served_on(server, 0))
            for each in (writer, other):
                each.close()
            return early

    assert asyncio.run(scenario()) == [True, True]


async def served_on(server: Server, count: int) -> bool:
    """Wait until a server has so many connections."""
    while server.connections != count:
        await asyncio.sleep(0.01)
    return True


def test_a_handshake_is_answered_though_idle_connections_are_closed_meanwhile() -> None:
    """It stands before its first request, and its request will follow."""

    async def scenario() -> bytes:
        async with serving(tls=server_side()) as (server, port):
            sock = socket.create_connection(("127.0.0.1", port))
            await asyncio.sleep(0.02)
            await server.close_idle()
            await asyncio.sleep(ROUND_TRIP)
            reader, writer = await asyncio.open_connection(
                sock=sock, ssl=client_side(), server_hostname="localhost"
            )
            await asyncio.sleep(ROUND_TRIP)
            writer.write(REQUEST.replace(b"\r\n\r\n", CLOSE))
            answer = await reader.read()
            writer.close()
            return answer

    assert asyncio.run(scenario()).endswith(b"hello")


def test_a_service_is_gone_in_time_though_nobody_asks(start: Start) -> None:
    """Over TLS too, and with the exit code of a drain that lost nothing."""

    async def scenario() -> float:
        settings = {"settle": 0.5, "quiet": 0.2, "grace_period": 20, "stop_timeout": 4}
        apps = [run_asgi(start, **settings), run_asgi(start, tls=True, **settings)]
        async with contextlib.AsyncExitStack() as stack:
            for app in apps:
                await asyncio.to_thread(app.wait_state, "ready")
                await stack.enter_async_context(silent(app.port))
            for app in apps:
                app.signal(signal.SIGTERM)
            codes = [await asyncio.to_thread(app.wait, 30.0) for app in apps]
        assert codes == [0, 0]
        return max(app.events("drain report")[-1]["steps"]["close"] for app in apps)

    assert asyncio.run(scenario()) < 20 - 4 - 2 - 3


@pytest.mark.parametrize("ending", ["a drain", "no app", "replaced"])
def test_the_file_of_a_unix_socket_goes_with_the_process(
    ending: str, start: Start, tmp_path: Path
) -> None:
    """However it ends; and only the file that is its own."""
    path = tmp_path / "app.sock"
    (tmp_path / "broken.py").write_text("raise RuntimeError('no app')")
    target = "broken:app" if ending == "no app" else "shop:app"
    settings = {"LIFECYCLE_SETTLE": "0", "LIFECYCLE_QUIET": "0.1", "PYTHONPATH": str(SERVED)}
    app = start([*RUN, "--asgi", target, "--bind", f"unix:{path}"], env=settings)
    if ending != "no app":
        app.wait_state("ready")
        assert path.is_socket()
        if ending == "replaced":
            path.unlink()
            path.write_text("another's")
        app.signal(signal.SIGTERM)
    assert app.wait(TIME) == (1 if ending == "no app" else 0)
    assert path.exists() == (ending == "replaced")
