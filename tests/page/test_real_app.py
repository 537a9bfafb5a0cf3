"""The page of real apps in a real Chromium, from the start to the end of a process."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.page.browser import Tab
from tests.process.commands import run
from tests.process.holding import FILES
from tests.process.kit import App, ask, background, serve_asgi

pytestmark = pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")

Start = Callable[..., App]

TIMES = {
    "LIFECYCLE_SETTLE": "1",
    "LIFECYCLE_QUIET": "0.2",
    "LIFECYCLE_STOP_TIMEOUT": "1",
    "LIFECYCLE_GRACE_PERIOD": "20",
    "POD_NAME": "shop-1",
}
SHOP = """
import asyncio, os

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    while scope["path"] == "/hold" and not os.path.exists("let-go"):
        await asyncio.sleep(0.05)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})
"""


def state(name: str) -> str:
    """Return the condition that the page shows a state."""
    return f"document.querySelector('#state').textContent === '{name}'"


def test_from_ready_to_the_end(tab: Tab, start: Start, tmp_path: Path) -> None:
    """A request appears, the drain waits for it by name, and then the app is gone: all live."""
    app = serve_asgi(start, tmp_path, SHOP, "--service", "shop", **TIMES)
    app.wait_state("ready")
    tab.open(f"http://localhost:{app.qos}/")
    tab.until(state("READY"))
    tab.until("document.querySelector('#start-note').textContent.includes('Slowest')")
    assert "shop" in tab.text("#services")

    held = background(lambda: ask(app.port, "/hold?token=secret"))
    tab.until("document.querySelector('#work').textContent.includes('GET /hold')")
    app.signal(signal.SIGTERM)
    tab.until(state("DRAINING"))
    tab.until("document.querySelector('#drain-waits').textContent.includes('GET /hold')")
    assert "Started by SIGTERM" in tab.text("#drain")
    assert "secret" not in tab.text()
    (tmp_path / "let-go").touch()
    assert held.result(30)[0] == 200
    assert app.wait() == 0, app.stderr
    tab.until("document.documentElement.dataset.mood === 'lost'")
    assert "it has probably exited" in tab.text("#lost")
    assert "shop-1" in tab.text(".top")


def test_offline_and_online_by_the_command_line(tab: Tab, start: Start, tmp_path: Path) -> None:
    """What the copied commands do is seen without reloading."""
    app = serve_asgi(start, tmp_path, SHOP, "--service", "shop", **TIMES)
    app.wait_state("ready")
    tab.open(f"http://127.0.0.1:{app.qos}/")
    tab.until(state("READY"))
    for word, mood in (("offline", "leave"), ("online", "good")):
        assert app.cli(word).returncode == 0
        tab.until(f"document.documentElement.dataset.mood === '{mood}'")
    assert "kubectl exec shop-1 -- lifecycle offline" in tab.text("#commands")


def test_the_workers_of_a_command(tab: Tab, start: Start, tmp_path: Path) -> None:
    """Each worker has a row, and each request the process that has it."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    words = ("-m", "uvicorn", "holds:asgi", "--workers", "2", "--port", "{port}")
    app = run(start, tmp_path, sys.executable, *words, PYTHONPATH=str(tmp_path), **TIMES)
    app.wait_state("ready")
    tab.open(f"http://127.0.0.1:{app.qos}/")
    tab.until("document.querySelectorAll('.workers tbody tr').length === 2")
    background(lambda: ask(app.port, "/hold"))
    pid = tab.until(
        "[...document.querySelectorAll('.work tbody tr')]"
        ".map((row) => row.cells[4].textContent).find((text) => text.length > 1)"
    )
    assert pid in tab.text(".workers tbody")


def test_a_host_name_is_refused(tab: Tab, start: Start, tmp_path: Path) -> None:
    """As by DNS rebinding: the answer says how to open the page."""
    app = serve_asgi(start, tmp_path, SHOP, **TIMES)
    app.wait_state("ready")
    tab.open(f"http://shop.localhost:{app.qos}/")
    assert "/ is PROTECTED, so this caller may not use it." in tab.text()
    assert "open the page at localhost" in tab.text()
