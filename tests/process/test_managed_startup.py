"""`Managed` is ready when the app it wraps has started, and never if that has failed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from signal import SIGTERM

import pytest

from tests.process.kit import RECORDED, App, free_port, wait_for

Start = Callable[..., App]

APP = """
import asyncio, os
from lifecycle.asgi import Managed

async def inner(scope, receive, send):
    if scope["type"] == "lifespan":
        {lifespan}
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})

{plugins}
port = int(os.environ["PORT"]) if "WITH_PORT" in os.environ else None
app = Managed(inner, service="orders", port=port, plugins=plugins)
"""
NONE = "plugins = []"
SLOW = """
        await receive()
        print("starting", flush=True)
        while not os.path.exists("go"):
            await asyncio.sleep(0.01)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
"""
FAILED = 'await send({"type": "lifespan.startup.failed", "message": "no database"})'
SERVERS = {"uvicorn": ("uvicorn", "--port"), "hypercorn": ("hypercorn", "--bind")}


@pytest.fixture(params=SERVERS)
def serve(request: pytest.FixtureRequest, start: Start, tmp_path: Path) -> Callable[..., App]:
    """Serve an app of a lifespan, with a server's own command."""
    module, option = SERVERS[request.param]

    def serve(lifespan: str, plugins: str = NONE, **env: str) -> App:
        source = APP.replace("{lifespan}", lifespan.strip()).replace("{plugins}", plugins)
        (tmp_path / "managed.py").write_text(source)
        port = env.setdefault("PORT", str(free_port()))
        where = port if module == "uvicorn" else f"127.0.0.1:{port}"
        return start(["-m", module, "managed:app", option, where], env=RECORDED | env)

    return serve


@pytest.mark.parametrize("env", [{}, {"WITH_PORT": "1"}], ids=["no port", "a port"])
def test_ready_after_the_apps_own_startup(serve: Callable[..., App], env: dict[str, str]) -> None:
    """Until the app says that its startup is complete, nothing is exported, and nothing ready."""
    app = serve(SLOW, **env)
    wait_for(lambda: "starting" in app.stdout, 15, lambda: app.stderr)

    assert app.get("/startup")[:2] == (503, "false")
    assert app.get("/ready")[:2] == (503, "false")
    status = app.status()
    assert status is not None
    assert (status["state"], status["services"]) == ("starting", [])

    (app.cwd / "go").touch()
    app.wait_state("ready")
    assert app.get("/ready")[:2] == (200, "true")
    app.signal(SIGTERM)
    app.wait()
    assert app.record("deregister")


FAILURES = {
    "says so": f"await receive(); {FAILED}; return",
    "says so and raises": f"await receive(); {FAILED}; raise OSError('no database')",
    "raises": "await receive(); raise OSError('no database')",
}


@pytest.mark.parametrize("way", FAILURES)
def test_a_startup_that_fails(serve: Callable[..., App], way: str) -> None:
    """The lifecycle ends as FAILED, and was never ready."""
    app = serve(FAILURES[way])

    app.wait(20)  # with which code is the server's affair
    afters = [each["after"] for each in app.record("transition")]
    assert afters == ["draining", "failed"]
    assert "no database" in app.stderr
    assert app.record("register") == []


RAISES = """
class Raises:
    def __init__(self): raise RuntimeError("no DATABASE_URL")

plugins = [Raises]
"""


def test_a_plugin_that_cannot_be_constructed(serve: Callable[..., App]) -> None:
    """The server does not start, and its log says which plugin, why, and where."""
    app = serve("return", RAISES)

    app.wait(20)
    assert "plugin 'Raises': its class raised RuntimeError: no DATABASE_URL" in app.stderr
    assert "managed.py:" in app.stderr


@pytest.mark.parametrize("lifespan", ["return", "raise LookupError('no lifespan here')"])
def test_an_app_without_a_word(serve: Callable[..., App], lifespan: str) -> None:
    """An app that does not ask for the startup knows no lifespan: it is ready all the same."""
    app = serve(lifespan)
    app.wait_state("ready", timeout=20)

    app.signal(SIGTERM)
    app.wait()
    assert app.record("deregister")
    assert "no lifespan here" not in app.stderr
