"""Server-sent events: a stream that never ends by itself does not hold the drain up."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from lifecycle.serving.websockets_and_event_streams import EventStream
from tests.hosts.hosts import HYPERCORN, ON_UVICORN, UVICORN
from tests.process.h1_client import Connection
from tests.process.kit import App
from tests.process.rollout import BIND, RUN
from tests.process.wire import Answer

ACCEPTS = ("text/event-stream", "application/json, TEXT/event-stream; q=0.9")
ASGI = (*RUN, "--asgi", "shop:app", *BIND)
MANAGED = {"SHOP": "shop", "HOW": "wrapped"}
HOSTS: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "run --asgi": (ASGI, {}),
    "run --asgi, uvicorn": ((*ASGI, *ON_UVICORN), {}),
    "uvicorn in a main": ((*RUN, "mains:uvicorn_inside"), {}),
    "uvicorn, Managed": (("-m", *UVICORN), MANAGED),
    "hypercorn, Managed": (("-m", *HYPERCORN), MANAGED),
}


async def _listen(app: App, accept: str, path: str = "/events") -> tuple[Answer, float]:
    connection = await _connect(app.port)
    with contextlib.closing(connection):
        response = await connection.ask(path, {"Accept": accept})
    return response, time.monotonic()


async def _connect(port: int) -> Connection:
    """Connect, once the app listens: a main without services is ready before its server is."""
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                return await Connection.open(port)
            await asyncio.sleep(0.05)


async def _drain(app: App, *, prestop: bool) -> float:
    while app.status()["in_flight"] < 2:  # type: ignore[index]
        await asyncio.sleep(0.01)
    at = time.monotonic()
    if prestop:
        assert (await asyncio.wrap_future(app.prestop()))[0] == 200
    app.signal(signal.SIGTERM)
    return at


@pytest.mark.parametrize("host", HOSTS)
def test_an_event_source_is_sent_away_at_settle(start: Callable[..., App], host: str) -> None:
    """Its stream goes on until settle is over, ends whole, and the process leaves at once."""
    argv, env = HOSTS[host]

    async def scenario() -> None:
        app = start(*argv, **env)
        await asyncio.to_thread(app.wait_state, "ready")
        streams = [asyncio.create_task(_listen(app, accept)) for accept in ACCEPTS]
        at = await _drain(app, prestop=host.endswith("Managed"))
        for response, ended in await asyncio.gather(*streams):
            assert response.status == 200
            assert response.body.startswith(b"data: 0\n\n")
            assert response.body.endswith(b"\n\n")
            assert 0.7 <= ended - at < 0.7 + 1.5
        code = await asyncio.to_thread(app.wait)
        assert code in (0, -signal.SIGTERM), app.stderr
        assert time.monotonic() - at < 5
        assert "Traceback" not in app.stderr, app.stderr

    asyncio.run(scenario())


def test_another_stream_is_work_in_flight(start: Callable[..., App]) -> None:
    """What has an end, or says that it has, is waited for, though settle is over before."""

    async def scenario() -> None:
        app = start(*ASGI, LIFECYCLE_SETTLE="0.2", LIFECYCLE_QUIET="0.1")
        await asyncio.to_thread(app.wait_state, "ready")
        paths = ("/download", "/import")
        streams = [asyncio.create_task(_listen(app, ACCEPTS[0], path)) for path in paths]
        await _drain(app, prestop=False)
        for response, _ in await asyncio.gather(*streams):
            assert response.body == b"x" * 2500
        assert await asyncio.to_thread(app.wait) == 0

    asyncio.run(scenario())


def _stream_of(kind: bytes, *, forever: bool = True) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": [(b"Content-Type", kind)]}
        await send(start)
        await send({"type": "http.response.body", "body": b"1", "more_body": True})
        try:
            if forever:
                await asyncio.Event().wait()
            await asyncio.sleep(0.01)
        finally:
            await asyncio.sleep(0)  # a clean-up that waits is not cancelled again
            await send({"type": "http.response.body", "body": b"late", "more_body": False})

    return app


@pytest.mark.parametrize(
    ("kind", "forever", "bodies"),
    [
        (b"text/event-stream; charset=utf-8", True, [b"1", b""]),
        (b"application/json", False, [b"1", b"late"]),
    ],
)
def test_only_a_stream_of_events_is_ended(
    *, kind: bytes, forever: bool, bodies: list[bytes]
) -> None:
    """An EventSource that is answered something else gets all of it."""
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def scenario() -> None:
        stream = EventStream(receive, send)
        running = asyncio.create_task(stream.run(_stream_of(kind, forever=forever), {}))
        await asyncio.sleep(0)
        closer = asyncio.create_task(stream.end_when(partial(asyncio.sleep, 0)))
        async with asyncio.timeout(5):
            await running
        closer.cancel()

    asyncio.run(scenario())
    assert [each["body"] for each in sent[1:]] == bodies
    assert not sent[-1].get("more_body")


def test_an_apps_own_timeout_is_its_own() -> None:
    """A TimeoutError that the app raises is not taken for the end of its stream."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise TimeoutError("the database")

    async def scenario() -> None:
        async def nothing(*_: Any) -> Any:
            return None

        await EventStream(nothing, nothing).run(app, {})

    with pytest.raises(TimeoutError, match="the database"):
        asyncio.run(scenario())
