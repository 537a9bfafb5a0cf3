"""How an answer over HTTP/2 comes to its end: before its request's, late, never, or broken off."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Coroutine
from functools import partial
from typing import Any

import h2.events
import pytest
from h2.errors import ErrorCodes

from tests.process.h2_client import H2Client
from tests.process.h2_peer import Peer
from tests.process.serving import server_side, serving
from tests.process.unread import zeros


def run(main: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await main

    asyncio.run(bounded())


async def respond(send: Any, status: int = 200, body: bytes = b"hello") -> None:
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def context(tls: str) -> ssl.SSLContext | None:
    return server_side() if tls == "tls" else None


EVERY_WAY = pytest.mark.parametrize("tls", ["plain", "tls"])


async def refusing(scope: Any, receive: Any, send: Any) -> None:
    """Refuse every upload unread."""
    await respond(send, 401 if scope["path"] == "/early" else 200)


@EVERY_WAY
def test_an_upload_that_is_refused_unread(tls: str) -> None:
    """A client that sends all before it reads is told no, unharmed; the connection goes on."""

    async def main() -> None:
        async with (
            serving(refusing, tls=context(tls)) as (_, port),
            Peer.connect(port, tls=tls == "tls") as peer,
        ):
            number = peer.ask("/early", method="POST", end=False)
            await peer.until(h2.events.StreamEnded, number)
            assert await peer.upload(number, 5_000_000) == 5_000_000
            following = peer.ask("/")
            await peer.until(h2.events.StreamEnded, following)
            assert peer.was(h2.events.StreamReset, number) is None
            head = peer.was(h2.events.ResponseReceived, number)
            assert head is not None
            assert (":status", "401") in head.headers

    run(main())


async def breaking(scope: Any, receive: Any, send: Any) -> None:
    """Begin an answer, and break off."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"x" * 20_000, "more_body": True})
    if scope["path"] == "/raises":
        raise ConnectionResetError


@EVERY_WAY
@pytest.mark.parametrize("window", [30_000, 100])
@pytest.mark.parametrize("path", ["/raises", "/returns"])
def test_an_answer_that_breaks_off(path: str, window: int, tls: str) -> None:
    """What an app has sent before it fails comes first, and then that it has failed."""

    async def main() -> None:
        async with (
            serving(breaking, tls=context(tls)) as (_, port),
            Peer.connect(port, tls=tls == "tls", window=window) as peer,
        ):
            number = peer.ask(path)
            await peer.wait(lambda: len(peer.body(number)) >= min(window, 20_000))
            if window < 20_000:
                assert peer.was(h2.events.StreamReset, number) is None
                peer.widen(20_000, number)
            reset = await peer.until(h2.events.StreamReset, number)
            assert reset.error_code == ErrorCodes.INTERNAL_ERROR
            assert len(peer.body(number)) == 20_000
            following = peer.ask("/")
            await peer.until(h2.events.ResponseReceived, following)

    run(main())


@EVERY_WAY
def test_a_message_that_is_too_long(tls: str) -> None:
    """A WebSocket's client is told so, by 1009, before its stream ends; the app that it is over."""
    told: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        told.append(await receive())

    async def main() -> None:
        async with (
            serving(app, tls=context(tls)) as (_, port),
            Peer.connect(port, tls=tls == "tls") as peer,
        ):
            offer = ("sec-websocket-extensions", "permessage-deflate; client_no_context_takeover")
            version = ("sec-websocket-version", "13")
            pseudo = (":protocol", "websocket")
            number = peer.ask("/", pseudo, version, offer, method="CONNECT", end=False)
            await peer.until(h2.events.ResponseReceived, number)
            await peer.upload(number, zeros(17_500_000))
            await peer.until(h2.events.StreamEnded, number)
            assert peer.body(number)[:4] == b"\x88\x02\x03\xf1"
            await peer.echo()
            assert told == [{"type": "websocket.disconnect", "code": 1006}]

    run(main())


def test_an_upload_that_stops_short() -> None:
    """A client that sends nothing more of what is for nobody has its stream ended, without error."""

    async def main() -> None:
        async with serving(refusing) as (_, port), Peer.connect(port) as peer:
            number = peer.ask("/early", method="POST", end=False)
            reset = await peer.until(h2.events.StreamReset, number)
            assert reset.error_code == ErrorCodes.NO_ERROR
            assert peer.was(h2.events.StreamEnded, number)

    run(main())


@pytest.mark.parametrize("leaving", [False, True])
def test_an_idle_connection_says_which_request_was_the_last(*, leaving: bool) -> None:
    """A client that asks once more at that moment knows that it may ask again elsewhere."""

    async def main() -> None:
        counted = []
        count = partial(counted.append, "told")
        async with serving(keep_alive=0.2, told_to_go=count) as (server, port):
            client = await H2Client.open(port)
            assert (await client.ask("/")).status == 200
            if leaving:
                server.go_away()
                server.go_away()  # is said once
                await server.close_idle()
            await client.closed.wait()
            told = [(2**31 - 1, 0)] if leaving else []
            assert client.goaways == [*told, (1, 0)]
            assert len(counted) == len(told)
            await client.close()

    run(main())
