"""Plugins that are told of transitions, drain, and register: late ones delay nobody else."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.process.kit import LATEST, App, wait_for

Start = Callable[..., App]

APP = """
import asyncio, os, sys, time
import lifecycle
from lifecycle import Registry, hookimpl

class Good:
    def __init__(self):
        self.seen = []

    @hookimpl
    async def lifecycle_transition(self, transition):
        self.seen.append(transition.after.value)
        print("good saw", transition.before.value, transition.after.value, flush=True)

    @hookimpl
    async def lifecycle_drain(self, drain):
        print("good drains", flush=True)

{plugin}

async def main(life):
    life.export("orders", port=int(os.environ["PORT"]))
    await life.ready()
    await life.drained()

import logging
logging.basicConfig(level="INFO")
lifecycle.run(main, plugins=[Good(), *PLUGINS])
"""
ALL = [
    "good saw starting exporting",
    "good saw exporting registered",
    "good saw registered ready",
    "good saw ready draining",
    "good drains",
    "good saw draining stopped",
]
QUICK = {"LIFECYCLE_SETTLE": "0.1", "LIFECYCLE_QUIET": "0.1"}
SHORT = QUICK | {"LIFECYCLE_GRACE_PERIOD": "4", "LIFECYCLE_STOP_TIMEOUT": "0.5"}
"""With it the drain waits 1.5 s at most: 4 less 0.5 less 2."""


def source(plugin: str) -> str:
    return APP.replace("{plugin}", plugin)


HOOKS = {
    "async": "async def lifecycle_transition(self): await asyncio.sleep(3600)",
    "thread": "def lifecycle_transition(self): time.sleep(3600)",
    "raises": "def lifecycle_transition(self): raise LookupError('gone')",
    "raises async": "async def lifecycle_transition(self): sys.exit(3)",
    "stubborn": (
        "async def lifecycle_transition(self):\n"
        "        while True:\n"
        "            try: await asyncio.sleep(3600)\n"
        "            except asyncio.CancelledError: pass"
    ),
}


@pytest.mark.parametrize("kind", HOOKS)
def test_a_transition_hook_that_is_wrong(start: Start, kind: str) -> None:
    """A transition hook that hangs or raises delays neither the others, nor READY, nor the end."""
    plugin = f"class Bad:\n    @hookimpl\n    {HOOKS[kind]}\n\nPLUGINS = [Bad()]\n"
    app = start(source(plugin), env=SHORT)
    app.wait_state("ready")
    complaint = wait_for(lambda: app.events("plugin"), 20, lambda: app.stderr)[0]
    assert complaint["plugin"] == "Bad"

    took = app.stop()
    print(f"{kind}: out after {took:.2f} s")
    assert took < 10.0
    assert sorted(app.stdout.splitlines()) == sorted(ALL)
    assert "Traceback" not in app.stderr, app.stderr


DRAINS = {
    "async": "async def lifecycle_drain(self): await asyncio.sleep(3600)",
    "thread": "def lifecycle_drain(self): time.sleep(3600)",
    "stubborn": HOOKS["stubborn"].replace("transition", "drain"),
}


@pytest.mark.parametrize("kind", DRAINS)
def test_a_drain_hook_that_hangs(start: Start, kind: str) -> None:
    """A drain hook that hangs is waited for until the deadline, and no longer."""
    plugin = f"class Bad:\n    @hookimpl\n    {DRAINS[kind]}\n\nPLUGINS = [Bad()]\n"
    app = start(source(plugin), env=SHORT)
    app.wait_state("ready")

    took = app.stop()
    print(f"{kind}: out after {took:.2f} s")
    assert 1.4 < took < LATEST
    assert "good drains" in app.stdout
    assert "Traceback" not in app.stderr, app.stderr
    assert app.events("registration")[-1]["registered"] == "no"
    (report,) = app.events("drain report")
    assert report["waited_for"] == "lifecycle_drain of plugin 'Bad'"
    (complaint,) = app.events("plugin")
    assert complaint["plugin"] == "Bad"
    assert str(complaint["problem"]).startswith("lifecycle_drain gave no answer for 1.")


def test_a_drain_hook_that_is_waited_for(start: Start) -> None:
    """The drain waits for a drain hook, which knows how long it may take."""
    plugin = (
        "class Slow:\n    @hookimpl\n    async def lifecycle_drain(self, drain):\n"
        "        print('left', drain.time_left() > 1, drain.cause, flush=True)\n"
        "        await asyncio.sleep(0.7)\n        print('handed over', flush=True)\n\n"
        "PLUGINS = [Slow()]\n"
    )
    app = start(source(plugin), env=SHORT)
    app.wait_state("ready")

    assert 0.7 < app.stop() < LATEST
    assert "left True SIGTERM\n" in app.stdout
    assert "handed over\n" in app.stdout


REGISTRY = """
class Far(Registry):
    name = "far"

    def __init__(self):
        self.keepers = []

    def away(self):
        return os.path.exists("away")

    async def register(self, instance):
        if self.away():
            raise ConnectionError("far is away")

    async def deregister(self, instance):
        if self.away():
            await asyncio.sleep(3600)
        print("deregistered", instance.service, flush=True)

    async def keep(self, instance):
        while True:
            await asyncio.sleep(0.05)
            if os.path.exists("lost"):
                os.unlink("lost")
                return "somebody has deleted it"
            if self.away():
                raise ConnectionError("far is away")

