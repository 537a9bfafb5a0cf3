"""A WebSocket of a worker: what its app hears of its end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lifecycle.instrumentation.lifecycle_worker import asgi, long_lived
from lifecycle.instrumentation.lifecycle_worker.worker import Worker
from tests.unit.instrumentation.test_board import board_in

OWN_CODE = {"type": "websocket.disconnect", "code": 4001, "reason": ""}


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    with board_in(tmp_path) as board:
        made = Worker()
        made.open(board.path)
        made.serves("fake")
        monkeypatch.setattr(asgi, "worker", made)
        yield made


async def talk(app: Any) -> list[str]:
    """Serve one WebSocket as a server does, and return what was sent to its client."""
    sent: list[str] = []
    closed = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await closed.wait()
        return dict(OWN_CODE)

    async def send(message: dict[str, Any]) -> None:
        if closed.is_set():
            raise RuntimeError("sent after the close")
        sent.append(message["type"])
        if message["type"] == "websocket.close":
            closed.set()

    scope = {"type": "websocket", "path": "/", "headers": []}
    await asyncio.wait_for(asgi.App(app)(scope, receive, send), 5)
    return sent


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("reads", ["while it closes", "later"])
def test_an_app_that_closes_it_hears_its_own_code(reads: str) -> None:
    """What the server says of the end is what the app hears, unless it was ended from here."""

    async def app(_: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        reading = asyncio.ensure_future(receive())
        if reads == "while it closes":
            await asyncio.sleep(0)
        await send({"type": "websocket.close", "code": 4001})
        assert await reading == OWN_CODE

    assert asyncio.run(talk(app)) == ["websocket.accept", "websocket.close"]


@pytest.mark.usefixtures("worker")
def test_what_an_app_sends_after_its_own_close_is_the_servers_to_refuse() -> None:
    """The server's error is not hidden: it is a mistake of the app's."""

    async def app(_: Any, __: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close"})
        await send({"type": "websocket.send", "text": "late"})

    with pytest.raises(RuntimeError, match="sent after the close"):
        asyncio.run(talk(app))


def test_one_that_is_ended_at_settle(worker: Worker) -> None:
    """Its app hears 1001, and what it still says is nobody's error."""
    heard = []

    async def app(_: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        asyncio.get_running_loop().call_soon(long_lived.end_long_lived)
        heard.append(await receive())
        await send({"type": "websocket.send", "text": "late"})

    assert worker.slot is not None
    assert asyncio.run(talk(app)) == ["websocket.accept", "websocket.close"]
    assert heard == [{"type": "websocket.disconnect", "code": 1001}]
