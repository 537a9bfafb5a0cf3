"""Who asks for a stream of events, and which answer never ends by itself: by meaning, not by bytes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle import Config, Lifecycle
from lifecycle.asgi import Middleware
from lifecycle.event_streams import asks_for_events, is_endless

ASKS = [
    ("text/event-stream",),
    ("Text/Event-Stream",),
    (" text/event-stream ",),
    ("text/event-stream; charset=utf-8",),
    ("text/event-stream;q=0.9",),
    ("text/event-stream ; Q = 0.001",),
    ("application/json, text/event-stream",),
    ("text/event-stream,application/json;q=0.5",),
    ('application/x; note="a, b", text/event-stream',),
    ("application/json", "text/event-stream"),
    ("text/event-stream;level=1;q=1.000", "*/*"),
    (", ,text/event-stream",),
]
DOES_NOT_ASK = [
    (),
    ("",),
    ("*/*",),
    ("text/*",),
    ("text/event-streams",),
    ("xtext/event-stream",),
    ("text/event-stream;q=0",),
    ("text/event-stream;q=0.000, */*",),
    ('application/x; note="text/event-stream, text/event-stream"',),
    ('application/x; note=", text/event-stream',),
]
ENDLESS = ["text/event-stream", "TEXT/Event-Stream", " text/event-stream ;charset=utf-8"]


@pytest.mark.parametrize("accept", ASKS)
def test_who_asks_for_events(accept: tuple[str, ...]) -> None:
    """A list, over several lines, with parameters, weights and quotes, in any case."""
    assert asks_for_events("GET", accept)
    assert not asks_for_events("POST", accept)


@pytest.mark.parametrize("accept", DOES_NOT_ASK)
def test_who_does_not(accept: tuple[str, ...]) -> None:
    """A wildcard, a weight of 0, another type, the words within another type's quotes."""
    assert not asks_for_events("GET", accept)


@given(st.text(), st.text())
def test_no_accept_is_an_error(one: str, other: str) -> None:
    """Strangers choose it: anything is read, in its time; what follows a comma counts."""
    assert asks_for_events("GET", (one, other, "text/event-stream"))
    assert asks_for_events("GET", (one.replace('"', "") + ",text/event-stream",))


def test_a_long_accept_is_read_at_once() -> None:
    """64 kB of quotes and backslashes take no longer than any other text."""
    for piece in ('"', '\\"', '"\\', ',"', '",'):
        assert not asks_for_events("GET", [piece * 32_000])


@pytest.mark.parametrize("content_type", ENDLESS)
def test_what_never_ends_by_itself(content_type: str) -> None:
    """Events do not, unless their response says that they do."""
    assert is_endless(content_type)
    assert is_endless(content_type, "live")
    assert not is_endless(content_type, "finite")
    assert not is_endless(content_type, " Finite ")


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "text/event-streams", "x;text/event-stream"]
)
def test_what_has_an_end(content_type: str) -> None:
    """Whatever is not events."""
    assert not is_endless(content_type)


class Stream:
    """One request under the middleware, whose app sends events until it is told to stop."""

    def __init__(
        self, life: Lifecycle, accept: tuple[str, ...], answer: dict[bytes, bytes], method: str
    ) -> None:
        self.stop = asyncio.Event()
        self.begun = asyncio.Event()
        self.bodies: list[bytes] = []
        self._answer = answer
        headers = [(b"host", b"x"), *((b"accept", each.encode()) for each in accept)]
        scope = {"type": "http", "http_version": "1.1", "method": method, "path": "/"}
        call = Middleware(self._app, life)(scope | {"headers": headers}, self._receive, self._send)
        self.task = asyncio.ensure_future(call)

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        headers = list(self._answer.items())
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        self.begun.set()
        await self.stop.wait()
        await send({"type": "http.response.body", "body": LAST})

    async def _receive(self) -> dict[str, Any]:
        return {"type": "http.request"}

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body":
            self.bodies.append(message["body"])


LAST = b"data: last\n\n"
EVENTS = {b"content-type": b"text/event-stream"}
SENT_AWAY = [
    *((accept, EVENTS, "GET") for accept in ASKS),
    *((ASKS[0], {b"Content-Type": each.encode()}, "GET") for each in ENDLESS),
    (ASKS[0], EVENTS | {b"x-lifecycle-stream": b"live"}, "GET"),
]
WAITED_FOR = [
    *((accept, EVENTS, "GET") for accept in DOES_NOT_ASK),
    (ASKS[0], EVENTS, "POST"),
    (ASKS[0], {b"content-type": b"text/plain"}, "GET"),
    (ASKS[0], {}, "GET"),
    (ASKS[0], EVENTS | {b"X-Lifecycle-Stream": b"Finite"}, "GET"),
]


@pytest.mark.parametrize("when", ["before", "after"])
def test_what_settle_means_for_streams(when: str) -> None:
    """The middleware ends those that never end by themselves, and waits for every other to its last
    word; whether they were there when the drain began, or have come later."""

    async def scenario() -> None:
        config = Config(qos_enabled=False, settle=0.1, quiet=0.1)
        async with Lifecycle(config) as life, asyncio.timeout(10):
            await life.ready()
            if when == "after":
                life.begin_drain("test")
            endless = [Stream(life, *each) for each in SENT_AWAY]
            finite = [Stream(life, *each) for each in WAITED_FOR]
            for stream in (*endless, *finite):
                await stream.begun.wait()
            life.begin_drain("test")
            for stream, row in zip(endless, SENT_AWAY, strict=True):
                await asyncio.wait({stream.task}, timeout=2)
                assert stream.task.done(), row
                assert (stream.bodies[-1], LAST in stream.bodies) == (b"", False), row
            for stream, row in zip(finite, WAITED_FOR, strict=True):
                assert not stream.task.done(), row
                stream.stop.set()
                await stream.task
                assert stream.bodies == [b"data: 1\n\n", LAST], row
            assert await life.drained() > 20

    asyncio.run(scenario())