class Plugin:
    @hookimpl
    def lifecycle_registries(self):
        return Far()

PLUGINS = [Plugin()]
"""


def registered(app: App) -> dict[str, str]:
    status = app.status()
    assert status is not None
    cells = status["services"][0]["registrations"]
    return {name: cell["registered"] for name, cell in cells.items()}


def test_a_registry_that_goes_away(start: Start) -> None:
    """An outage of a registry takes nobody out: `/ready` stays, and it is confirmed again after."""
    app = start(source(REGISTRY), env=QUICK)
    app.wait_state("ready")
    assert registered(app) == {"local": "yes", "far": "yes"}

    (app.cwd / "away").touch()
    wait_for(lambda: registered(app)["far"] == "unknown", 20, lambda: str(app.status()))
    for _ in range(20):
        assert app.get("/ready")[:2] == (200, "true")
    status = app.status()
    assert status is not None
    assert "far is away" in status["services"][0]["registrations"]["far"]["reason"]

    os.unlink(app.cwd / "away")
    wait_for(lambda: registered(app)["far"] == "yes", 10, lambda: str(app.status()))
    assert [each["ok"] for each in app.events("probe") if each["probe"] == "services"] in (
        [],
        [True],
    )


def test_a_registration_that_is_lost(start: Start) -> None:
    """What a registry says it has lost is registered again."""
    app = start(source(REGISTRY), env=QUICK)
    app.wait_state("ready")

    (app.cwd / "lost").touch()
    wait_for(
        lambda: [each for each in app.events() if "somebody has deleted it" in str(each)],
        5,
        lambda: app.stderr,
    )
    wait_for(lambda: registered(app)["far"] == "yes", 10, lambda: str(app.status()))
    wait_for(lambda: app.get("/ready")[0] == 200, 20, "ready again")


def test_starting_without_the_registry(start: Start) -> None:
    """A registry that is away keeps a start from READY, and no longer than it is away."""
    plugin = REGISTRY + "\nopen('away', 'w').close()\n"
    app = start(source(plugin), env=QUICK)
    app.wait_state("exporting")
    wait_for(
        lambda: (
            registered(app) == {"local": "yes", "far": "unknown"}
            or registered(app) == {"local": "yes", "far": "no"}
        ),
        20,
        lambda: str(app.status()),
    )
    assert app.get("/ready")[:2] == (503, "false")
    assert app.get("/startup")[:2] == (503, "false")
    assert app.get("/live")[:2] == (200, "true")

    os.unlink(app.cwd / "away")
    app.wait_state("ready")
    assert app.get("/ready")[:2] == (200, "true")


def test_leaving_without_the_registry(start: Start) -> None:
    """A registry that is away does not keep an app from leaving; the report names what is left."""
    app = start(source(REGISTRY), env=QUICK | {"LIFECYCLE_REGISTER_TIMEOUT": "1"})
    app.wait_state("ready")
    (app.cwd / "away").touch()
    wait_for(lambda: registered(app)["far"] == "unknown", 20, lambda: str(app.status()))

    took = app.stop()
    print(f"out after {took:.2f} s")
    assert took < 10.0
    report = app.events("drain report")[0]
    assert "orders@far" in str(report)


def test_an_optional_registry(start: Start) -> None:
    """READY does not wait for a registry that is optional."""
    plugin = REGISTRY + "\nopen('away', 'w').close()\n"
    app = start(source(plugin), env=QUICK | {"LIFECYCLE_OPTIONAL_REGISTRIES": "far"})
    app.wait_state("ready")

    assert app.get("/ready")[:2] == (200, "true")
    assert registered(app)["far"] != "yes"
