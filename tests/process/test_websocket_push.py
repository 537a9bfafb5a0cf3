"""A WebSocket that is only ever written to: it learns of the end where it sends."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import websockets

from tests.process.kit import App
from tests.process.rollout import run_asgi, run_uvicorn

Start = Callable[..., App]
SETTLE = 0.7

PUSHING = """
import asyncio, os

async def app(scope, receive, send):
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.accept"})
    number = 0
    try:
        while True:
            await send({"type": "websocket.send", "text": f"tick {number}"})
            number += 1
            PAUSE
    except BaseException as error:
        with open("told", "a") as file:
            print(type(error).__mro__[1].__name__, error, file=file)
        raise
"""
PAUSES = {"a pause": "await asyncio.sleep(0.02)", "no pause": "pass"}


@pytest.mark.parametrize("pause", PAUSES)
@pytest.mark.parametrize("host", [run_asgi, run_uvicorn])
def test_a_websocket_that_never_reads_is_told_where_it_sends(
    start: Start, tmp_path: Path, host: Callable[..., App], pause: str
) -> None:
    """Its client gets 1001 once settle has passed, its next send raises, and nobody is cut off."""
    (tmp_path / "shop.py").write_text(PUSHING.replace("PAUSE", PAUSES[pause]))
    app = host(start, settle=SETTLE, quiet=0.2, stop_timeout=1, grace_period=8)
    app.wait_state("ready")

    async def listen() -> int | None:
        async with websockets.connect(f"ws://127.0.0.1:{app.port}/", max_size=None) as socket:
            assert await socket.recv() == "tick 0"
            began = await asyncio.to_thread(app.signal, signal.SIGTERM)
            async for _ in socket:
                continue
            assert time.monotonic() - began >= SETTLE
            return socket.close_code

    assert asyncio.run(asyncio.wait_for(listen(), 20)) == 1001
    assert app.wait() == 0, app.stderr
    assert (
        tmp_path / "told"
    ).read_text() == "OSError the WebSocket is closed, because the app is shutting down\n"
    assert "Traceback" not in app.stderr, app.stderr
    assert "cut_off" not in app.events("drain report")[0]
