"""What is in flight has a name: in the drain's report, and in `/status` while it is waited for."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.asgi import Middleware
from lifecycle.drain.in_flight import Traffic
from lifecycle.drain.work_names import (
    NAMED,
    SHOWN,
    WorkEntry,
    most,
    name_of,
    shown,
    words,
    words_of,
)
from tests.unit.drain.play import Play, soon
from tests.unit.virtual_time import run

Receive = Callable[[], Any]


def scope(path: str = "/orders", agent: str = "curl/8", **more: Any) -> dict[str, Any]:
    """Make the scope of a request."""
    headers = [(b"host", b"shop"), (b"user-agent", agent.encode("latin-1"))]
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": path,
        "query_string": b"token=secret",
        "headers": headers if agent else headers[:1],
        **more,
    }


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (scope(), "GET /orders from curl/8"),
        (scope(agent=""), "GET /orders"),
        (scope(method="POST", path="/a b\n\x1b[2J"), r"POST /a b\n\x1b[2J from curl/8"),
        (scope(agent="x\x1b]0;y\x07"), r"GET /orders from x\x1b]0;y\x07"),
        (scope(type="websocket"), "WebSocket /orders from curl/8"),
        (scope(path="/" + "x" * 500), f"GET /{'x' * (SHOWN - 1)} from curl/8"),
    ],
)
def test_the_name_of_a_request(given: dict[str, Any], name: str) -> None:
    """Method, path and agent; no query; strangers' characters do nothing to a terminal."""
    assert name_of(words_of(given)) == name


def asked(**more: Any) -> WorkEntry:
    """Return a request as the middleware keeps it."""
    found = scope(**more)
    return found["headers"], found["path"], found["method"], found["http_version"], 0.0, None


@pytest.mark.parametrize(
    ("version", "protocol"),
    [
        ("1.0", "http/1.0"),
        ("1.1", "http/1.1"),
        ("2", "http/2"),
        ("2.0", "http/2"),
        ("3", "http/3"),
        ("<b>", ""),
        (None, ""),
        (["1.1"], ""),
    ],
)
def test_the_protocol_of_a_request(version: Any, protocol: str) -> None:
    """It is one of those that are known, or empty; a WebSocket is one over any version."""
    assert words(asked(http_version=version)).protocol == protocol
    assert words_of(scope(http_version=version)).protocol == protocol
    assert words_of(scope(http_version=version, type="websocket")).protocol == "websocket"


@given(st.text())
def test_a_strangers_word_stays_on_one_line(text: str) -> None:
    """Whatever it is: printable, bounded, and it can be encoded."""
    told = shown(text)
    assert told.isprintable()
    assert len(told.encode()) <= SHOWN * 10


def test_the_most_frequent_are_named() -> None:
    """Of many kinds the first few, each with its count; what has no name is counted together."""
    traffic = Traffic(lambda: 0.0)
    nameless = [traffic.track() for _ in range(18)]
    many = [asked(path=f"/{n}") for n in range(20) for _ in range(n)]
    told = most(map(words, [*nameless, *many]))
    assert len(told) == NAMED
    assert told[:2] == ["GET /19 from curl/8 (19)", "GET /18 from curl/8 (18)"]
    assert told[2] == "tracked work (18)"
    assert most(map(words, [nameless[0], asked()])) == ["GET /orders from curl/8", "tracked work"]
    assert most([]) == []


async def never() -> Any:
    """Receive nothing, ever."""
    await asyncio.get_running_loop().create_future()


async def nowhere(_: Any) -> None:
    """Send nowhere."""


class Hostile:
    """What is no text, and says so loudly."""

    def __iter__(self) -> Any:
        raise ZeroDivisionError

    def __str__(self) -> str:
        raise ZeroDivisionError


def as_a_dict(asked: dict[str, Any]) -> None:
    """Read the headers more conveniently."""
    asked["headers"] = dict(asked["headers"])


