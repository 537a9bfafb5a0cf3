"""The live stream: snapshots, frames, and readers that fall behind."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifecycle_fleet.serve import feed as feeds
from lifecycle_fleet.serve.feed import Feed
from lifecycle_fleet.serve.fleet import Fleet
from lifecycle_fleet.view import pruned

from plugins.fleet.tests import pods
from plugins.fleet.tests.pods import NOW

LIMIT = 10.0


def on_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test on a loop of its own."""

    @functools.wraps(test)
    def run(*given: Any, **more: Any) -> None:
        asyncio.run(test(*given, **more))

    return run


class Log:
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, object]]] = []

    def info(self, event: str, **fields: object) -> None:
        self.lines.append((event, fields))

    warning = error = info


class Stage:
    """A feed, and a cluster that changes."""

    def __init__(self) -> None:
        self.wake = asyncio.Event()
        self.log = Log()
        self.fleet = Fleet(lambda: NOW, on_change=self.wake.set)
        self.feed = Feed(self.fleet, lambda: {"link": {}}, self.wake, self.log)

    def put(self, name: str, **given: Any) -> None:
        """Change a pod."""
        self.fleet.pod(None, pruned.pod(pods.pod(name, **given)))

    def gone(self, name: str) -> None:
        """Delete a pod."""
        self.fleet.pod(pruned.pod(pods.pod(name)), None)

    def publish(self) -> None:
        """Make a frame now."""
        self.feed.flush()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Make frames by itself."""
        task = asyncio.create_task(self.feed.run())
        try:
            async with asyncio.timeout(LIMIT):
                yield
        finally:
            task.cancel()
            await asyncio.wait({task})


class Reader:
    """One reader, with the view of its page."""

    def __init__(self, feed: Feed, last_id: str = "") -> None:
        self.stream = feed.stream(last_id)
        self.pods: set[str] = set()
        self.last_id = last_id
        self.names: list[str] = []
        self.snapshots = 0

    async def read(self) -> list[str]:
        """Take the next piece, and return the names of its events."""
        async with asyncio.timeout(LIMIT):
            return self.take(await anext(self.stream))

    def take(self, piece: bytes) -> list[str]:
        """Take the events of a piece."""
        assert piece.endswith(b"\n\n")
        before = len(self.names)
        for part in piece.decode().removesuffix("\n\n").split("\n\n"):
            fields = dict(line.split(": ", 1) for line in part.split("\n"))
            data, name = json.loads(fields["data"]), fields["event"]
            self.last_id = fields.get("id", self.last_id)
            self.names.append(name)
            if name == "begin":
                self.pods = set()
                self.snapshots += 1
            elif name == "change":
                self.pods -= {each for _, each in data.get("gone", ())}
                self.pods |= {each["name"] for each in data["pods"]}
        return self.names[before:]

    async def until_whole(self) -> None:
        """Take a snapshot."""
        while "whole" not in await self.read():
            pass


@on_a_loop
async def test_a_snapshot_and_then_changes() -> None:
    """In parts, so that it is never in memory as a whole."""
    stage = Stage()
    for number in range(450):
        stage.put(f"p{number}")
    stage.publish()
    reader = Reader(stage.feed)
    await reader.until_whole()
    assert reader.names == ["begin", "change", "change", "change", "whole"]
    assert len(reader.pods) == 450

    stage.put("new")
    stage.gone("p0")
    stage.publish()
    assert await reader.read() == ["change"]
    assert len(reader.pods) == 450
    assert {"new", "p1"} <= reader.pods
    assert "p0" not in reader.pods
    await reader.stream.aclose()
    assert stage.feed.readers == 0


@on_a_loop
async def test_changes_in_the_middle_of_a_snapshot() -> None:
    """A slow reader gets them after it, and its view is right in the end."""
    stage = Stage()
    for number in range(450):
        stage.put(f"p{number:03}")
    stage.publish()
    reader = Reader(stage.feed)
    await reader.read()
    await reader.read()  # the first 200
    stage.gone("p000")
    stage.gone("p300")
    stage.put("new")
    stage.publish()
    await reader.until_whole()
    await reader.read()

    assert reader.pods == {f"p{n:03}" for n in range(450) if n not in (0, 300)} | {"new"}
    await reader.stream.aclose()


@on_a_loop
async def test_a_reader_that_comes_back_goes_on() -> None:
    """Its stream has only what it has missed."""
    stage = Stage()
    stage.put("a")
    stage.publish()
    first = Reader(stage.feed)
    await first.until_whole()
    await first.stream.aclose()
    stage.put("b")
    stage.publish()
    again = Reader(stage.feed, first.last_id)

    assert await again.read() == ["change"]
    assert again.pods == {"b"}
    await again.stream.aclose()


@pytest.mark.parametrize(
    "last_id",
    ["", "x", "other-1", "{boot}-99", "{boot}--1", "{boot}-" + "9" * 400, "{boot}-²", "\0"],
)
@on_a_loop
async def test_an_id_that_is_not_ours(last_id: str) -> None:
    """Whatever a client sends, it gets a snapshot."""
    stage = Stage()
    stage.put("a")
    stage.publish()
    reader = Reader(stage.feed, last_id.replace("{boot}", stage.feed._boot))

    assert await reader.read() == ["begin"]
    await reader.stream.aclose()


@on_a_loop
async def test_a_reader_that_falls_behind_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept for all readers has a bound in bytes."""
    monkeypatch.setattr(feeds, "KEPT", 20_000)
    stage = Stage()
    stage.put("a")
    stage.publish()
    reader = Reader(stage.feed)
    await reader.until_whole()
    for number in range(500):
        stage.put(f"p{number}")
        stage.publish()

    assert stage.feed._size <= 20_000
    assert stage.feed._size == sum(map(len, stage.feed._frames))
    await reader.until_whole()
    assert reader.snapshots == 2
    assert len(reader.pods) == 501
    await reader.stream.aclose()


