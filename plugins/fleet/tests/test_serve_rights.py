"""A right that is taken away from a reader whose stream is open."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from lifecycle_fleet.cluster.api import connected
from lifecycle_fleet.serve import feed
from lifecycle_fleet.serve.access import Access
from lifecycle_fleet.serve.streams import Streams

from plugins.fleet.tests.api_server import LATEST, ApiServer
from plugins.fleet.tests.test_serve_feed import Stage

PROMISED = 70
"""Seconds after which an open page closes at the latest, as the docs say."""
BETWEEN = 10
"""Seconds between two events of a silent stream."""


class Open:
    """A stream that is open, and a clock that a test sets."""

    def __init__(self, api: ApiServer) -> None:
        self.time = 0.0
        self.parts: list[bytes] = []
        self.known = self.allowed = True
        self._api = api
        api.review = self._review

    def _review(self, kind: str, _spec: Any) -> Any:
        if kind == "TokenReview":
            return {"authenticated": self.known, "user": {"username": "ada"}}
        return {"allowed": self.allowed}

    async def play(self, kubeconfig: Path, *, at: float, loses: str) -> None:
        """Let time go by, take a right away, and let time go by until the page must be closed."""
        stage = Stage()
        stage.put("a")
        async with asyncio.timeout(LATEST), connected(str(kubeconfig), "") as client:
            access = Access(client, "shop", lambda: self.time)
            assert (await access.check("Bearer good")).status == 200
            running = asyncio.create_task(self._stream(Streams(stage.feed, access, self._now)))
            while self.time < at:
                await self._go(min(BETWEEN, at - self.time), running)
            assert (await access.check("Bearer good")).status == 200  # another request of the page
            self._take_away(loses)
            for _ in range(PROMISED // BETWEEN):
                await self._go(BETWEEN, running)
            self.done = running.done()
            running.cancel()
            await asyncio.wait({running})

    def _now(self) -> float:
        return self.time

    def _take_away(self, loses: str) -> None:
        if loses == "the API server":
            self._api.forced["create"] = 503
        self.known = loses != "the token"
        self.allowed = loses != "the right"

    async def _go(self, seconds: float, running: asyncio.Task[None]) -> None:
        """Let time go by, and wait until the stream has looked at the clock again."""
        self.time += seconds
        enough = len(self.parts) + 2
        while not running.done() and len(self.parts) < enough:
            await asyncio.sleep(0.001)

    async def _stream(self, streams: Streams) -> None:
        headers = [(b"accept", b"text/event-stream"), (b"authorization", b"Bearer good")]
        never = asyncio.Event()

        async def receive() -> dict[str, Any]:
            await never.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            self.parts.append(message.get("body", b""))

        await streams.answer({"method": "GET", "headers": headers}, receive, send)


@pytest.fixture
def stream(api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> Open:
    """A stream whose silence is short."""
    monkeypatch.setattr(feed, "PING", 0.005)
    return Open(api)


@pytest.mark.parametrize("at", [0, 9, 29, 30, 31, 45])
@pytest.mark.parametrize(
    ("loses", "told"),
    [("the token", b"does not know this token"), ("the right", b"may not list the pods")],
)
def test_a_right_that_is_taken_away_ends_the_stream(
    stream: Open, kubeconfig: Path, at: float, loses: str, told: bytes
) -> None:
    """In the time that the docs promise, and the reader is told why."""
    asyncio.run(stream.play(kubeconfig, at=at, loses=loses))

    assert stream.done
    assert stream.parts[-2].startswith(b"event: denied\n")
    assert told in stream.parts[-2]
    assert stream.parts[-1] == b""


@pytest.mark.parametrize("loses", ["nothing", "the API server"])
def test_a_right_that_is_not_taken_away_stays(stream: Open, kubeconfig: Path, loses: str) -> None:
    """Also while the API server does not review the token."""
    asyncio.run(stream.play(kubeconfig, at=31, loses=loses))

    assert not stream.done
    assert b"event: denied" not in b"".join(stream.parts)
