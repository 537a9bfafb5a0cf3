"""A server under `lifecycle run -- COMMAND`, drained with everything under way at once."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Final

import websockets

from tests.process.commands import run
from tests.process.h1_client import Connection, Lost
from tests.process.kit import App
from tests.process.rollout import SERVED, WATCHERS
from tests.process.wire import Answer

SETTLE: Final = 1.0
TIMES: Final = {
    "LIFECYCLE_SETTLE": str(SETTLE),
    "LIFECYCLE_QUIET": "0.5",
    "LIFECYCLE_GRACE_PERIOD": "12",
    "LIFECYCLE_STOP_TIMEOUT": "3",
}
EVENTS: Final = {"Accept": "text/event-stream"}
RAISED: Final = re.compile(r"Traceback| ERROR: ")
"""What a server writes if its app raises. Sanic draws its traceback in another way."""
LATE: Final = 0.7
"""Seconds after settle by which its heartbeat must have come, on a busy machine."""


def serve(start: Callable[..., App], folder: Path, *command: str, **env: str) -> App:
    """Start a server of `tests/hosts/served` under `lifecycle run`, and wait until it is READY."""
    path = os.pathsep.join((str(SERVED), env.pop("PYTHONPATH", "")))
    app = run(start, folder, *command, PYTHONPATH=path.rstrip(os.pathsep), **TIMES, **env)
    app.wait_state("ready")
    return app


def assert_drains(
    app: App,
    *,
    idle: bool = True,
    websocket: str = "/ws",
    events: bool = True,
    codes: Sequence[int] = (0,),
    goodbye: int = 1001,
) -> None:
    """
    Drain it, and see that nothing of what is under way is lost, and that all are told to go.

    Args:
        app: It, READY.
        idle: Whether it closes idle connections at settle.
        websocket: The path of its WebSockets; empty if it has none.
        events: Whether it serves event streams.
        codes: The exit codes that are in order.
        goodbye: What its WebSockets are closed with.
    """
    assert not app.events("not instrumented"), app.stderr
    drain = _drain(app, idle=idle, path=websocket, events=events, goodbye=goodbye)
    asyncio.run(asyncio.wait_for(drain, 40))
    assert app.wait() in codes, app.stderr
    report = app.events("drain report")[0]
    assert not RAISED.search(app.stderr), app.stderr
    assert "lifecycle: " not in app.stderr, app.stderr
    assert report["code"] == 0, report
    assert "cut_off" not in report, report
    assert "disturbed_by" not in report, report


async def _drain(app: App, *, idle: bool, path: str, events: bool, goodbye: int) -> None:
    async with asyncio.TaskGroup() as group:
        with ExitStack() as stack:
            opened = [await Connection.open(app.port) for _ in range(4)]
            kept, fresh, slow, busy = (stack.enter_context(closing(each)) for each in opened)
            first = await kept.ask("/")
            assert (first.status, first.closes, first.body) == (200, False, b"hello")
            assert not (await busy.ask("/", body=b"posted")).closes
            listening = [group.create_task(listen(app.port, path))] if path else []
            streams = [group.create_task(follow(app.port))] if events else []
            working = [group.create_task(each) for each in (slow.ask("/slow"), _stream(app.port))]
            group.create_task(watch(app.port))
            expected = len(listening) + len(streams) + len(working)
            await _until(
                lambda: expected <= app.status()["in_flight"] <= expected + 1,
                f"{expected} in flight",
                app,
            )

            began = await asyncio.to_thread(app.signal, signal.SIGTERM)
            await _until(lambda: app.status()["state"] == "draining", "draining", app)

            told = await busy.ask("/")
            assert (told.status, told.closes) == (200, True), told
            counted = await asyncio.to_thread(app.status)
            assert counted["told_to_go"] >= 1, counted
            assert counted["requests"] >= expected + 3, counted
            assert await asyncio.wait_for(busy.read(), 2) == b""
            assert not fresh.over
            assert not kept.over
            if idle:
                assert await asyncio.wait_for(kept.read(), 5) == b""
                assert SETTLE - 0.05 <= time.monotonic() - began <= SETTLE + LATE
                assert not fresh.over  # it has not asked yet
            last = await fresh.ask("/")
            assert (last.status, last.closes, last.body) == (200, True, b"hello")
            for task in listening:
                code, at = await task
                assert code == goodbye
                assert SETTLE - 0.05 <= at - began <= SETTLE + LATE
            for task in streams:
                whole, at = await task
                assert whole.startswith(b"data: 0\n\n")
                assert whole.endswith(b"\n\n")
                assert SETTLE - 0.05 <= at - began <= SETTLE + LATE
            assert (await working[0]).body == b"hello"
            assert (await working[1]).body == b"x" * 1000


def assert_ends_a_stream_without_pauses(app: App) -> None:
    """Drain it while an event stream sends without a pause. It must be whole, and nothing raise."""

    async def drain() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
        writer.write(
            b"GET /events?every=0 HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n"
        )
        reading = asyncio.create_task(reader.read())
        await _until(lambda: app.status()["in_flight"] == 1, "in flight", app)
        await asyncio.to_thread(app.signal, signal.SIGTERM)
        whole = await reading
        writer.close()
        return whole

    whole = asyncio.run(asyncio.wait_for(drain(), 40))
    assert b"data: 0\n\n" in whole
    assert whole.endswith(b"\n\n\r\n0\r\n\r\n"), (whole[-60:], app.stderr)
    assert app.wait() == 0, app.stderr
    assert not RAISED.search(app.stderr), app.stderr


async def watch(port: int) -> None:
    """Look whether it is healthy, as monitors do, until it is not there any more."""
    with suppress(OSError, Lost):
        while True:
            for agent, _ in WATCHERS:
                connection = await Connection.open(port)
                with closing(connection):
                    await connection.ask("/", {"User-Agent": agent})
            await asyncio.sleep(0.05)


async def _stream(port: int) -> Answer:
    connection = await Connection.open(port)
    with closing(connection):
        return await connection.ask("/stream")


async def follow(port: int) -> tuple[bytes, float]:
    """Follow an event stream to its end, which must be a whole one."""
    connection = await Connection.open(port)
    with closing(connection):
        answer = await connection.ask("/events", EVENTS, within=15)
        return answer.body, time.monotonic()


async def listen(port: int, path: str) -> tuple[int | None, float]:
    """Talk over a WebSocket until it is closed: its code, and when."""
    async with websockets.connect(f"ws://127.0.0.1:{port}{path}") as socket:
        await socket.send("one")
        assert await socket.recv() == "one"
        with suppress(websockets.ConnectionClosed):
            await socket.recv()
        return socket.close_code, time.monotonic()


async def _until(condition: Callable[[], object], what: str, app: App) -> None:
    for _ in range(500):
        if await asyncio.to_thread(condition):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"not {what}: {app.status()} {app.stderr}")
