"""The drain seen from outside: what answers what, and that nothing the app does holds it up."""

from __future__ import annotations

import signal
import socket
import time

import pytest

from tests.process.kit import LATEST, RECORDED, assert_left, background, wait_for
from tests.process.providers import PROVIDER

SIGTERM = signal.SIGTERM


def probes(app):
    """Ask the three probes: live, ready, startup."""
    return [
        {200: True, 503: False}[app.get(f"/{each}")[0]] for each in ("live", "ready", "startup")
    ]


def connects(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 1):
            return True
    except ConnectionRefusedError:
        return False


class TestProbes:
    STEPS = """
import asyncio, os, lifecycle

async def main(life):
    async def handle(reader, writer):
        step.set()
        writer.close()
    step = asyncio.Event()
    server = await asyncio.start_server(handle, "127.0.0.1", int(os.environ["PORT"]))
    print("starting", flush=True)
    await step.wait()
    service = life.export("orders", port=int(os.environ["PORT"]))
    await life.ready()
    await life.drained()
    server.close()
    print("closed", flush=True)
    await asyncio.sleep(0.8)

lifecycle.run(main)
"""

    def test_in_every_state(self, start):
        """`/live`, `/ready` and `/startup` say in each state what the design says."""
        app = start(self.STEPS, env=RECORDED | {"REGISTER_SECONDS": "0.6"})
        wait_for(lambda: "starting" in app.stdout, 10, "the server")
        assert probes(app) == [True, False, False]

        assert connects(app.port)
        assert app.wait_state("exporting")["state"] == "exporting"
        assert probes(app) == [True, False, False]

        app.wait_state("ready")
        assert probes(app) == [True, True, True]

        app.signal(SIGTERM)
        app.wait_state("draining")
        assert probes(app) == [True, False, True]
        assert connects(app.port)

        wait_for(lambda: "closed" in app.stdout, 20, "the end of the listener")
        assert not connects(app.port)
        assert probes(app) == [True, False, True]
        assert_left(app, 0)
        assert not connects(app.qos)

    def test_until_the_last_moment(self, start):
        """Asked without a pause, the port answers until the process goes, and never an error."""
        app = start(self.STEPS, env=RECORDED)
        wait_for(lambda: "starting" in app.stdout, 10, "the server")
        connects(app.port)
        app.wait_state("ready")

        def ask():
            answers, last = [], 0.0
            while True:
                try:
                    answers.append(app.get("/live")[:2])
                    last = time.monotonic()
                except OSError:
                    return answers, last

        asking = background(ask)
        app.signal(SIGTERM)
        assert_left(app, 0)
        end = time.monotonic()
        answers, last = asking.result(5)

        # FAILED and STOPPED are not seen: there is no process to ask.
        assert set(answers) <= {(200, "true"), (503, "false")}
        assert answers[0] == (200, "true")
        assert end - last < 2.0

    def test_before_the_import(self, start, tmp_path):
        """`lifecycle run` answers while the app is still being imported."""
        (tmp_path / "slow.py").write_text(
            "import os, time\n"
            "while not os.path.exists('go'): time.sleep(0.01)\n"
            "async def main(life):\n    await life.ready()\n    await life.drained()\n"
        )
        app = start(["-m", "lifecycle", "run", "slow:main"], env=RECORDED)
        app.wait_state("starting")
        assert probes(app) == [True, False, False]

        (tmp_path / "go").touch()
        app.wait_state("ready")
        assert probes(app) == [True, True, True]

        app.signal(SIGTERM)
        assert_left(app, 0)
        assert [each["event"] for each in app.events()][-1] == "drain report"

    def test_startup_latches(self, start):
        """Once true, `/startup` stays true: offline takes `/ready` away, not `/startup`."""
        app = start(self.STEPS, env=RECORDED)
        wait_for(lambda: "starting" in app.stdout, 10, "the server")
        connects(app.port)
        app.wait_state("ready")
        assert probes(app) == [True, True, True]

        assert app.cli("offline").returncode == 0
        wait_for(lambda: probes(app) == [True, False, True], 20, "offline")
        assert app.cli("online").returncode == 0
        wait_for(lambda: probes(app) == [True, True, True], 20, "online again")

        app.signal(SIGTERM)
        assert_left(app, 0)


BLOCKING = """
import asyncio, os, time, lifecycle

class Plugin:
    @lifecycle.hookimpl
    async def lifecycle_liveness(self):
        return True

async def main(life):
    life.export("orders", port=int(os.environ["PORT"]))
    await life.ready()
    await asyncio.sleep(0.3)  # so that the async probe has been asked on a healthy loop
    print("blocked", flush=True)
    time.sleep(float(os.environ["BLOCKED"]))
    print("back", flush=True)
    await life.drained()

lifecycle.run(main, plugins=[Plugin()])
"""


