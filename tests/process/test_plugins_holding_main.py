"""`lifecycle_start`: main begins when every plugin says so, and a start that is held is no trap."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import lifecycle
from tests.process.kit import QUICK, App, wait_for

Start = Callable[..., App]

APP = """
import asyncio, os, pathlib, time
import lifecycle
from lifecycle import ProbeResult, hookimpl

class Door:
    "Holds main until a file is there."
    open = False

    @hookimpl
    def lifecycle_startup(self):
        return ProbeResult(self.open, "" if self.open else "the door is closed")

    lifecycle_readiness = lifecycle_startup

    {hook}

class Quick:
    @hookimpl
    async def lifecycle_start(self, life):
        print("quick:", life.state.value, flush=True)

async def main(life):
    print("main", flush=True)
    await life.ready()
    await life.drained()

lifecycle.run(main, plugins=[Quick(), Door()])
"""
ASYNC = """
    @hookimpl
    async def lifecycle_start(self):
        try:
            while not os.path.exists("open"):
                await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            print("cancelled", flush=True)
            raise
        self.open = True
"""
PLAIN = """
    @hookimpl
    def lifecycle_start(self):
        while not os.path.exists("open"):
            time.sleep(0.01)
        self.open = True
"""
RAISES = """
    @hookimpl
    def lifecycle_start(self):
        raise {error}
"""
WAYS = pytest.mark.parametrize("hook", [ASYNC, PLAIN], ids=["async", "plain"])


def held(start: Start, hook: str) -> App:
    """Start the app, and wait until it is held."""
    app = start(APP.replace("{hook}", hook), env=QUICK)
    wait_for(lambda: "quick: starting" in app.stdout, 20, lambda: app.stderr)
    return app


@WAYS
def test_main_begins_when_every_plugin_lets_it(start: Start, tmp_path: Path, hook: str) -> None:
    """Until then the probes answer, and name who holds it."""
    app = held(start, hook)
    for path in ("/startup", "/ready"):
        status, text, _ = app.control("GET", f"{path}?verbose")
        assert (status, "Door failed" in text, "the door is closed" in text) == (503, True, True)
    assert app.get("/live")[:2] == (200, "true")
    assert "main" not in app.stdout.splitlines()

    (tmp_path / "open").touch()
    app.wait_state("ready")
    assert "main" in app.stdout.splitlines()
    app.stop()


@WAYS
def test_a_signal_while_main_is_held(start: Start, hook: str) -> None:
    """It leaves at once with 143, main never begins, and an async hook is cancelled."""
    app = held(start, hook)

    app.stop(143, timeout=5)
    lines = app.stdout.splitlines()
    assert "main" not in lines
    assert ("cancelled" in lines) == (hook is ASYNC)


@WAYS
def test_a_prestop_while_main_is_held(start: Start, hook: str) -> None:
    """It is answered, and the process stays until SIGTERM comes, without main."""
    app = held(start, hook)
    answered = app.prestop()

    assert answered.result(10)[0] == 200
    app.stop(143, timeout=10)
    assert "main" not in app.stdout.splitlines()


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        ("lifecycle.LifecycleError('no key: mount one')", "no key: mount one"),
        ("ValueError('no key')", "lifecycle_start raised ValueError: no key"),
        ("SystemExit(0)", "lifecycle_start raised SystemExit: 0"),
    ],
)
def test_a_plugin_that_does_not_let_it_start(start: Start, error: str, sentence: str) -> None:
    """It ends with 2 as other failures of a start do, and says whose sentence it is."""
    app = start(APP.replace("{hook}", RAISES.replace("{error}", error)), env=QUICK)

    assert app.wait() == 2, app.stderr
    assert f"lifecycle: plugin 'Door': {sentence}\n" in app.stderr
    assert "Traceback" not in app.stderr, app.stderr
    assert "main" not in app.stdout.splitlines()


def test_lifecycle_run_is_held_too(start: Start, tmp_path: Path) -> None:
    """An app that knows nothing of us begins when the plugin lets it."""
    (tmp_path / "shop.py").write_text("async def main():\n    print('main', flush=True)\n")
    (tmp_path / "door.py").write_text(
        "import os, time\nfrom lifecycle import hookimpl\n\n@hookimpl\ndef lifecycle_start():\n"
        "    print('held', flush=True)\n"
        "    while not os.path.exists('open'):\n        time.sleep(0.01)\n"
    )
    env = QUICK | {"LIFECYCLE_PLUGINS": "door", "PYTHONPATH": str(tmp_path)}
    app = start(["-m", "lifecycle", "run", "shop:main"], env=env)
    wait_for(lambda: "held" in app.stdout, 20, lambda: app.stderr)
    assert "main" not in app.stdout

    (tmp_path / "open").touch()
    assert app.wait() == 0, app.stderr
    assert app.stdout.splitlines() == ["held", "main"]


class Refusing:
    """Does not let it start."""

    @lifecycle.hookimpl
    def lifecycle_start(self) -> None:
        raise lifecycle.LifecycleError("no key: mount one")


class Leaving:
    """Begins to drain, and would hold main for ever."""

    @lifecycle.hookimpl
    async def lifecycle_start(self, life: lifecycle.Lifecycle) -> None:
        life.begin_drain("changed its mind")
        await asyncio.Event().wait()


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> lifecycle.Config:
    monkeypatch.setenv("LIFECYCLE_RUN_DIR", str(tmp_path))
    return lifecycle.Config(qos_port=0)


def test_under_a_loop_that_somebody_else_runs(config: lifecycle.Config) -> None:
    """`async with` raises what the plugin says, and leaves nothing behind."""

    async def scenario() -> None:
        life = lifecycle.Lifecycle(config, plugins=[Refusing])
        with pytest.raises(lifecycle.LifecycleError, match="plugin 'Refusing': no key: mount one"):
            async with life:
                sys.exit("it has begun")
        assert life.state is lifecycle.State.FAILED
        with pytest.raises(lifecycle.NotRunning):
            lifecycle.current()

    asyncio.run(asyncio.wait_for(scenario(), 20))


def test_a_drain_that_begins_while_the_block_is_held(config: lifecycle.Config) -> None:
    """The block is entered, draining already: whoever runs the loop decides what comes of it."""

    async def scenario() -> None:
        async with lifecycle.Lifecycle(config, plugins=[Leaving]) as life:
            assert life.draining
            with pytest.raises(lifecycle.Draining):
                await life.ready()

    asyncio.run(asyncio.wait_for(scenario(), 20))
