"""The event that says where an app listens, under every host."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from signal import SIGTERM
from typing import Any

import pytest

from tests.process.kit import QUICK, App, free_port, wait_for

Start = Callable[..., App]

WEB = """
async def app(scope, receive, send):
    assert scope["type"] != "lifespan"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})
"""
UNMODIFIED = """
import asyncio, os

async def main():
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "", os.environ["PORT"])
    await server.serve_forever()
"""
MANAGED = """
import logging, os
from lifecycle.asgi import Managed
import web

logging.basicConfig(level="INFO")
app = Managed(web.app, service="shop", port=int(os.environ["PORT"]))
"""


@pytest.fixture
def begin(start: Start, tmp_path: Path) -> Callable[..., App]:
    """Start an app, and return once it is READY."""
    for name, text in (("web", WEB), ("plain", UNMODIFIED), ("managed", MANAGED)):
        (tmp_path / f"{name}.py").write_text(text)

    def begin(*words: str, **env: str) -> App:
        port = env.setdefault("PORT", str(free_port()))
        argv = ["-m", *(word.replace("{port}", port) for word in words)]
        app = start(argv, env=QUICK | env)
        app.wait_state("ready")
        return app

    return begin


def where(app: App) -> list[Any]:
    """Return where it listens, from the one event."""
    (event,) = wait_for(lambda: app.events("listening"), 10, lambda: app.stderr)
    found: list[Any] = event["on"]
    return found


@pytest.mark.parametrize("instrument", ["yes", "no"])
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_command(begin: Callable[..., App], host: str, instrument: str) -> None:
    """Its address as it is, so that a server that only this pod can reach is seen to be one."""
    command = (sys.executable, "-m", "uvicorn", "--host", host, "--port", "{port}", "web:app")
    options = ("--service", "shop:{port}", "--instrument", instrument)
    app = begin("lifecycle", "run", *options, "--", *command)
    assert where(app) == [f"{host}:{app.port}"]
    app.stop()


def test_a_command_without_services(begin: Callable[..., App]) -> None:
    """It listens nowhere, as far as anybody has said."""
    app = begin("lifecycle", "run", "--", sys.executable, "-c", "import time; time.sleep(3600)")
    app.signal(SIGTERM)
    app.wait()
    assert app.events("listening") == []


def test_a_main_without_changes(begin: Callable[..., App]) -> None:
    """Over both protocols, if it listens on both."""
    app = begin("lifecycle", "run", "--service", "orders:{port}", "plain:main")
    assert sorted(where(app)) == [f"0.0.0.0:{app.port}", f"[::]:{app.port}"]
    app.signal(SIGTERM)
    app.wait()


def test_under_a_server(begin: Callable[..., App]) -> None:
    """When the server has opened its port."""
    app = begin("uvicorn", "--port", "{port}", "managed:app")
    assert f"127.0.0.1:{app.port}" in where(app)
    app.signal(SIGTERM)
    app.wait()
