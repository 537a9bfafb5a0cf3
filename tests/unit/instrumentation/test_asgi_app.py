"""An ASGI app of a worker: what it and its server say to each other passes through as it is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from lifecycle.instrumentation.lifecycle_worker import asgi, long_lived
from tests.unit.instrumentation.test_worker_counts import Parent

ACCEPT = {"type": "websocket.accept"}
TICK = {"type": "websocket.send", "text": "tick"}
EVENTS = [(b"content-type", b"text/event-stream")]
START = {"type": "http.response.start", "status": 200, "headers": EVENTS}
PIECE = {"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True}


@pytest.fixture
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Parent]:
    made = Parent(tmp_path, 0)
    for module in (asgi, long_lived):
        monkeypatch.setattr(module, "worker", made.worker)
    monkeypatch.setattr(long_lived, "PATIENCE", 0.1)
    yield made
    made.close()


class Server:
    """What a server is to one request."""

    def __init__(self, kind: str, *headers: tuple[bytes, bytes], version: str = "1.1") -> None:
        self.scope = {
            "type": kind,
            "path": "/a",
            "method": "GET",
            "http_version": version,
            "headers": headers,
        }
        self.said: asyncio.Queue[Any] = asyncio.Queue()
        self.heard: list[Any] = []
        self.stuck = False
        self.cut = asyncio.Event()

    async def receive(self) -> Any:
        return await self.said.get()

    async def send(self, message: Any) -> None:
        self.heard.append(message)
        if self.stuck:
            await self.cut.wait()
        if message["type"] == "websocket.close":
            self.said.put_nowait({"type": "websocket.disconnect", "code": message["code"]})

    def abort(self, receive: Any, send: Any) -> None:
        assert receive == self.receive
        self.cut.set()

    async def serve(self, app: Callable[[Any, Any, Any], Awaitable[None]]) -> None:
        await asgi.App(app, self.abort)(self.scope, self.receive, self.send)


def run(main: Awaitable[None]) -> None:
    asyncio.run(asyncio.wait_for(main, 20))


@pytest.mark.parametrize(
    ("agent", "path", "counts"),
    [(b"curl/8", "/a", True), (b"kube-probe/1.30", "/a", False), (b"curl/8", "/healthz", False)],
)
@pytest.mark.parametrize("version", ["1.1", "2"])
@pytest.mark.parametrize("told", [False, True])
def test_a_health_check_is_no_arrival(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    agent: bytes,
    path: str,
    counts: bool,
    version: str,
    told: bool,
) -> None:
    """
    Who only looks whether the app is there does not keep a drain from being quiet.

    Nor does a client of HTTP/2 that cannot be told to go: it would ask until the deadline.
    """
    parent = Parent(tmp_path, 0, "kube-probe/", "/healthz")
    monkeypatch.setattr(asgi, "worker", parent.worker)
    parent.board.draining_at = time.monotonic()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    server = Server("http", (b"user-agent", agent), version=version)
    server.scope["path"] = path
    run(asgi.App(app, tells_http2=told)(server.scope, server.receive, server.send))
    counts = counts and (told or version < "2")
    assert (parent.slot.served, parent.slot.arrived_at > 0) == (1, counts)
    assert server.heard[0]["headers"] == [(b"connection", b"close")] * (version < "2")
    parent.close()


@pytest.mark.parametrize(("root_in_path", "path"), [(False, "/healthz"), (True, "/api/healthz")])
def test_it_is_the_path_that_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root_in_path: bool, path: str
) -> None:
    """Whatever the server has put before it, and whatever the app makes of it."""
    parent = Parent(tmp_path, 0, "/healthz")
    monkeypatch.setattr(asgi, "worker", parent.worker)
    parent.board.draining_at = time.monotonic()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["path"] = "/"
        scope["headers"] = []

    server = Server("http", (b"user-agent", b"curl/8"))
    server.scope |= {"path": path, "root_path": "/api"}
    run(asgi.App(app, root_in_path=root_in_path)(server.scope, server.receive, server.send))
    assert (parent.slot.served, parent.slot.arrived_at) == (1, 0.0)
    parent.close()


def test_asgiref_takes_what_the_app_sends_by_for_a_coroutine_function(parent: Parent) -> None:
    """It warns of everything else, and warnings are errors here."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        say = async_to_sync(send)
        await asyncio.to_thread(say, START)

    server = Server("http")
    run(server.serve(app))
    assert server.heard == [START]