@on_a_loop
async def test_a_frame_that_is_larger_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every reader begins again, and sees everything."""
    monkeypatch.setattr(feeds, "KEPT", 100)
    stage = Stage()
    stage.publish()
    reader = Reader(stage.feed)
    await reader.until_whole()
    stage.put("a")
    stage.publish()
    await reader.until_whole()

    assert reader.pods == {"a"}
    await reader.stream.aclose()


@on_a_loop
async def test_all_readers_get_the_same_bytes() -> None:
    """A frame is written once."""
    stage = Stage()
    stage.publish()
    readers = [Reader(stage.feed) for _ in range(3)]
    for each in readers:
        await each.until_whole()
    stage.put("a")
    stage.publish()
    pieces = [await anext(each.stream) for each in readers]

    assert len(set(pieces)) == 1
    assert stage.feed.readers == 3
    for each in readers:
        await each.stream.aclose()


@on_a_loop
async def test_changes_come_together() -> None:
    """Fifty changes at once are one frame, and the next ones come soon after."""
    stage = Stage()
    async with stage.running():
        reader = Reader(stage.feed)
        await reader.until_whole()
        for number in range(50):
            stage.put(f"p{number}")
        assert await reader.read() == ["change"]
        assert len(reader.pods) == 50
        stage.put("late")
        assert await reader.read() == ["change"]
        await reader.stream.aclose()


@on_a_loop
async def test_the_state_of_the_watches_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any change of a pod."""
    stage = Stage()
    async with stage.running():
        reader = Reader(stage.feed)
        await reader.until_whole()
        stage.feed.link({"pods": "away"})
        assert '"link":{"pods":"away"}' in (await anext(reader.stream)).decode()
        stage.feed.link({})
        assert '"link":{}' in (await anext(reader.stream)).decode()
        await reader.stream.aclose()


@on_a_loop
async def test_a_silent_stream_is_known_to_be_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """By an event from time to time."""
    monkeypatch.setattr(feeds, "PING", 0.01)
    stage = Stage()
    reader = Reader(stage.feed)
    await reader.until_whole()

    assert await reader.read() == ["ping"]
    await reader.stream.aclose()


@on_a_loop
async def test_a_mistake_does_not_end_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is logged, and the next frame comes."""
    stage = Stage()
    broken: Iterable[bool] = iter([True])
    take = stage.fleet.take

    def failing() -> Any:
        if next(broken, False):  # type: ignore[call-overload]
            raise RuntimeError("a mistake")
        return take()

    monkeypatch.setattr(stage.fleet, "take", failing)
    async with stage.running():
        reader = Reader(stage.feed)
        await reader.until_whole()
        stage.put("a")
        while not stage.log.lines:
            await asyncio.sleep(0)
        stage.put("b")
        await reader.read()
        await reader.stream.aclose()

    assert reader.pods == {"a", "b"}
    assert [(event, fields["problem"]) for event, fields in stage.log.lines] == [
        ("watch failed", "RuntimeError: a mistake")
    ]


names = st.sampled_from([f"p{n}" for n in range(8)])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), names),
        st.tuples(st.just("gone"), names),
        st.tuples(st.just("publish"), st.just("")),
        st.tuples(st.just("read"), st.sampled_from("abc")),
        st.tuples(st.just("again"), st.sampled_from("abc")),
    ),
    max_size=40,
)


@settings(deadline=None)
@given(steps, st.integers(200, 5_000))
def test_every_reader_sees_the_same_in_the_end(steps: list[tuple[str, str]], kept: int) -> None:
    """Fast or slow, coming back or not, with much or little that is kept."""

    async def play() -> None:
        stage = Stage()
        stage.publish()
        readers = {each: Reader(stage.feed) for each in "abc"}
        for what, name in [*steps, ("publish", "")]:
            if what == "put":
                stage.put(name)
            elif what == "gone":
                stage.gone(name)
            elif what == "publish":
                stage.publish()
            elif what == "read":
                await readers[name].read()
            else:
                before = readers[name]
                await before.stream.aclose()
                readers[name] = again = Reader(stage.feed, before.last_id)
                again.pods = before.pods
        there = {name for _, name in stage.fleet.rows}
        for each in readers.values():
            while "ping" not in await each.read():
                pass
            assert each.pods == there
            await each.stream.aclose()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feeds, "KEPT", kept)
        patch.setattr(feeds, "PART", 3)
        patch.setattr(feeds, "PING", 0.0)
        asyncio.run(play())
