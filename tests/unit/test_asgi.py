"""`Managed` under a server: what a start that fails says, and to whom."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from lifecycle import asgi
from lifecycle.asgi import Managed
from lifecycle.config import Config
from lifecycle.exceptions import ConfigError, NotRunning
from lifecycle.links import help_page

STARTUP = {"type": "lifespan.startup"}
CONFIG = Config(qos_enabled=False, settle=0, quiet=0)
ERRORS = [
    (ConfigError("settle=-1"), "settle=-1"),
    (ValueError("no\x1b[2J"), r"ValueError: no\x1b[2J"),
]


async def _lifespan(app: Managed, sent: list[dict[str, Any]]) -> None:
    async def receive() -> dict[str, Any]:
        return STARTUP

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app({"type": "lifespan"}, receive, send)


@pytest.mark.parametrize(("error", "words"), ERRORS)
def test_a_start_that_fails(monkeypatch: pytest.MonkeyPatch, error: Exception, words: str) -> None:
    """The server is told why, whatever it was; the traceback comes if nobody foresaw it."""

    async def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(asgi, "start_after", fail)
    sent: list[dict[str, Any]] = []
    app = Managed(lambda *_: asyncio.sleep(0), config=CONFIG)
    if isinstance(error, ConfigError):
        asyncio.run(_lifespan(app, sent))
    else:
        with pytest.raises(ValueError, match="no"):
            asyncio.run(_lifespan(app, sent))

    [message] = sent
    assert message["type"] == "lifespan.startup.failed"
    text, _, see = message["message"].partition("\nSee ")
    assert text == f"lifecycle: {words}"
    assert see == help_page("managed-did-not-start")


@pytest.mark.parametrize("enabled", [False, True])
def test_nothing_can_begin_the_drain(
    caplog: pytest.LogCaptureFixture, tmp_path: Path, *, enabled: bool
) -> None:
    """A preStop hook needs the QOS port: that it is off is a warning, that it is on is none."""
    config = Config(qos_enabled=enabled, qos_port=0, run_dir=str(tmp_path), settle=0, quiet=0)

    async def main() -> None:
        app = Managed(lambda *_: asyncio.sleep(0), config=config)
        stop = asyncio.Event()
        messages = [STARTUP, {"type": "lifespan.shutdown"}]

        async def receive() -> dict[str, Any]:
            if len(messages) == 1:
                await stop.wait()
            return messages.pop(0)

        async def send(message: dict[str, Any]) -> None:
            stop.set()

        with caplog.at_level(logging.INFO, "lifecycle"):
            await app({"type": "lifespan"}, receive, send)

    asyncio.run(main())
    [said] = [each for each in caplog.records if "signals are the server's" in each.getMessage()]
    assert said.levelname == ("INFO" if enabled else "WARNING")
    assert ("LIFECYCLE_QOS_ENABLED=true" in said.getMessage()) is not enabled


def test_a_request_after_a_start_that_failed() -> None:
    """A server that goes on all the same shows with each request why nothing is served."""

    class Raises:
        def __init__(self) -> None:
            raise RuntimeError("no DATABASE_URL")

    async def main() -> None:
        app = Managed(lambda *_: asyncio.sleep(0), config=CONFIG, plugins=[Raises])
        with pytest.raises(NotRunning, match="Turn it on"):
            await app({"type": "http"}, None, None)
        await _lifespan(app, [])
        with pytest.raises(NotRunning, match=r"did not start: plugin 'Raises'.*no DATABASE_URL"):
            await app({"type": "http"}, None, None)

    asyncio.run(main())
