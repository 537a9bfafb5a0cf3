"""How a request over HTTP/2 begins, or is refused because it is one too many."""

from __future__ import annotations

import asyncio
from typing import Any

import h2.events
from h2.errors import ErrorCodes

from tests.process.h2_peer import Peer
from tests.process.serving import serving
from tests.process.test_http2_answers import EVERY_WAY, context, respond, run

MOST = 100
"""Requests at a time that the server has announced."""


class Gated:
    """An app that answers or returns only once `/open` has been asked for."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.begun = 0

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
        else:
            await self.gate.wait()
        await respond(send)


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
