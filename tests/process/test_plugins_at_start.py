"""What plugins do while they are being put to work: nobody else has to suffer from it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.process.kit import App, wait_for

Start = Callable[..., App]

APP = """
import asyncio, os, sys, time
import lifecycle
from lifecycle import Command, ProbeResult, Registry, hookimpl

class Far(Registry):
    name = "far"
    async def register(self, instance): pass
    async def deregister(self, instance): pass
    async def keep(self, instance): await __import__("asyncio").Event().wait()
    async def __aexit__(self, *_): print("far is closed", flush=True)

class Good:
    @hookimpl
    def lifecycle_commands(self):
        return Command("good", lambda request: "good")

{plugin}

async def main(life):
    {main}
    life.export("orders", port=int(os.environ["PORT"]))
    await life.ready()
    await life.drained()

import logging
logging.basicConfig(level="INFO")
lifecycle.run(main, plugins=[Good(), *PLUGINS])
"""
SHORT = {"LIFECYCLE_REGISTER_TIMEOUT": "0.5", "LIFECYCLE_SETTLE": "0.1", "LIFECYCLE_QUIET": "0.1"}
HANG = "time.sleep(3600)"
WAYS = {
    "raises": ("1 / 0", "raised ZeroDivisionError: division by zero"),
    "hangs": (HANG, r"gave no answer for 0\.[5-9] s"),
    "leaves": ("sys.exit('no licence')", "raised SystemExit: no licence"),
    "interrupts": ("raise KeyboardInterrupt", "raised KeyboardInterrupt: "),
    "generates": (f"yield from ()\n        {HANG}", r"gave no answer for 0\.[5-9] s"),
}


def source(hook: str, body: str, *, main: str = "") -> str:
    plugin = (
        f"class Bad:\n    @hookimpl\n    def {hook}(self):\n        {body}\n\nPLUGINS = [Bad()]\n"
    )
    return APP.replace("{plugin}", plugin).replace("{main}", main or "pass")


def codes(app: App) -> list[str]:
    return [each["cause"] for each in app.events("failed")]


@pytest.mark.parametrize("way", WAYS)
def test_commands_that_never_come(start: Start, way: str) -> None:
    """The plugin is named in the log and in /status, and the app starts with all the others."""
    body, problem = WAYS[way]
    app = start(source("lifecycle_commands", body), env=SHORT)
    status = app.wait_state("ready")

    said = [(each["ok"], each["problem"]) for each in status["plugins"] if each["name"] == "Bad"]
    assert any(not ok and re.fullmatch(f"lifecycle_commands {problem}", why) for ok, why in said)
    assert app.get("/good")[:2] == (200, "good\n")
    wait_for(lambda: app.events("plugin"), 20, lambda: app.stderr)
    app.stop()


@pytest.mark.parametrize("way", WAYS)
def test_registries_that_never_come(start: Start, way: str) -> None:
    """Without a registry that was asked for nobody would find the app: it does not start."""
    body, problem = WAYS[way]
    app = start(source("lifecycle_registries", body), env=SHORT)

    assert app.wait() == 2, app.stderr
    said = f"lifecycle: plugin 'Bad': lifecycle_registries {problem}. If the app may run"
    assert re.search(said, app.stderr), app.stderr
    assert "Traceback" not in app.stderr, app.stderr
    assert codes(app) == ["exit code 2"]


def test_registries_that_may_be_missing(start: Start) -> None:
    """`optional_registries` may name the plugin: then the app starts without them."""
    env = SHORT | {"LIFECYCLE_OPTIONAL_REGISTRIES": "Bad"}
    app = start(source("lifecycle_registries", HANG), env=env)

    status = app.wait_state("ready")
    assert list(status["services"][0]["registrations"]) == ["local"]


def test_while_a_hook_hangs_probes_are_answered_and_a_signal_is_heard(start: Start) -> None:
    """The control thread does not stand still for it."""
    hang = f"print('hangs', flush=True); {HANG}"
    app = start(source("lifecycle_registries", hang), env={"LIFECYCLE_REGISTER_TIMEOUT": "60"})
    wait_for(lambda: "hangs" in app.stdout, 10, lambda: app.stderr)

    assert app.get("/live")[:2] == (200, "true")
    assert app.get("/startup")[:2] == (503, "false")
    app.stop(143)
    assert "killed" not in app.stderr


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('sys.exit("no licence")', "no licence"),
        ("await asyncio.sleep(60)", "no answer for 0.5 s"),
        ("raise ConnectionError", "ConnectionError"),
    ],
)
def test_a_registry_that_does_not_open(start: Start, body: str, reason: str) -> None:
    """The message has a reason, also for SystemExit, and for an error without a text."""
    plugin = """
class Leaving(Far):
    async def __aenter__(self): {body}

class Plugin:
    @hookimpl
    def lifecycle_registries(self): return [Far(), Leaving.__new__(Leaving)]

