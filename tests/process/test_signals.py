"""Signals: SIGTERM and SIGINT in each state, once, twice, and from odd places."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.process.kit import LATEST, PRESS, RECORDED, assert_left, wait_for
from tests.process.providers import BUSY, PROVIDER, WAITING

SIGTERM, SIGINT = signal.SIGTERM, signal.SIGINT


class TestStates:
    def test_importing(self, start, tmp_path):
        """SIGTERM while `lifecycle run` imports the app breaks the import off: exit code 143."""
        (tmp_path / "slow.py").write_text(
            "import time\nprint('importing', flush=True)\ntime.sleep(60)\n"
        )
        app = start(["-m", "lifecycle", "run", "slow:main"], env=RECORDED)
        wait_for(lambda: "importing" in app.stdout, 10, "the import")
        probes = [app.get(path)[:2] for path in ("/live", "/startup", "/ready")]

        at = app.signal(SIGTERM)
        assert_left(app, 143)

        assert probes == [(200, "true"), (503, "false"), (503, "false")]
        assert app.afters() == ["draining", "stopped"]
        assert time.monotonic() - at < 10.0
        assert "Traceback" not in app.stderr, app.stderr

    def test_importing_code_that_catches_everything(self, start, tmp_path):
        """An import that swallows the interruption is over at the drain's end all the same."""
        (tmp_path / "deaf.py").write_text(
            "import time\nprint('importing', flush=True)\n"
            "try:\n    time.sleep(60)\nexcept BaseException:\n    time.sleep(60)\n"
        )
        app = start(["-m", "lifecycle", "run", "deaf:main"], env=RECORDED)
        wait_for(lambda: "importing" in app.stdout, 10, "the import")

        at = app.signal(SIGTERM)
        app.wait()

        assert time.monotonic() - at < LATEST

    def test_right_at_the_start(self, start):
        """At whatever moment of the start SIGTERM comes, it ends the process without a word."""
        apps = []
        for step in range(8):
            app = start(PROVIDER, env=RECORDED | {"LIFECYCLE_PLUGINS": ""})
            time.sleep(0.08 * step)  # the moment is the point: each one is another
            app.signal(SIGTERM)
            apps.append(app)

        for app in apps:
            # Before Python has come to our code, SIGTERM does what it always does.
            assert app.wait() in (0, 143, -SIGTERM)
            assert "Traceback" not in app.stderr, app.stderr

    def test_as_soon_as_the_port_answers(self, start):
        """From the moment that the QOS port takes connections on, SIGTERM drains."""
        app = start(PROVIDER, env=RECORDED)

        def answers():
            try:
                return app.get("/live")
            except OSError:
                return None

        wait_for(answers, 10, "the QOS port")
        app.signal(SIGTERM)

        assert app.wait() in (0, 143)  # 143: before main had begun; plugins may not be there yet
        assert "Traceback" not in app.stderr, app.stderr

    def test_main_not_ready(self, start):
        """A main that was still starting and waits for the end of the drain leaves with 0."""
        app = start(WAITING, env=RECORDED)
        wait_for(lambda: "up" in app.stdout, 10, "main")

        at = app.signal(SIGTERM)
        assert_left(app, 0)

        assert app.afters() == ["draining", "stopped"]
        assert time.monotonic() - at < LATEST  # nobody can have found it: no settle

    def test_exporting(self, start):
        """SIGTERM while a registration is under way: `ready()` gives up, it is deregistered."""
        app = start(PROVIDER, env=RECORDED | {"REGISTER_SECONDS": "60"})
        app.wait_state("exporting")
        wait_for(lambda: app.record("register"), 20, "the registration")

        at = app.signal(SIGTERM)
        assert_left(app, 0)

        assert app.afters() == ["exporting", "draining", "stopped"]
        assert app.record("deregister")[0]["at"] - at < 3.0
        assert not app.record("registered")

    @pytest.mark.parametrize("state", ["exporting", "registered", "ready", "draining"])
    def test_from_within(self, start, state):
        """SIGTERM sent by who is told of a state: the drain comes next, or is joined."""
        app = start(PROVIDER, env=RECORDED | {"SIGTERM_AT": state})
        if state == "draining":
            app.wait_state("ready")
            app.signal(SIGTERM)

        assert_left(app, 0)

        assert "ready" in app.afters() or state == "exporting"

    def test_draining_by_begin_drain(self, start):
        """SIGTERM while a drain that the app began is under way joins it: it is no second one."""
        app = start(
            """
import asyncio, os, lifecycle

async def main(life):
    life.export("orders", port=int(os.environ["PORT"]))
    await life.ready()
    life.begin_drain("maintenance")
    await life.drained()

lifecycle.run(main)
""",
            env=RECORDED,
        )
        app.wait_state("draining")

        app.signal(SIGTERM)
        assert_left(app, 0)

        assert app.record("transition")[-2]["cause"] == "maintenance"


