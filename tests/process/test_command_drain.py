"""`lifecycle run -- COMMAND`: a server that knows nothing of us is drained."""

from __future__ import annotations

import signal
import sys
import time

import pytest

from lifecycle.process.command.processes import look_at
from tests.process.commands import descendants, run, telltale, told
from tests.process.kit import ask, background, wait_for

WEB = """
import asyncio, os
async def app(scope, receive, send):
    assert scope["type"] == "http"
    if scope["path"] == "/slow":
        await asyncio.sleep(1.5)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})
"""
SERVERS = {
    "uvicorn": ["-m", "uvicorn", "--port", "{port}", "--lifespan", "off", "web:app"],
    "uvicorn, two workers": ["-m", "uvicorn", "--port", "{port}", "--workers", "2", "web:app"],
    "granian": ["-m", "granian", "--interface", "asginl", "--port", "{port}", "web:app"],
}


@pytest.mark.parametrize("server", SERVERS)
def test_a_server_is_drained(start, tmp_path, server):
    """READY once it serves; it answers what came before and after SIGTERM, and then ends: 0."""
    (tmp_path / "web.py").write_text(WEB)
    app = run(start, tmp_path, sys.executable, *SERVERS[server], LIFECYCLE_SETTLE="1")
    app.wait_state("ready")
    family = [each.pid for each in descendants(app.pid)]
    slow = background(lambda: ask(app.port, "/slow"))
    assert ask(app.port) == (200, "hello")

    app.signal(signal.SIGTERM)
    app.wait_state("draining")

    assert ask(app.port) == (200, "hello")
    assert family
    assert slow.result(10) == (200, "hello")
    assert app.wait() == 0, app.stderr
    assert app.events("drain report")[0]["code"] == 0
    assert not [pid for pid in family if look_at(pid)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_other_signals_that_begin_a_drain(start, tmp_path, number):
    """SIGINT and SIGQUIT begin one as well, and it ends by the stop signal all the same."""
    app = telltale(start, tmp_path)

    app.signal(number)

    assert app.wait() == 0, app.stderr
    assert [each["name"] for each in told(tmp_path, "signal")] == ["SIGTERM"]
    assert app.events("drain report")[0]["cause"] == number.name


def test_nothing_is_sent_before_the_drain_is_over(start, tmp_path):
    """At T0 the command hears nothing; after settle it gets SIGTERM, once."""
    app = telltale(start, tmp_path, LIFECYCLE_SETTLE="0.7")

    at = app.signal(signal.SIGTERM)

    assert app.wait() == 0, app.stderr
    signals = told(tmp_path, "signal")
    assert [each["name"] for each in signals] == ["SIGTERM"]
    assert signals[0]["at"] - at >= 0.7
    assert time.monotonic() - at < 15


@pytest.mark.parametrize("spelt", ["INT", "SIGINT", "2", "int"])
def test_another_stop_signal(start, tmp_path, spelt):
    """`--stop-signal` is what it is told to end by."""
    app = telltale(start, tmp_path, options=("--stop-signal", spelt), ENDS_BY="SIGINT")

    app.stop(0)

    assert [each["name"] for each in told(tmp_path, "signal")] == ["SIGINT"]


def test_prestop(start, tmp_path):
    """A preStop drains it, and it serves on until SIGTERM has come."""
    app = telltale(start, tmp_path)

    assert app.prestop().result(10)[0] == 200
    assert not told(tmp_path, "signal")

    app.stop(0)
    assert len(told(tmp_path, "signal")) == 1


WSGI = """
import time
def app(environ, start_response):
    time.sleep({"/slow": 1.5, "/hang": 60}.get(environ["PATH_INFO"], 0))
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]
"""


def at_work_after_the_wait(start, folder, path):
    """Return a server that dies of SIGTERM, asked when the wait was over already, and the asking."""
    (folder / "web.py").write_text(WSGI)
    words = ("-m", "waitress", "--listen", "127.0.0.1:{port}", "web:app")
    app = run(start, folder, sys.executable, *words, LIFECYCLE_GRACE_PERIOD="20")
    app.wait_state("ready")
    assert app.prestop().result(10)[0] == 200
    asking = background(lambda: ask(app.port, path))
    wait_for(lambda: app.status()["in_flight"] == 1, 5, "the request")
    app.signal(signal.SIGTERM)
    return app, asking


def test_who_comes_after_the_wait(start, tmp_path):
    """What is in flight when the drain has seen that nothing is: the stop signal waits for it."""
    app, asking = at_work_after_the_wait(start, tmp_path, "/slow")

    assert asking.result(10) == (200, "hello")
    assert app.wait() == 0, app.stderr
    assert "problem" not in app.stderr, app.stderr


def test_a_second_signal_forces_who_comes_after_the_wait(start, tmp_path):
    """It is not waited for: the stop signal is sent at once."""
    app, asking = at_work_after_the_wait(start, tmp_path, "/hang")
    at = wait_for(lambda: app.status()["drain"]["step"] == "stop" and time.monotonic(), 5, "stop")

    app.signal_again(signal.SIGTERM)

    assert app.wait() == 1, app.stderr
    assert time.monotonic() - at < 5
    with pytest.raises(OSError):
        asking.result(10)
    assert "waitress ended with requests in flight: waitress worker" in app.stderr


def test_signals_are_passed_on(start, tmp_path):
    """Reload, reopen and the like are the command's, and begin no drain."""
    app = telltale(start, tmp_path)
    names = ["SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGTTIN", "SIGTTOU"]

    for count, name in enumerate(names, 1):
        app.signal(signal.Signals[name])
        wait_for(lambda count=count: len(told(tmp_path, "signal")) == count, 10, name)

    assert [each["name"] for each in told(tmp_path, "signal")] == names
    assert app.get("/ready")[0] == 200
    app.stop(0)