class TestBlockedLoop:
    def test_probes_go_on(self, start):
        """The loop blocked for 5 s: probes answer fast, a liveness plugin stays true, ready not."""
        env = RECORDED | {"BLOCKED": "5"}
        patient = start(BLOCKING, env=env | {"LIFECYCLE_READY_STALL_LIMIT": "2"})
        strict = start(BLOCKING, env=env | {"LIFECYCLE_LOOP_STALL_LIMIT": "2"})
        slowest, verdicts, ready = 0.0, [], []
        for app in (patient, strict):
            app.wait_state("ready")
            assert probes(app) == [True, True, True]
            wait_for(lambda app=app: "blocked" in app.stdout, 20, "the loop to block")

        while "back" not in patient.stdout:
            status, body, seconds = patient.get("/live")
            slowest = max(slowest, seconds)
            assert (status, body) == (200, "true"), patient.get("/live?verbose")[1]
            ready.append(patient.control("GET", "/ready?verbose")[:2])
            status, body, seconds = strict.control("GET", "/live?verbose")
            verdicts.append((status, body))
            slowest = max(slowest, seconds)

        assert slowest < 3.0  # and not until the loop is back
        assert verdicts[0][0] == 200
        assert ready[0][0] == 200
        for said in (verdicts, ready):
            late = [body for status, body in said if status == 503]
            assert late
            assert all("the app's loop was last seen" in body for body in late)
        wait_for(lambda: strict.get("/live")[0] == 200, 20, "the loop to be back")
        wait_for(lambda: patient.get("/ready")[0] == 200, 20, "the loop to be back")
        print(f"slowest probe while blocked: {slowest * 1000:.1f} ms of {len(verdicts)}")
        for app in (patient, strict):
            app.signal(SIGTERM)
            assert_left(app, 0)

    @pytest.mark.parametrize("how", ["SIGTERM", "preStop"])
    def test_drain(self, start, how):
        """T0 while the loop is blocked: deregistered at once, out in time."""
        app = start(BLOCKING, env=RECORDED | {"BLOCKED": "60"})
        wait_for(lambda: "blocked" in app.stdout, 10, "the loop to block")

        at = time.monotonic()
        if how == "SIGTERM":
            app.signal(SIGTERM)
        else:
            app.prestop()
        wait_for(lambda: app.get("/ready")[0] == 503, 3, "/ready to be false")
        assert_left(app, 124, "failed")

        assert time.monotonic() - at < LATEST
        assert app.record("deregister")[0]["at"] - at < 3.0

    def test_drain_of_a_loop_that_comes_back(self, start):
        """A loop that is back in time ends in good order."""
        app = start(BLOCKING, env=RECORDED | {"BLOCKED": "1"})
        wait_for(lambda: "blocked" in app.stdout, 10, "the loop to block")

        app.signal(SIGTERM)
        assert_left(app, 0)

    def test_gil_shared_with_a_busy_loop(self, start):
        """A loop that computes in Python without a pause neither delays a probe nor the drain."""
        app = start(
            """
import asyncio, os, lifecycle

async def main(life):
    life.export("orders", port=int(os.environ["PORT"]))
    await life.ready()
    while not life.draining:
        sum(range(400_000))
        await asyncio.sleep(0)
    await life.drained()

lifecycle.run(main)
""",
            env=RECORDED,
        )
        app.wait_state("ready")

        slowest = max(app.get("/live")[2] for _ in range(30))
        at = app.signal(SIGTERM)
        assert_left(app, 0)

        print(f"slowest probe: {slowest * 1000:.1f} ms")
        assert slowest < 5.0
        assert app.record("deregister")[0]["at"] - at < 3.0


class TestHeldUp:
    def test_no_descriptors_left(self, start):
        """An app that has run out of descriptors is drained like any other."""
        app = start(
            """
import asyncio, os, lifecycle

async def main(life):
    life.export("orders", port=int(os.environ["PORT"]))
    await life.ready()
    taken = []
    try:
        while True: taken.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        print("none left", flush=True)
    await life.drained()
    os.close(taken.pop())  # the recorder wants to write

lifecycle.run(main)
""",
            env=RECORDED,
            nofile=128,
        )
        wait_for(lambda: "none left" in app.stdout, 10, "the descriptors to go")

        app.stop()
        assert "Traceback" not in app.stderr, app.stderr

    def test_registry_hangs(self, start):
        """A registry that does not answer holds nobody up for longer than the drain waits."""
        app = start(PROVIDER, env=RECORDED | {"DEREGISTER_SECONDS": "60"})
        app.wait_state("ready")

        at = app.signal(SIGTERM)

        assert app.wait() == 0
        assert time.monotonic() - at < LATEST
        assert "orders@recording" in app.events("drain report")[0]["unregistered"][0]

    def test_log_handler_blocks(self, start):
        """A log handler that never returns holds up the interpreter's exit, not the drain."""
        stuck = """
import logging, time

class Stuck(logging.Handler):
    def emit(self, record):
        time.sleep(60)

logging.getLogger().addHandler(Stuck())
logging.getLogger().setLevel(logging.INFO)
"""
        app = start(stuck + PROVIDER, env=RECORDED)
        app.wait_state("ready")

        at = app.signal(SIGTERM)
        assert_left(app, 124)

        assert time.monotonic() - at < LATEST
        assert app.record("transition")[-1]["at"] - at < LATEST
