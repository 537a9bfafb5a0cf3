"""How a request over HTTP/2 begins: with its body asked for, or refused because it is one too many."""

from __future__ import annotations

import asyncio
from typing import Any

import h2.events
import pytest
from h2.errors import ErrorCodes

from lifecycle.serving import connection
from tests.process.h1_client import Lost
from tests.process.h2_client import H2Client
from tests.process.h2_peer import Peer
from tests.process.serving import serving
from tests.process.test_http2_answers import EVERY_WAY, context, respond, run

MOST = 100
"""Requests at a time that the server has announced."""


class Gated:
    """An app that answers, reads or returns only once `/open` has been asked for."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.begun = 0
        self.size = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]
        self.begun += 1
        if path == "/open":
            self.gate.set()
        elif path == "/early":
            await respond(send, 401)
            return
        elif path == "/lingers":
            await respond(send)
            await self.gate.wait()
            return
        elif path == "/starts":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"h", "more_body": True})
            await self._read(receive)
            await send({"type": "http.response.body", "body": b"ello"})
            return
        elif path == "/reads":
            await self._read(receive)
        elif path == "/gated":
            await self.gate.wait()
            await self._read(receive)
        else:
            await self.gate.wait()
        await respond(send)

    async def _read(self, receive: Any) -> None:
        more = True
        while more:
            message = await receive()
            self.size += len(message["body"])
            more = message["more_body"]


async def answered(peer: Peer, *numbers: int) -> None:
    """Wait until each stream has its whole answer, and see that none was reset."""
    for number in numbers:
        await peer.until(h2.events.StreamEnded, number)
        assert peer.was(h2.events.StreamReset, number) is None


async def refused(peer: Peer, *numbers: int) -> None:
    """Wait until each stream is refused, so that its client may ask again elsewhere."""
    for number in numbers:
        reset = await peer.until(h2.events.StreamReset, number)
        assert reset.error_code == ErrorCodes.REFUSED_STREAM


@EVERY_WAY
def test_more_requests_than_are_announced(tls: str) -> None:
    """Who asks before he knows how much he may has the excess refused, and the rest answered."""

    async def main() -> None:
        app = Gated()
        async with (
            serving(app, tls=context(tls)) as (_, port),
            Peer.connect(port, tls=tls == "tls") as peer,
        ):
            numbers = [peer.ask("/waits") for _ in range(MOST + 50)]
            await refused(peer, *numbers[MOST:])
            app.gate.set()
            await answered(peer, *numbers[:MOST])
            assert app.begun == MOST
            await answered(peer, peer.ask("/"))

    run(main())


def test_uploads_that_go_on_after_their_answer() -> None:
    """A request that its client has not ended keeps its place, and makes the next one too many."""

    async def main() -> None:
        async with serving(Gated()) as (_, port), Peer.connect(port) as peer:
            numbers = [peer.ask("/early", method="POST", end=False) for _ in range(MOST)]
            await answered(peer, *numbers)
            # The client's own h2 would hold it back.
            peer.wire.remote_settings[h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS] = 2 * MOST
            peer.wire.remote_settings.acknowledge()
            await refused(peer, peer.ask("/early"))
            peer.wire.end_stream(numbers[0])
            await answered(peer, peer.ask("/early"))

    run(main())


def test_apps_that_go_on_after_their_answer() -> None:
    """A request that is answered takes nobody's place, whatever its app does then."""

    async def main() -> None:
        app = Gated()
        async with serving(app) as (_, port), Peer.connect(port) as peer:
            await answered(peer, *[peer.ask("/lingers") for _ in range(MOST)])
            await answered(peer, *[peer.ask("/lingers") for _ in range(MOST // 2)])
            app.gate.set()

    run(main())


EXPECT = ("expect", "100-Continue")


@EVERY_WAY
@pytest.mark.parametrize(
    ("path", "asked"), [("/reads", True), ("/early", False), ("/starts", False)]
)
def test_expecting_to_be_asked(path: str, asked: bool, tls: str) -> None:
    """Who waits for 100-continue gets it if the app reads before it answers, and never later."""

    async def main() -> None:
        app = Gated()
        async with (
            serving(app, tls=context(tls)) as (_, port),
            Peer.connect(port, tls=tls == "tls") as peer,
        ):
            number = peer.ask(path, EXPECT, method="POST", end=False)
            if asked:
                interim = await peer.until(h2.events.InformationalResponseReceived, number)
                assert (":status", "100") in interim.headers
            else:
                await peer.until(h2.events.ResponseReceived, number)
            await peer.upload(number, 100_000)
            await answered(peer, number)
            heard = [
                each
                for each in peer.heard
                if isinstance(each, h2.events.InformationalResponseReceived)
            ]
            assert len(heard) == asked
            assert app.size == (0 if path == "/early" else 100_000)

    run(main())


@pytest.mark.parametrize("body", [b"hello", b""])
def test_expecting_and_not_waiting(body: bytes) -> None:
    """Who has sent its body, or has none, is not asked for it."""

    async def main() -> None:
        app = Gated()
        async with serving(app) as (_, port), Peer.connect(port) as peer:
            number = peer.ask("/gated", EXPECT, method="POST", end=not body)
            if body:
                peer.wire.send_data(number, body, end_stream=True)
            await answered(peer, peer.ask("/open"), number)
            assert peer.was(h2.events.InformationalResponseReceived, number) is None
            assert app.size == len(body)

    run(main())


@pytest.mark.parametrize("told", [False, True], ids=["has just been told", "was told"])
def test_who_goes_on_though_told_to_go(monkeypatch: pytest.MonkeyPatch, *, told: bool) -> None:
    """When the server closes, it refuses what a client asks that was told to go a while ago."""
    monkeypatch.setattr(connection, "GOING_TIME", 0.0 if told else 60.0)

    async def main() -> None:
        app = Gated()
        async with serving(app) as (server, port):
            client = await H2Client.open(port)
            gated = client.send("/gated")
            while not app.begun:
                await asyncio.sleep(0.01)
            server.go_away()
            await client.told_to_leave.wait()
            closing = asyncio.create_task(server.close(20))
            await asyncio.sleep(0)
            late = client.send("/late")
            if told:
                with pytest.raises(Lost, match=rf"reset \({int(ErrorCodes.REFUSED_STREAM)}\)"):
                    await client.whole(late)
            app.gate.set()
            assert (await client.whole(gated)).status == 200
            if not told:
                assert (await client.whole(late)).status == 200
            await closing
            assert app.begun == (1 if told else 2)
            await client.close()

    run(main())
