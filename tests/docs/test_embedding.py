"""A lifecycle in somebody else's loop, or under somebody else's server, ends when they end it."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from tests.process.kit import App
from tests.process.providers import DIRECTORY

EMBEDDED = """
import asyncio, signal, lifecycle

async def main():
    loop = asyncio.get_running_loop()
    async with lifecycle.Lifecycle() as life:
        loop.add_signal_handler(signal.SIGTERM, life.begin_drain, "SIGTERM")
        life.export("embedded")
        await life.ready()
        print("left", await life.drained())

asyncio.run(main())
"""

MANAGED = f"""{DIRECTORY}
from lifecycle.asgi import Managed

async def api(scope, receive, send):
    raise NotImplementedError("it has no lifespan, and is asked for nothing else")

app = Managed(api, service="api", port=int(os.environ["PORT"]), plugins=[Plugin])
"""

QUICK = {"LIFECYCLE_SETTLE": "0.2", "LIFECYCLE_QUIET": "0.1"}


def test_begin_drain_after_prestop_says_that_sigterm_came(tmp_path: Path) -> None:
    """Whoever has the signals joins the drain; drained() returns then, and not at the deadline."""
    with App.start(EMBEDDED, cwd=tmp_path, env=QUICK) as app:
        app.wait_state("ready")
        status, _, _ = app.prestop().result(10)
        assert status == 200
        assert app.running

        began = time.monotonic()
        app.signal(signal.SIGTERM)

        assert app.wait() == 0
        assert time.monotonic() - began < 5
        assert "left" in app.stdout


def test_a_server_that_stops_without_prestop_leaves_nothing_registered(tmp_path: Path) -> None:
    """Under Managed the server gets its answer to lifespan once deregistration is done."""
    with _start_managed(tmp_path) as app:
        app.wait_state("ready")

        app.signal(signal.SIGTERM)
        app.wait()

        assert app.stdout.split() == ["registered", "deregistered"]


def test_a_managed_app_is_out_soon_after_prestop_and_sigterm(tmp_path: Path) -> None:
    """The server's stop is the SIGTERM that the drain waits for."""
    with _start_managed(tmp_path) as app:
        app.wait_state("ready")
        app.prestop().result(10)

        began = time.monotonic()
        app.signal(signal.SIGTERM)
        app.wait()

        assert time.monotonic() - began < 5
        assert app.stdout.split() == ["registered", "deregistered"]


def _start_managed(folder: Path) -> App:
    (folder / "managed.py").write_text(MANAGED)
    server = (
        "import os, uvicorn; "
        "uvicorn.run('managed:app', port=int(os.environ['PORT']), log_level='error')"
    )
    env = QUICK | {"PYTHONPATH": str(folder), "DEREGISTERING": "0.2"}
    return App.start(["-c", server], cwd=folder, env=env)
