"""A job ends the sidecar when main has ended, and by it the pod."""

from __future__ import annotations

import http.client
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from plugins.istio.tests.pilot_agent import Asked, PilotAgent, something_else
from tests.process.kit import App, free_port, wait_for

Start = Callable[..., App]

QUIT = "/quitquitquit"
ONCE = [Asked("POST", QUIT)]


def test_the_stand_in_answers_as_the_agent_does(agent: PilotAgent) -> None:
    """405 for what is no POST, 400 for a probe that it does not know, 404 for the rest."""

    def ask(method: str, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", agent.status_port, timeout=10)
        connection.request(method, path)
        response = connection.getresponse()
        answer = response.status, response.read()
        connection.close()
        return answer

    assert ask("GET", QUIT) == (405, b"Method Not Allowed\n")
    assert ask("GET", "/app-health/orders/livez")[0] == 400
    assert ask("GET", "/") == (404, b"404 page not found\n")
    assert ask("GET", "/healthz/ready") == (503, b"")
    assert agent.seen_at_quit == []
    assert ask("POST", QUIT) == (200, b"OK")
    agent.localhost = ()
    assert ask("POST", QUIT)[0] == 403


@pytest.mark.parametrize("code", ["0", "3"])
def test_after_main_has_ended(start: Start, agent: PilotAgent, code: str) -> None:
    """Once, last of all, whatever the exit code, which stays what it was."""
    app = start(quit="true", quit_url=agent.quit_url, env={"CODE": code})
    agent.on_quit = lambda: app.stdout.splitlines()  # noqa: PLW0108 - as it is then

    assert app.wait() == int(code), app.stderr
    assert agent.asked(QUIT) == ONCE
    assert agent.seen_at_quit == [["main begins", "registered", "main ends", "deregistered"]]
    assert app.events("istio")[-1]["sidecar"] == "told to end"


@pytest.mark.parametrize("signals", [1, 2])
def test_after_a_signal(start: Start, agent: PilotAgent, signals: int) -> None:
    """A job that is told to leave, or forced to, ends its sidecar too."""
    long = {"LIFECYCLE_GRACE_PERIOD": "60", "LIFECYCLE_SETTLE": "30"} if signals == 2 else {}
    app = start(quit="true", quit_url=agent.quit_url, env=long)
    app.wait_state("ready")
    app.signal(signal.SIGTERM)
    if signals == 2:
        app.wait_state("draining")
        wait_for(lambda: len(app.events("signal")) == 1, 20, lambda: app.stderr)
        time.sleep(0.3)  # two within 250 ms are one, and nothing tells when they are over
        app.signal(signal.SIGTERM)

    assert app.wait() == signals - 1, app.stderr
    assert agent.asked(QUIT) == ONCE


def test_after_main_has_raised(start: Start, agent: PilotAgent) -> None:
    """An exit code of 1 is no reason to leave the sidecar behind."""
    app = start(quit="true", quit_url=agent.quit_url, env={"FAILS": "1"})

    assert app.wait() == 1, app.stderr
    assert agent.asked(QUIT) == ONCE


def test_after_an_import_that_failed(start: Start, agent: PilotAgent, tmp_path: Path) -> None:
    """Also main that has never begun."""
    (tmp_path / "broken.py").write_text("raise ValueError('no luck')\n")
    app = start(["-m", "lifecycle", "run", "broken:main"], quit="true", quit_url=agent.quit_url)

    assert app.wait() == 1, app.stderr
    assert agent.asked(QUIT) == ONCE


def test_after_a_wait_in_vain(start: Start, agent: PilotAgent) -> None:
    """A sidecar that never became ready would keep the pod running for ever."""
    urls = {"ready_url": agent.ready_url, "quit_url": agent.quit_url}
    app = start(wait="true", wait_timeout="0.5", quit="true", **urls)

    assert app.wait() == 2, app.stderr
    assert agent.asked(QUIT) == ONCE


def test_only_when_it_is_told_to(start: Start, agent: PilotAgent) -> None:
    """A service's sidecar is the kubelet's to end."""
    agent.ready.set()
    urls = {"ready_url": agent.ready_url, "quit_url": agent.quit_url}
    app = start(wait="true", env={"CODE": "0"}, **urls)

    assert app.wait() == 0, app.stderr
    assert agent.asked(QUIT) == []


@pytest.mark.parametrize("code", ["0", "3"])
def test_a_sidecar_that_hangs(start: Start, code: str) -> None:
    """It holds nobody up: the process is gone a moment later, with the code it had."""
    with something_else(None) as url:
        app = start(quit="true", quit_url=url, env={"CODE": code})
        wait_for(lambda: "main ends" in app.stdout, 30, lambda: app.stderr)
        ended = time.monotonic()

        assert app.wait() == int(code), app.stderr
        assert time.monotonic() - ended < 3
    assert problem(app) == f"{url}: no answer within 0.3 s"


def test_a_sidecar_that_is_not_there(start: Start) -> None:
    """The exit code says how main ended, and nothing else; the log says the rest."""
    url = f"http://127.0.0.1:{free_port()}{QUIT}"
    app = start(quit="true", quit_url=url, env={"CODE": "0"})

    assert app.wait() == 0, app.stderr
    assert problem(app) == f"{url}: connection refused, nothing listens there"


@pytest.mark.parametrize("way", ["refuses", "talks rubbish"])
def test_a_sidecar_that_does_not_do_it(start: Start, agent: PilotAgent, way: str) -> None:
    """What the answer is is in the log."""
    agent.localhost = ()
    with something_else(b"220 mail.example ESMTP\r\n\r\n") as rubbish:
        url = agent.quit_url if way == "refuses" else rubbish
        app = start(quit="true", quit_url=url, env={"CODE": "0"})

        assert app.wait() == 0, app.stderr
    said = "the answer is 403" if way == "refuses" else "the answer is not HTTP"
    assert problem(app) == f"{url}: {said}"


def problem(app: App) -> str:
    """Return what the log says of a sidecar that was not told to end."""
    (event,) = [each for each in app.events("istio") if each["sidecar"] == "not told to end"]
    return str(event["reason"])
