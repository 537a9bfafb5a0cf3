"""The moment an idle connection is closed, looked at closely: the server alone, real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest

from tests.process.h2_client import H2Client
from tests.process.serving import serving

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
TIME = 5.0


async def ask(client: socket.socket, request: bytes = REQUEST) -> bytes:
    """Send a request over a plain socket and return what comes, up to the body's end."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(client, request)
    return await answer(client)


async def answer(client: socket.socket) -> bytes:
    received = b""
    async with asyncio.timeout(TIME):
        while not received.endswith(b"hello"):
            chunk = await asyncio.get_running_loop().sock_recv(client, 65536)
            if not chunk:
                break
            received += chunk
    return received


def test_a_request_that_comes_as_its_connection_is_closed_is_answered() -> None:
    """What has arrived, but was not read yet, when idle connections are closed is served."""

    async def scenario() -> list[bytes]:
        async with serving() as (server, port):
            clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(50)]
            for client in clients:
                client.setblocking(False)
                await ask(client)
            for client in clients[::2]:
                client.send(REQUEST)  # into the kernel, before the server's loop turns again
            await server.close_idle()
            for client in clients[1::2]:
                await asyncio.sleep(0)
                with contextlib.suppress(OSError):
                    client.send(REQUEST)
            answers = [await answer(client) for client in clients[::2]]
            for client in clients:
                client.close()
            return answers

    assert [each.endswith(b"hello") for each in asyncio.run(scenario())] == [True] * 25


def test_an_idle_connection_is_closed_and_a_new_one_is_served() -> None:
    """Closing what is idle ends it cleanly, and leaves the listener open."""

    async def scenario() -> tuple[bytes, bytes]:
        async with serving() as (server, port):
            with socket.create_connection(("127.0.0.1", port)) as old:
                old.setblocking(False)
                await ask(old)
                await server.close_idle()
                async with asyncio.timeout(TIME):
                    end = await asyncio.get_running_loop().sock_recv(old, 1)
            with socket.create_connection(("127.0.0.1", port)) as new:
                new.setblocking(False)
                return end, await ask(new)

    end, fresh = asyncio.run(scenario())
    assert (end, fresh.endswith(b"hello")) == (b"", True)


def test_half_a_request_does_not_hold_the_end_up() -> None:
    """Who has sent half a header when idle connections are closed is not waited for."""

    async def scenario() -> bytes:
        async with serving() as (server, port):
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.setblocking(False)
                await ask(client)
                client.send(REQUEST[:10])
                await server.close_idle()
                async with asyncio.timeout(TIME):
                    return await asyncio.get_running_loop().sock_recv(client, 1)

    assert asyncio.run(scenario()) == b""


@pytest.mark.parametrize("version", [1, 2])
def test_an_app_whose_client_is_gone_is_not_held(version: int) -> None:
    """A client that leaves in the middle of a response leaves nothing in flight behind."""

    async def scenario() -> None:
        began, ended = asyncio.Event(), asyncio.Event()

        async def endless(scope, receive, send) -> None:
            try:
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
                began.set()
                while (await receive())["type"] != "http.disconnect":
                    continue
                await send({"type": "http.response.body", "body": b""})
            finally:
                ended.set()

        async with serving(endless) as (_, port):
            async with asyncio.timeout(TIME):
                if version == 2:
                    client = await H2Client.open(port)
                    client.send("/")
                    await began.wait()
                    await client.close()
                else:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.write(REQUEST)
                    await began.wait()
                    writer.close()
                await ended.wait()

    asyncio.run(scenario())


def test_an_http_2_response_keeps_its_end_when_idle_connections_are_closed() -> None:
    """What is under way then ends with its last part, be it empty; the connection follows."""

    async def scenario() -> bytes:
        go_on = asyncio.Event()

        async def stream(scope, receive, send) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"hello", "more_body": True})
            await go_on.wait()
            await send({"type": "http.response.body", "body": b""})

        async with serving(stream) as (server, port), asyncio.timeout(TIME):
            client = await H2Client.open(port)
            before = client.send("/")
            while not before.body:
                await asyncio.sleep(0)
            await server.close_idle()
            on_its_way = client.send("/")
            go_on.set()
            await client.whole(before)
            await client.whole(on_its_way)
            await client.closed.wait()
            await client.close()
            return before.body + on_its_way.body

    assert asyncio.run(scenario()) == b"hellohello"
