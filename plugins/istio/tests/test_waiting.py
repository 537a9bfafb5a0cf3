"""Main begins when the sidecar is ready, and not without it."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from plugins.istio.tests.pilot_agent import PilotAgent, something_else
from tests.process.kit import App, free_port, wait_for

Start = Callable[..., App]

READY = "/healthz/ready"
SHORT = "1"
"""Seconds that a start may wait in vain."""
REDIRECT = b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
OTHERS = {
    "hangs": (None, False, "no answer within 1 s"),
    "hangs up": (b"", False, "connection was closed without an answer"),
    "talks rubbish": (b"220 mail.example ESMTP\r\n\r\n", False, "answer is not HTTP"),
    "never comes to an end": (b"H", True, "(no answer within 1 s|answer is not HTTP)"),
    "redirects": (REDIRECT, False, "the answer is 302"),
}


def test_main_begins_when_the_sidecar_is_ready(start: Start, agent: PilotAgent) -> None:
    """Until then the app is STARTING, and its probes name what it waits for."""
    app = start(wait="true", ready_url=agent.ready_url)
    agent.await_asked(READY, 3)

    status = app.status()
    assert status is not None
    assert status["state"] == "starting"
    assert app.get("/live")[:2] == (200, "true")
    for path in ("/startup", "/ready"):
        assert app.get(path)[:2] == (503, "false")
        assert "istio failed" in (shown := app.control("GET", f"{path}?verbose")[1])
        assert "the sidecar has not been ready for " in shown
        assert "the answer is 503" in shown
    assert "main begins" not in app.stdout

    agent.ready.set()
    app.wait_state("ready")
    assert "main begins" in app.stdout
    wait_for(lambda: app.get("/ready")[:2] == (200, "true"), 20, lambda: app.stderr)
    assert {each.method for each in agent.asked(READY)} == {"GET"}
    wait_for(lambda: app.events("istio"), 20, lambda: app.stderr)
    assert app.events("istio")[0]["sidecar"] == "ready"


def test_a_sidecar_that_fails_later_is_not_ours_to_tell(start: Start, agent: PilotAgent) -> None:
    """The pod's readiness has its own probe in it: ours is about the app, and it is asked once."""
    agent.ready.set()
    app = start(wait="true", ready_url=agent.ready_url)
    app.wait_state("ready")
    agent.ready.clear()

    assert app.get("/ready")[:2] == (200, "true")
    assert len(agent.asked(READY)) == 1


def test_a_sidecar_that_is_never_ready(start: Start, agent: PilotAgent) -> None:
    """The start ends as other failed starts do, with 2, and says what to do."""
    app = start(wait="true", wait_timeout=SHORT, ready_url=agent.ready_url)

    assert app.wait() == 2, app.stderr
    assert (
        "lifecycle: plugin 'istio': the sidecar was not ready within 1 s: "
        f"{agent.ready_url}: the answer is 503. To find out why, run `kubectl logs POD -c "
        "istio-proxy`. To wait longer, set LIFECYCLE_ISTIO_WAIT_TIMEOUT. If the pod has no "
        "sidecar, set LIFECYCLE_ISTIO_WAIT=false.\n"
    ) in app.stderr
    assert "Traceback" not in app.stderr
    assert "main begins" not in app.stdout
    assert len(agent.asked(READY)) > 3


@pytest.mark.parametrize("kind", OTHERS)
def test_something_that_is_no_sidecar(start: Start, kind: str) -> None:
    """Whatever answers there, and however slowly: the wait ends, and the message says what came."""
    answer, slowly, problem = OTHERS[kind]
    with something_else(answer, slowly=slowly) as url:
        app = start(wait="true", wait_timeout=SHORT, ready_url=url)

        assert app.wait() == 2, app.stderr
    assert re.search(f"not ready within 1 s: {url}: .*{problem}", app.stderr), app.stderr


def test_nothing_listens(start: Start) -> None:
    """A pod without a sidecar that is told to wait for one says so."""
    url = f"http://127.0.0.1:{free_port()}/healthz/ready"
    app = start(wait="true", wait_timeout=SHORT, ready_url=url)

    assert app.wait() == 2, app.stderr
    assert f"{url}: connection refused, nothing listens there" in app.stderr


def test_a_sidecar_that_comes_late(start: Start) -> None:
    """What refused a moment ago is asked again."""
    port = free_port()
    app = start(wait="true", ready_url=f"http://127.0.0.1:{port}{READY}")
    wait_for(lambda: "nothing listens" in shown(app), 20, lambda: app.stderr)

    with PilotAgent(health_port=port) as agent:
        agent.ready.set()
        app.wait_state("ready")


@pytest.mark.parametrize("way", ["503", "hangs"])
def test_a_signal_during_the_wait(start: Start, agent: PilotAgent, way: str) -> None:
    """It leaves at once, with 143 and without main."""
    with something_else(None) as silent:
        app = start(wait="true", ready_url=silent if way == "hangs" else agent.ready_url)
        waits = "istio failed" if way == "hangs" else "the answer is 503"
        wait_for(lambda: waits in shown(app), 20, lambda: app.stderr)

        began = app.signal(signal.SIGTERM)
        assert app.wait() == 143, app.stderr
        assert time.monotonic() - began < 5
    assert "main begins" not in app.stdout
    assert "killed" not in app.stderr
    assert "not ready within" not in app.stderr


def shown(app: App) -> str:
    """Return what `/startup?verbose` shows, if anybody answers."""
    try:
        return app.control("GET", "/startup?verbose")[1]
    except OSError:
        return ""


def test_lifecycle_run(start: Start, agent: PilotAgent, tmp_path: Path) -> None:
    """An app that knows nothing of us waits too."""
    (tmp_path / "shop.py").write_text("async def main():\n    print('main', flush=True)\n")
    app = start(["-m", "lifecycle", "run", "shop:main"], wait="true", ready_url=agent.ready_url)
    agent.await_asked(READY, 2)
    assert "main" not in app.stdout

    agent.ready.set()
    assert app.wait() == 0, app.stderr
    assert app.stdout == "main\n"


MANAGED = """
import lifecycle.asgi

async def orders(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"orders"})

app = lifecycle.asgi.Managed(orders)
"""


def test_managed(start: Start, agent: PilotAgent, tmp_path: Path) -> None:
    """Under somebody else's server the startup waits, and preStop is what ends the wait."""
    (tmp_path / "shop.py").write_text(MANAGED)
    port = str(free_port())
    argv = ["-m", "uvicorn", "shop:app", "--port", port]
    app = start(argv, wait="true", ready_url=agent.ready_url)
    agent.await_asked(READY, 2)
    assert "Application startup complete" not in app.stderr

    assert app.prestop().result(20)[0] == 200
    wait_for(lambda: "Uvicorn running" in app.stderr, 20, lambda: app.stderr)
    app.signal(signal.SIGTERM)
    assert app.wait() in {0, -signal.SIGTERM}, app.stderr


def test_without_the_option_nobody_is_asked(start: Start, agent: PilotAgent) -> None:
    """Installed, and off until it is told to."""
    app = start(ready_url=agent.ready_url, quit_url=agent.quit_url)
    status = app.wait_state("ready")

    assert "istio" not in {each["name"] for each in status["plugins"]}
    app.signal(signal.SIGTERM)
    assert app.wait() == 0
    assert agent.asked(READY) == agent.asked("/quitquitquit") == []