class TestTwice:
    LONG = RECORDED | {"WORK": "60", "LIFECYCLE_GRACE_PERIOD": "30"}

    def test_forces(self, start):
        """A second SIGTERM waits for nothing but the deregistration: exit code 1, FAILED."""
        app = start(BUSY, env=self.LONG | {"DEREGISTER_SECONDS": "0.6"})
        app.wait_state("ready")
        at = app.signal(SIGTERM)
        app.wait_state("draining")

        app.signal_again(SIGTERM)
        assert_left(app, 1, "failed")

        assert time.monotonic() - at < 8.0
        steps = app.events("drain report")[0]["steps"]
        assert steps["close"] - steps["deregister"] < 5.0
        assert app.record("deregister")

    def test_forces_although_a_registry_hangs(self, start):
        """With a registry that does not answer, deregistration gets 1 s after the second one."""
        app = start(BUSY, env=self.LONG | {"DEREGISTER_SECONDS": "60"})
        app.wait_state("ready")
        app.signal(SIGTERM)
        again = app.signal_again(SIGTERM)

        assert app.wait() == 1
        assert 0.9 < time.monotonic() - again < 8.0  # and not register_timeout

    def test_at_once_are_one(self, start):
        """Two within 250 ms are one: what is under way is finished."""
        app = start(BUSY, env=RECORDED | {"WORK": "1"})
        app.wait_state("ready")

        app.signal(SIGTERM)
        app.signal(SIGTERM)
        app.signal(SIGINT)
        assert_left(app, 0)

    @pytest.mark.parametrize("number", [SIGTERM, SIGINT])
    def test_at_once_are_one_though_the_end_comes_between(self, start, number):
        """The second of two may find a drain that is over: exit code and silence stay."""
        app = start(WAITING, env=RECORDED)
        wait_for(lambda: "up" in app.stdout, 10, "main")

        app.signal(number)
        while app.running:
            app.signal(number)
        assert_left(app, 0)

        assert app.stderr == ""

    def test_forces_what_comes_after_run(self, start):
        """A second signal ends what hangs after `run()`: exit code 1."""
        app = start(
            PROVIDER + "import time; print('after', flush=True); time.sleep(60)\n", env=RECORDED
        )
        app.wait_state("ready")
        app.signal(SIGTERM)
        wait_for(lambda: "after" in app.stdout, 20, "the end of run()")

        at = app.signal(SIGTERM)
        assert app.wait() == 1

        assert time.monotonic() - at < LATEST

    def test_a_third(self, start):
        """More of them change nothing: no traceback, exit code 1."""
        app = start(BUSY, env=RECORDED | {"WORK": "60", "DEREGISTER_SECONDS": "0.7"})
        app.wait_state("ready")
        for _ in range(4):
            at = app.signal(SIGTERM)
            wait_for(lambda at=at: time.monotonic() - at > PRESS or not app.running, 1, "a moment")
            if not app.running:
                break

        assert_left(app, 1, "failed")


class TestTerminal:
    SLOW = RECORDED | {"LIFECYCLE_SETTLE": "5", "LIFECYCLE_GRACE_PERIOD": "12"}

    def test_ctrl_c(self, start):
        """Ctrl-C at a terminal skips settle and quiet; the exit code is the app's."""
        app = start(PROVIDER, env=self.SLOW, tty=True)
        app.wait_state("ready")

        at = time.monotonic()
        os.write(app.terminal, b"\x03")
        assert_left(app, 0)

        assert time.monotonic() - at < 4.5  # settle is 5
        assert "KeyboardInterrupt" not in app.stdout

    def test_ctrl_c_twice(self, start):
        """A second Ctrl-C forces: exit code 1, and no traceback."""
        app = start(BUSY, env=self.SLOW | {"WORK": "60"}, tty=True)
        app.wait_state("ready")
        os.write(app.terminal, b"\x03")
        app.wait_state("draining")
        at = time.monotonic()
        wait_for(lambda: time.monotonic() - at > PRESS, 1, "more than one press")

        os.write(app.terminal, b"\x03")
        assert_left(app, 1, "failed")

        assert "Traceback" not in app.stdout


def test_begin_drain_from_a_thread(start):
    """`begin_drain` may be called from any thread, and returns at once."""
    app = start(
        """
import os, threading, time, lifecycle

def worker(life):
    before = time.monotonic()
    life.begin_drain("maintenance")
    print("returned after", time.monotonic() - before, life.draining, flush=True)

async def main(life):
    life.export("orders", port=int(os.environ["PORT"]))
    await life.ready()
    threading.Thread(target=worker, args=(life,)).start()
    await life.drained()

lifecycle.run(main)
""",
        env=RECORDED,
    )
    assert_left(app, 0)

    _, _, seconds, draining = app.stdout.split()
    assert float(seconds) < 3.0
    assert draining == "True"
    assert app.record("transition")[-2]["cause"] == "maintenance"


def test_begin_drain_waits_for_nobody(start):
    """The control thread may be stuck: `draining` is true all the same, and the drain follows."""
    app = start(
        """
import os, threading
import lifecycle

go_on = threading.Event()

class Stuck(lifecycle.Registry):
    name = "stuck"
    async def register(self, instance):
        entered.set()
        go_on.wait(30)
    async def deregister(self, instance): ...
    async def keep(self, instance): ...

class Plugin:
    @lifecycle.hookimpl
    def lifecycle_registries(self):
        return Stuck()

entered = threading.Event()

async def main(life):
    life.export("orders", port=int(os.environ["PORT"]))
    ready = __import__("asyncio").ensure_future(life.ready())
    await __import__("asyncio").to_thread(entered.wait, 30)
    life.begin_drain("maintenance")
    print("draining", life.draining, life.state.value, flush=True)
    go_on.set()
    try:
        life.export("late")
    except lifecycle.Draining:
        print("too late", flush=True)
    try:
        await ready
    except lifecycle.Draining:
        print("never ready", flush=True)
    await life.drained()

lifecycle.run(main, plugins=[Plugin()])
""",
        env=RECORDED,
    )
    assert_left(app, 0)

    assert app.stdout.splitlines() == ["draining True exporting", "too late", "never ready"]