ODD: list[Callable[[dict[str, Any]], object]] = [
    as_a_dict,
    lambda asked: asked.update(headers=Hostile(), path=Hostile(), method=Hostile()),
    lambda asked: asked.update(headers=None, path=b"/p", method=None),
    lambda asked: asked.update(headers=[("user-agent", "x")], path=1),
    lambda asked: asked.clear(),
]


@pytest.mark.parametrize("change", ODD)
def test_what_an_app_makes_of_its_scope(change: Callable[[dict[str, Any]], object]) -> None:
    """The scope is the app's: a request from before T0 is still named as it came."""

    async def main() -> None:
        play = await Play().open()

        async def app(asked: dict[str, Any], receive: Any, send: Any) -> None:
            change(asked)
            await never()

        task = asyncio.ensure_future(Middleware(app, play.life)(scope(), never, nowhere))
        await asyncio.sleep(1)
        play.signal()
        await asyncio.sleep(1)
        drain = play.life.snapshot()["drain"]
        assert drain is not None
        named = "1 in flight: GET /orders from curl/8"
        assert drain["waiting_for"] == [named]
        assert await play.end() == soon(28)
        assert play.report["waited_for"] == named
        task.cancel()
        await asyncio.wait({task})

    run(main())


@pytest.mark.parametrize("change", ODD[:-1])
@pytest.mark.parametrize("draining", [False, True])
def test_a_scope_that_comes_oddly(
    change: Callable[[dict[str, Any]], object], *, draining: bool
) -> None:
    """Whatever is in it: counting fails no request that the app itself would answer."""

    async def main() -> None:
        play = await Play().open()
        asked = scope()
        change(asked)
        if not isinstance(asked["headers"], list):  # who asks what is accepted needs those
            asked["headers"] = []
        if draining:
            play.signal()
            await asyncio.sleep(0.1)
        task = asyncio.ensure_future(
            Middleware(lambda *_: asyncio.sleep(8), play.life)(asked, never, nowhere)
        )
        if not draining:
            await asyncio.sleep(0)
            play.signal()
        await asyncio.sleep(1)
        drain = play.life.snapshot()["drain"]
        assert drain is not None
        [named] = drain["waiting_for"]
        assert named.startswith("1 in flight")
        assert await play.end() == soon(8)
        await task

    run(main())


@pytest.mark.parametrize("word", [b"/p", 1, Hostile, ["GET"]])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_word_that_is_no_text(word: Any, at: int) -> None:
    """`track` says so at once, where it can be mended, and counts nothing."""

    async def main() -> None:
        play = await Play().open()
        words: list[Any] = ["curl/8", "/orders", "GET"]
        words[at] = word
        with pytest.raises(TypeError, match="is not text"):
            play.life.track(*words)
        words[at] = None  # a header that is not there
        with play.life.track(*words):
            play.signal()
            await asyncio.sleep(1)
            assert play.life.snapshot()["in_flight"] == 1
        assert await play.end() == soon(5)

    run(main())