Leaving.name = "leaving"
PLUGINS = [Plugin()]
"""
    plugin = plugin.replace("{body}", body)
    app = start(APP.replace("{plugin}", plugin).replace("{main}", "pass"), env=SHORT)

    assert app.wait() == 2, app.stderr
    assert f"registry 'leaving' did not open: {reason}. If the app may" in app.stderr
    assert "far is closed" in app.stdout


def test_an_installed_plugin_that_leaves_while_it_is_imported(start: Start, tmp_path: Path) -> None:
    """It is named, like one that raises; who asked for it by name has an error at start."""
    (tmp_path / "leaver.py").write_text("import sys\nsys.exit('wrong platform')\n")
    installed = tmp_path / "leaver-1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: leaver\nVersion: 1\n")
    (installed / "entry_points.txt").write_text("[lifecycle]\nleaver = leaver\n")
    plain = APP.replace("{plugin}", "PLUGINS = []").replace("{main}", "pass")
    env = SHORT | {"PYTHONPATH": str(tmp_path)}

    status = start(plain, env=env).wait_state("ready")
    problems = {each["name"]: each["problem"] for each in status["plugins"]}
    assert problems["leaver"] == "leaver: SystemExit: wrong platform"

    app = start(plain, env=env | {"LIFECYCLE_PLUGINS": "no:leaver,other"})
    (tmp_path / "other.py").write_text("raise SystemExit(0)\n")
    assert app.wait() == 2
    assert "plugin 'other' cannot be imported: SystemExit: 0" in app.stderr


def test_a_plugin_that_is_in_the_way_ends_with_the_code_it_is_logged_with(start: Start) -> None:
    """A plugin written wrongly is exit code 2, and one whose class raises too: in the log as well."""
    app = start(source("lifecycle_redyness", "pass"), env=SHORT)
    assert app.wait() == 2
    assert codes(app) == ["exit code 2"]

    raising = "class Bad:\n    def __init__(self): raise ValueError('no')\n\nPLUGINS = [Bad]\n"
    app = start(APP.replace("{plugin}", raising).replace("{main}", "pass"), env=SHORT)
    assert app.wait() == 2
    assert "plugin 'Bad': its class raised ValueError: no" in app.stderr
    assert codes(app) == ["exit code 2"]


USED = """
    {before}
    class Used:
        @hookimpl
        def lifecycle_readiness(self): return ProbeResult(False, "used")
        @hookimpl
        def lifecycle_registries(self): return Far()
        @hookimpl
        def lifecycle_commands(self): {commands}
    try:
        life.use(Used(), name="used")
    except lifecycle.LifecycleError as error:
        print("refused:", error, flush=True)
"""
REFUSALS = {
    "the name of a command": (
        'return [Command("mine", print), Command("good", print)]',
        "plugin 'used': the command name 'good' is already used. Use another name.",
    ),
    "a wrong thing": ("return 5", "plugin 'used': lifecycle_commands returned 5, not a Command"),
    "a failure": ("1 / 0", "lifecycle_commands raised ZeroDivisionError: division by zero"),
    "a hang": (HANG, "plugin 'used': lifecycle_commands gave no answer for 0.5 s"),
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_plugin_that_is_refused_later_leaves_nothing_behind(start: Start, kind: str) -> None:
    """What `use` refuses has no probe, no command, no registry and no name; it may be mended."""
    commands, refusal = REFUSALS[kind]
    use = USED.format(before="", commands=commands).strip()
    again = USED.format(before="", commands="return Command('mine', str)").strip()
    again = again.replace('ProbeResult(False, "used")', "True")
    app = start(
        source("lifecycle_readiness", "return True", main=use + "\n    " + again), env=SHORT
    )
    status = app.wait_state("ready")

    assert f"{refusal}\n" in app.stdout
    assert app.stdout.count("refused:") == 1
    assert app.get("/ready")[:2] == (200, "true")
    assert app.get("/mine")[0] == 200
    assert [each["name"] for each in status["plugins"]].count("used") == 1
    assert all(each["ok"] for each in status["plugins"])
    assert list(status["services"][0]["registrations"]) == ["local", "far"]


def test_use_on_the_control_thread_is_an_error(start: Start) -> None:
    """A registry that uses another plugin would wait for itself: it is told so, at once."""
    plugin = """
class Using(Far):
    def __init__(self, life): self.life = life
    async def __aenter__(self):
        try:
            self.life.use(Other())
        except lifecycle.LifecycleError as error:
            print("refused:", error, flush=True)

class Other:
    @hookimpl
    def lifecycle_registries(self): return Far()

class Plugin:
    @hookimpl
    def lifecycle_registries(self, life): return Using(life)

PLUGINS = [Plugin()]
"""
    app = start(APP.replace("{plugin}", plugin).replace("{main}", "pass"))
    app.wait_state("ready")

    assert "refused: use() must not be called on the control thread\n" in app.stdout


def test_a_hook_that_gives_registries_may_use_plugins(start: Start) -> None:
    """It has a thread of its own, so that it may wait for the control thread."""
    plugin = """
class Other:
    @hookimpl
    def lifecycle_commands(self): return Command("other", lambda request: "other")

class Plugin:
    @hookimpl
    def lifecycle_registries(self, life):
        life.use(Other())
        return Far()

PLUGINS = [Plugin()]
"""
    env = {"LIFECYCLE_REGISTER_TIMEOUT": "60"}
    app = start(APP.replace("{plugin}", plugin).replace("{main}", "pass"), env=env)
    status = app.wait_state("ready")

    assert list(status["services"][0]["registrations"]) == ["local", "far"]
    assert app.get("/other")[:2] == (200, "other\n")
