"""`lifecycle run --local`: two services on one laptop, and no waiting."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.process.kit import App, ask, free_port, wait_for

RUN = ("-m", "lifecycle", "run", "--local")
APP = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})


async def main(life):
    await life.ready()
    await life.drained()
"""
WAYS = {
    "main": lambda _: ("shop:main",),
    "asgi": lambda port: ("--asgi", "shop:app", "--bind", f"127.0.0.1:{port}", "--service", "shop"),
    "command": lambda port: (
        *("--service", f"shop:{port}", "--", sys.executable, "-m", "http.server", str(port)),
    ),
}


@pytest.fixture
def apps(tmp_path: Path) -> Iterator[dict[str, tuple[App, int]]]:
    """All ways of running, started with the same settings of a pod."""
    env = {"LIFECYCLE_QOS_PORT": str(free_port()), "LIFECYCLE_SETTLE": "20"}
    with ExitStack() as stack:

        def start(name: str, port: int) -> App:
            folder = tmp_path / name
            folder.mkdir()
            (folder / "shop.py").write_text(APP)
            return stack.enter_context(App.start((*RUN, *WAYS[name](port)), env=env, cwd=folder))

        ports = {name: free_port() for name in WAYS}
        yield {name: (start(name, port), port) for name, port in ports.items()}


def test_services_on_one_laptop_do_not_clash(apps: dict[str, tuple[App, int]]) -> None:
    """Each has a free QOS port, says it in one line, and ends without waiting for clients."""
    ports = {}
    for name, (app, port) in apps.items():
        wait_for(lambda app=app: app.events("ready"), 20, lambda app=app: app.stderr)
        (local,) = app.events("local")
        ports[name] = local["qos_port"]
        assert local["hint"] == (
            f"settle and quiet are 0. To see the status: lifecycle status --port {ports[name]}, or "
            f"http://localhost:{ports[name]}/ in a browser"
        )
        if name != "main":
            wait_for(lambda port=port: _answers(port), 20, lambda app=app: app.stderr)
        status = [sys.executable, "-m", "lifecycle", "status", "--port", ports[name]]
        told = subprocess.run(status, env=app.env, capture_output=True, text=True, check=False)
        assert "ready" in told.stdout, told.stderr
    assert len({*ports.values()}) == len(WAYS)

    for app, _ in apps.values():
        app.signal(signal.SIGTERM)
    for app, _ in apps.values():
        assert app.wait() == 0, app.stderr
        (report,) = app.events("drain report")
        assert report["steps"]["settle"] < 10


def _answers(port: int) -> bool:
    try:
        return ask(port)[0] == 200
    except OSError:
        return False