def test_work_is_over_whatever_its_arrival_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error while it is noted leaves nothing in flight for ever."""

    async def main() -> None:
        play = await Play().open()
        play.signal()
        await asyncio.sleep(0.1)

        def fail(*_: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(play.stage.core.traffic, "arrived", fail)
        with pytest.raises(ZeroDivisionError), play.life.track("curl/8"):
            pass
        assert play.life.snapshot()["in_flight"] == 0
        assert await play.end() == soon(5)

    run(main())


def test_what_holds_a_drain_is_named() -> None:
    """A request from before T0, one from after it, a WebSocket and work of the app's own."""

    async def main() -> None:
        play = await Play().open()
        middleware = Middleware(lambda *_: never(), play.life)

        async def ask(asked: dict[str, Any]) -> None:
            await middleware(asked, never, nowhere)

        before = [asyncio.create_task(ask(scope())) for _ in range(2)]
        before.append(asyncio.create_task(ask(scope("/chat", type="websocket"))))
        play.life.track().__enter__()
        await asyncio.sleep(1)
        assert play.life.snapshot()["in_flight"] == 4
        play.signal()
        late = asyncio.create_task(ask(scope("/late", agent="")))
        work = play.life.track("", "/orders.Shop/Buy", "RPC")
        work.__enter__()
        await asyncio.sleep(1)
        named = (
            "6 in flight: GET /orders from curl/8 (2), WebSocket /chat from curl/8, "
            "RPC /orders.Shop/Buy, GET /late, tracked work"
        )
        drain = play.life.snapshot()["drain"]
        assert drain is not None
        assert drain["waiting_for"] == [named]
        assert await play.end() == soon(28)
        assert play.report["waited_for"] == named
        assert [re.sub(", at .*", "", each) for each in play.report["cut_off"]] == [
            "tracked work, after 29.0 s",
            "GET /orders from curl/8, after 29.0 s",
            "GET /orders from curl/8, after 29.0 s",
            "WebSocket /chat from curl/8, after 29.0 s",
            "RPC /orders.Shop/Buy, after 28.0 s",
            "GET /late, after 28.0 s",
        ]
        assert all(", at " in each for each in play.report["cut_off"])
        for task in (*before, late):
            task.cancel()
        await asyncio.wait({*before, late})
        assert play.life.snapshot()["in_flight"] == 2, "what was tracked, and never ended"

    run(main())


def test_a_middleware_inside_a_middleware_counts_to_the_end() -> None:
    """The inner one's end does not hide that the outer one is still at work."""

    async def main() -> None:
        play = await Play().open()
        seen: list[int] = []

        async def app(asked: Any, receive: Any, send: Any) -> None:
            await Middleware(lambda *_: asyncio.sleep(0), play.life)(asked, receive, send)
            seen.append(play.life.snapshot()["in_flight"])

        await Middleware(app, play.life)(scope(), never, nowhere)
        assert (seen, play.life.snapshot()["in_flight"]) == ([1], 0)
        play.signal()
        await play.end()

    run(main())


EVENTS = [(b"content-type", b"text/event-stream")]


async def stream(_: Any, receive: Any, send: Any) -> None:
    """Answer with events that never end."""
    await send({"type": "http.response.start", "status": 200, "headers": EVENTS})
    await never()


async def plain(_: Any, receive: Any, send: Any) -> None:
    """Answer and end."""
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def chat(_: Any, receive: Any, send: Any) -> None:
    """Talk until the client goes."""
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        continue


def event_source() -> dict[str, Any]:
    """Make the scope of an EventSource."""
    asked = scope("/events", agent="browser")
    return {**asked, "headers": [*asked["headers"], (b"accept", b"text/event-stream")]}


@pytest.mark.parametrize(
    ("app", "asked", "end"),
    [
        (stream, event_source(), 5.75),
        (chat, scope("/chat", agent="browser", type="websocket"), 5.75),
        (plain, event_source(), 25),
        (plain, scope("/events", agent="browser"), 25),
    ],
    ids=["EventSource", "WebSocket", "EventSource that gets something else", "request"],
)
def test_who_is_sent_away_at_once_does_not_disturb_the_quiet(
    app: Any, asked: dict[str, Any], end: float
) -> None:
    """A client that comes back after settle, and is ended at once, holds no drain up."""

    async def main() -> None:
        play = await Play().open()
        middleware = Middleware(app, play.life)
        tasks: list[asyncio.Task[None]] = []

        async def come() -> None:
            said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

            async def send(message: dict[str, Any]) -> None:
                if message["type"] == "websocket.close":
                    said.put_nowait({"type": "websocket.disconnect", "code": message["code"]})

            await middleware(dict(asked), said.get, send)

        play.signal()
        for tick in range(8, 50):  # every half a second, from one second before settle on
            play.at(tick / 2 + 0.25, lambda: tasks.append(asyncio.create_task(come())))
        assert await play.end() == soon(end)
        told = play.report.get("disturbed_by", [])
        assert told == (["browser (42)"] if end == 25 else [])
        await asyncio.sleep(10)
        await asyncio.gather(*tasks)
        assert play.life.snapshot()["in_flight"] == 0

    run(main())
