"""The lifespan of an app under `run --asgi`: begun before READY, ended after the last request."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lifecycle.links import help_page
from tests.process.kit import App, ask, background, wait_for
from tests.process.rollout import run_asgi

Start = Callable[..., App]

SPEAK = """
import asyncio, json
from pathlib import Path
from typing import Any

events = []


def note(event):
    events.append(event)
    Path("events").write_text(json.dumps(events))


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        note((await receive())["type"])
        scope["state"]["pool"] = ["a connection"]
        STARTUP
        await send({"type": "lifespan.startup.complete"})
        note((await receive())["type"])
        SHUTDOWN
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] == "/slow":
        note("request")
        await asyncio.sleep(1)
    body = str(scope["state"]["pool"]).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
    if scope["path"] == "/slow":
        note("response")
"""

DEAF = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})
"""


def run(start: Start, folder: Path, *, startup: str = "pass", shutdown: str = "pass") -> App:
    """Start an app whose startup and shutdown do this."""
    source = SPEAK.replace("STARTUP", startup).replace("SHUTDOWN", shutdown)
    (folder / "shop.py").write_text(source)
    return run_asgi(start, settle=0.2, quiet=0.1, stop_timeout=1, grace_period=5)


def events(folder: Path) -> list[str]:
    path = folder / "events"
    return json.loads(path.read_text() or "[]") if path.exists() else []


SEE = f"See {help_page('app-startup-failed')}"


def report(app: App) -> dict[str, Any]:
    """Its drain, by its own clock: a busy machine takes its time with the rest."""
    [found] = app.events("drain report")
    return found


def own_words(app: App) -> list[str]:
    """What it has written, besides events."""
    return [line for line in app.stderr.splitlines() if not line.startswith('{"')]


def test_the_state_of_the_startup_reaches_requests_and_the_shutdown_comes_last(
    start: Start, tmp_path: Path
) -> None:
    """Startup before READY, its state in every request, shutdown after the last response."""
    app = run(start, tmp_path)
    app.wait_state("ready")
    assert ask(app.port) == (200, "['a connection']")
    slow = background(lambda: ask(app.port, "/slow"))
    wait_for(lambda: "request" in events(tmp_path), 10, "the request's begin")
    app.signal(signal.SIGTERM)
    assert slow.result(10) == (200, "['a connection']")
    assert app.wait() == 0
    assert events(tmp_path) == ["lifespan.startup", "request", "response", "lifespan.shutdown"]
    assert own_words(app) == []


def test_an_app_without_lifespan_is_served(start: Start, tmp_path: Path) -> None:
    """An app that raises at the mere sight of a lifespan has none, and nobody minds."""
    (tmp_path / "shop.py").write_text(DEAF)
    app = run_asgi(start, settle=0.2, quiet=0.1)
    app.wait_state("ready")
    assert ask(app.port) == (200, "hello")
    app.stop()
    assert own_words(app) == []


@pytest.mark.parametrize("then", ["return", "raise RuntimeError('as many frameworks do')"])
def test_a_startup_that_says_it_failed(start: Start, tmp_path: Path, then: str) -> None:
    """The app's own words, exit code 1, never READY, no traceback."""
    failed = '{"type": "lifespan.startup.failed", "message": "no database"}'
    app = run(start, tmp_path, startup=f"await send({failed}); {then}")
    assert app.wait() == 1
    assert own_words(app) == ["lifecycle: the app did not start: no database", SEE]
    assert "ready" not in [each["event"] for each in app.events()]


def test_a_startup_that_raises(start: Start, tmp_path: Path) -> None:
    """It has not started: the app's own traceback without a frame of ours, exit code 1."""
    app = run(start, tmp_path, startup='raise ValueError("no database")')
    assert app.wait() == 1
    words = own_words(app)
    assert (words[0], words[-1]) == (
        "Traceback (most recent call last):",
        "ValueError: no database",
    )
    files = [line for line in words if line.startswith("  File")]
    assert [str(tmp_path / "shop.py") in line for line in files] == [True]
    assert "ready" not in [each["event"] for each in app.events()]


def test_a_signal_while_the_app_starts(start: Start, tmp_path: Path) -> None:
    """A startup that takes for ever is cancelled, its `finally` runs, and it is out at once."""
    startup = """
        try:
            await asyncio.sleep(3600)
        finally:
            note("cleaned up")
    """
    app = run(start, tmp_path, startup=startup)
    wait_for(lambda: events(tmp_path), 10, "the startup's begin")
    app.stop()
    assert report(app)["steps"]["close"] < 4
    assert events(tmp_path) == ["lifespan.startup", "cleaned up"]
    assert own_words(app) == []


def test_a_shutdown_that_says_it_failed(start: Start, tmp_path: Path) -> None:
    """The app's own words, and exit code 1."""
    failed = '{"type": "lifespan.shutdown.failed", "message": "the pool is stuck"}'
    app = run(start, tmp_path, shutdown=f"await send({failed}); return")
    app.wait_state("ready")
    app.stop(1)
    assert own_words(app) == ["lifecycle: the app did not stop: the pool is stuck", SEE]
