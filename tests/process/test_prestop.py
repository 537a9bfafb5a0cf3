"""preStop: alone, before and after SIGTERM, twice, and with a caller that goes away."""

from __future__ import annotations

import signal
import socket
import time

import pytest

from tests.process.kit import LATEST, RECORDED, assert_left
from tests.process.providers import BUSY, PROVIDER
from tests.process.test_last_signals import APP, LAST

SIGTERM = signal.SIGTERM

AT_THE_FIRST_MOMENT = """
import time, lifecycle
from lifecycle.process.watchdog import Watchdog

watch = Watchdog.start

def once_draining(*given):
    while not lifecycle.current().draining:
        time.sleep(0.01)
    watch(*given)

Watchdog.start = once_draining

class Hangs:
    def __init__(self):
        time.sleep(60)

async def main():
    pass

lifecycle.run(main, plugins=[Hangs])
"""
"""The QOS port answers, and nothing is watched yet; afterwards a plugin hangs."""


class TestPreStop:
    @pytest.mark.parametrize("name", LAST)
    def test_answered(self, start, name):
        """A signal after an answered preStop is the first one, and there is nothing to wait for."""
        app = start(APP, env=RECORDED | {"LIFECYCLE_GRACE_PERIOD": "30"})
        app.wait_state("ready")

        status, body, seconds = app.prestop().result(20)
        serving = app.get("/live")[:2], app.get("/ready")[:2]
        at = app.signal(signal.Signals[name])
        assert_left(app, 0)

        assert (status, body) == (200, "drained\n")
        assert 0.3 <= seconds < LATEST
        assert serving == ((200, "true"), (503, "false"))
        assert time.monotonic() - at < LATEST  # the wait's deadline comes at 27 s
        assert app.record("transition")[-2]["cause"] == "preStop"

    def test_not_answered_yet(self, start):
        """SIGTERM before preStop was answered: what is in flight has one more second."""
        app = start(BUSY, env=RECORDED | {"WORK": "60", "LIFECYCLE_GRACE_PERIOD": "30"})
        app.wait_state("ready")
        answer = app.prestop()
        app.wait_state("draining")

        at = app.signal(SIGTERM)
        assert_left(app, 124, "failed")

        assert 0.9 < time.monotonic() - at < 10.0
        assert answer.result(20)[0] == 200

    def test_not_answered_yet_but_work_ends(self, start):
        """What ends within that second is not cut off."""
        app = start(BUSY, env=RECORDED | {"WORK": "1", "LIFECYCLE_GRACE_PERIOD": "30"})
        app.wait_state("ready")
        app.prestop()
        app.wait_state("draining")

        app.signal(SIGTERM)
        assert_left(app, 0)

    def test_twice(self, start):
        """preStop is delivered at least once: the second joins, both are answered."""
        app = start(PROVIDER, env=RECORDED)
        app.wait_state("ready")

        answers = [app.prestop(), app.prestop()]

        assert [each.result(20)[0] for each in answers] == [200, 200]
        app.signal(SIGTERM)
        assert_left(app, 0)

    def test_after_sigterm(self, start):
        """A preStop that comes after SIGTERM joins the drain, and is answered."""
        app = start(BUSY, env=RECORDED | {"WORK": "1.2"})
        app.wait_state("ready")
        app.signal(SIGTERM)
        app.wait_state("draining")

        status, _, _ = app.control("POST", "/prestop")
        assert_left(app, 0)

        assert status == 200

    def test_without_sigterm(self, start):
        """The app goes on serving after preStop, and is out inside the grace period."""
        app = start(
            """
import asyncio, os, lifecycle

async def main(life):
    async def handle(reader, writer):
        writer.write(b"here")
        writer.close()
    server = await asyncio.start_server(handle, "127.0.0.1", int(os.environ["PORT"]))
    life.export("orders", port=int(os.environ["PORT"]))
    await life.ready()
    await life.drained()
    server.close()

lifecycle.run(main)
""",
            env=RECORDED,
        )
        app.wait_state("ready")
        began = time.monotonic()
        assert app.cli("prestop").returncode == 0

        with socket.create_connection(("127.0.0.1", app.port), 2) as sock:
            assert sock.recv(10) == b"here"
        assert_left(app, 0)

        assert 1.0 < time.monotonic() - began < LATEST

    def test_caller_gone(self, start):
        """A preStop whose caller hangs up drains all the same; SIGTERM is then no hurry."""
        app = start(BUSY, env=RECORDED | {"WORK": "1.3"})
        app.wait_state("ready")
        with pytest.raises(TimeoutError):
            app.control("POST", "/prestop", timeout=0.2)
        app.wait_state("draining")

        app.signal(SIGTERM)
        assert_left(app, 0)

    def test_at_the_first_moment(self, start):
        """As soon as the port answers, a grace period runs: whatever hangs is gone at its end."""
        app = start(AT_THE_FIRST_MOMENT, env=RECORDED)
        app.wait_state("starting")
        answer = app.prestop()
        assert answer.result(20)[0] == 200
        at = time.monotonic()

        assert app.wait() == 124
        assert time.monotonic() - at < LATEST