@pytest.mark.parametrize("settled", [False, True])
def test_a_handshake_that_the_server_has_refused_as_it_stops(parent: Parent, settled: bool) -> None:
    """It is nobody's error; at any other time it is the app's, or its server's."""
    parent.board.draining_at = time.monotonic()
    parent.board.settled_at = 1.0 if settled else time.monotonic() + 60

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(ACCEPT)

    class Stopping(Server):
        async def send(self, message: Any) -> None:
            raise RuntimeError("Expected ASGI message 'websocket.close'")

    with nullcontext() if settled else pytest.raises(RuntimeError, match="Expected"):
        run(Stopping("websocket").serve(app))
    assert parent.slot.in_flight == 0


def test_a_receive_that_the_app_cancels_loses_no_message(parent: Parent) -> None:
    """What comes after it is there for the next one; and of two at once each gets its own."""

    async def main() -> None:
        server = Server("websocket")

        async def app(scope: Any, receive: Any, send: Any) -> None:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(receive(), 0.01)
            for number in range(3):
                server.said.put_nowait(number)
            assert await receive() == 0
            assert sorted(await asyncio.gather(receive(), receive())) == [1, 2]

        await server.serve(app)

    run(main())


def test_an_app_that_closes_by_itself(parent: Parent) -> None:
    """Its code reaches the client, the server's answer reaches it, settle changes nothing."""

    async def main() -> None:
        server = Server("websocket")

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(ACCEPT)
            await send({"type": "websocket.close", "code": 4001})
            long_lived.end_long_lived()
            assert await receive() == {"type": "websocket.disconnect", "code": 4001}
            raise KeyError("the app's own")

        with pytest.raises(KeyError):
            await server.serve(app)
        assert [each["type"] for each in server.heard] == ["websocket.accept", "websocket.close"]

    run(main())
    assert parent.slot.in_flight == 0


async def _in_a_group(receive: Any, send: Any) -> None:
    async def push() -> None:
        while True:
            await send(TICK)
            await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as group:
        group.create_task(push())
        group.create_task(receive())


async def _after_the_end(receive: Any, send: Any) -> None:
    assert await receive() == {"type": "websocket.disconnect", "code": 1001}
    try:
        await send(TICK)
    except OSError:
        raise RuntimeError("what a framework makes of it") from None


@pytest.mark.parametrize("talk", [_in_a_group, _after_the_end])
@pytest.mark.parametrize("late", [False, True])
def test_what_an_ended_app_still_says_is_no_error(
    parent: Parent, late: bool, talk: Callable[[Any, Any], Awaitable[None]]
) -> None:
    """It has no traceback; and who came after settle was sent away, which is no arrival."""
    now = time.monotonic()
    parent.board.draining_at, parent.board.settled_at = now, now if late else now + 60

    async def main() -> None:
        server = Server("websocket")

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(ACCEPT)
            asyncio.get_running_loop().call_later(0.05, long_lived.end_long_lived)
            await talk(receive, send)

        await server.serve(app)
        assert server.heard[-1] == {"type": "websocket.close", "code": 1001}
        assert not server.cut.is_set()

    run(main())
    assert (parent.slot.in_flight, parent.slot.arrived_at > 0) == (0, not late)


@pytest.mark.parametrize("version", ["1.1", "2"])
@pytest.mark.parametrize("kind", ["websocket", "http"])
def test_a_client_that_has_stopped_reading(parent: Parent, kind: str, version: str) -> None:
    """It is cut off after a moment, if nobody else is on its connection; the app ends anyway."""

    async def main() -> None:
        server = Server(kind, (b"accept", b"text/event-stream"), version=version)

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(ACCEPT if kind == "websocket" else START)
            server.stuck = True
            asyncio.get_running_loop().call_later(0.05, long_lived.end_long_lived)
            while True:
                await send(TICK if kind == "websocket" else PIECE)

        await server.serve(app)
        assert server.cut.is_set() == (version < "2")

    run(main())
    assert parent.slot.in_flight == 0
