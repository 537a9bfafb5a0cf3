"""Plugins in a real process: what one does wrong harms nobody else, and nothing piles up."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.process.kit import App, wait_for
from tests.process.plugin_apps import HANGS, RAISES, RUBBISH, readiness, source

Start = Callable[..., App]

PROBE_TIMEOUT = 0.8
MARGIN = 0.1
"""What the issue promises on top of it."""
SLACK = 3.0
"""What a busy machine may add."""


def check(app: App, name: str, reason: str, bad: Iterable[str]) -> float:
    """
    Hold a bad readiness plugin to account; returns how long the verdict took.

    Args:
        app: Where it is at work, beside a good one.
        name: Its name.
        reason: What is said of it.
        bad: All that are bad there.
    """
    status, body, took = app.get("/ready")
    assert (status, body) == (503, "false")
    status, verbose, again = app.get("/ready?verbose")
    assert status == 503
    line = next(
        each for each in verbose.splitlines() if re.match(rf"\[-\] {name}(\.\S+)? failed \(", each)
    )
    assert reason in line
    assert "[+] state ok" in verbose
    assert re.search(r"^\[\+\] good ok \(\d+\.\d ms, .*: fine$", verbose, re.MULTILINE)
    assert app.get("/live")[:2] == (200, "true")
    assert app.get("/startup")[:2] == (200, "true")
    without = "&".join(f"exclude={each}" for each in bad)
    assert app.get(f"/ready?{without}")[:2] == (200, "true")
    assert app.get("/ready/good")[:2] == (200, "true")
    assert app.get(f"/ready/{name}")[:2] == (503, "false")
    assert "Traceback" not in app.stderr, app.stderr
    return max(took, again)


def named(kinds: Iterable[str]) -> dict[str, str]:
    """Return a name for each kind that may stand in a path."""
    return {kind: kind.replace(" ", "-") for kind in kinds}


WRONG = named([*RAISES, *RUBBISH])


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """Run an app with all the plugins that raise or answer rubbish, and a good one."""
    plugins, uses = [], []
    for number, (kind, name) in enumerate(WRONG.items()):
        head, body, _ = (RAISES | RUBBISH)[kind]
        plugins.append(readiness(body, head).replace("class Bad", f"class Bad{number}"))
        uses.append(f"life.use(Bad{number}(), name={name!r})")
    text = source("\n".join(plugins), "; ".join(uses))
    with App.start(text, cwd=tmp_path_factory.mktemp("wrong")) as app:
        app.wait_state("ready")
        yield app


@pytest.mark.parametrize("kind", WRONG)
def test_a_plugin_that_is_wrong(wrong: App, kind: str) -> None:
    """A plugin that raises or answers rubbish is a failure of that name, and harms no other one."""
    _, _, reason = (RAISES | RUBBISH)[kind]

    took = check(wrong, WRONG[kind], reason, WRONG.values())
    print(f"{kind}: verdict after {took * 1000:.0f} ms")
    assert took < PROBE_TIMEOUT + SLACK


@pytest.mark.parametrize("kind", HANGS)
def test_a_plugin_that_hangs(start: Start, kind: str) -> None:
    """A readiness plugin that hangs is a failure at `probe_timeout`, and harms nobody else."""
    head, body, reason = HANGS[kind]
    app = start(source(readiness(body, head)))
    app.wait_state("ready")

    took = check(app, "bad", reason, ["bad"])
    print(f"{kind}: verdict after {took * 1000:.0f} ms")
    assert took < PROBE_TIMEOUT + MARGIN + SLACK


def test_a_plugin_that_blocks_the_loop(start: Start) -> None:
    """A plugin that blocks the app's loop is named, the others are not started; `/live` holds."""
    bad = readiness("time.sleep(8)\nreturn True", "async def")
    app = start(source(bad, use='life.use(Bad(), name="bad")'))
    app.wait_state("ready")

    status, verbose, took = app.get("/ready?verbose")
    print(f"blocking: verdict after {took * 1000:.0f} ms")
    assert status == 503
    assert took < PROBE_TIMEOUT + MARGIN + SLACK
    assert re.search(
        r"^\[-\] bad failed .*: gave no answer for \d\.\d s, because it blocks the app's event loop$",
        verbose,
        re.MULTILINE,
    )
    status, _, took = app.get("/live")
    assert status == 200
    assert took < MARGIN + SLACK


def test_startup_and_readiness_hang_side_by_side(start: Start) -> None:
    """Before the start is over `/ready` asks the startup probes too, in the same time."""
    bad = (
        "class Bad:\n    @hookimpl\n    def lifecycle_readiness(self): time.sleep(3600)\n"
        "    @hookimpl\n    def lifecycle_startup(self): time.sleep(3600)\n"
    )
    app = start(source(bad), env={"LIFECYCLE_PROBE_TIMEOUT": "3"})
    app.wait_state("ready")

    status, verbose, took = app.get("/ready?verbose")
    print(f"both: verdict after {took * 1000:.0f} ms")
    assert status == 503
    assert "[-] startup failed" in verbose
    assert "waiting for bad" in verbose
    assert took < 3 + 2.5  # and not twice 3
    assert app.get("/startup?verbose")[0] == 503


@pytest.mark.parametrize("kind", ["raises", "endless generator", "async", "thread", "stubborn"])
def test_nothing_piles_up(start: Start, kind: str) -> None:
    """Over 1,000 probes a bad plugin leaves no thread, task or queued handle behind."""
    head, body, _ = (RAISES | RUBBISH | HANGS)[kind]
    app = start(source(readiness(body, head)), env={"LIFECYCLE_PROBE_TIMEOUT": "0.05"})
    app.wait_state("ready")
    for _ in range(20):
        app.get("/ready")
    before = inside(app)
    for _ in range(1000):
        assert app.get("/ready")[0] == 503

    after = wait_for(
        lambda: (now := inside(app)) and all(now[n] <= before[n] + 2 for n in now) and now,
        20,
        lambda: f"{inside(app)} not far above {before}",
    )
    print(f"{kind}: {before} -> {after}")


def inside(app: App) -> dict[str, int]:
    status, body, _ = app.get("/inside")
    assert status == 200, body
    found: dict[str, int] = json.loads(body)
    return found


def test_nothing_piles_up_on_a_blocked_loop(start: Start) -> None:
    """1,000 probes while the app's loop is blocked queue no more than one call each."""
    bad = readiness("return True", "async def") + (
        "    @hookimpl\n    async def lifecycle_liveness(self): return True\n"
        "    @hookimpl\n    def lifecycle_commands(self):\n"
        "        def queued(request):\n"
        "            return str(len(loops[0]._ready))\n"
        "        async def block(request):\n"
        "            loops.append(asyncio.get_running_loop())\n"
        "            loops[0].call_later(0.05, time.sleep, 6)\n"
        "            return 'blocked'\n"
        "        return [Command('queued', queued), Command('block', block, changes=True)]\n"
        "loops = []\n"
    )
    app = start(source(bad), env={"LIFECYCLE_PROBE_TIMEOUT": "0.05"})
    app.wait_state("ready")
    assert app.get("/ready")[:2] == (200, "true")
    assert app.get("/block", method="POST")[0] == 200
    wait_for(lambda: app.get("/ready")[0] == 503, 4, "the block")
    began = time.monotonic()
    asked = 0
    while time.monotonic() - began < 1.5:
        assert app.get("/live")[:2] == (200, "true")
        app.get("/ready")
        asked += 2
    queued = int(app.get("/queued")[1])
    print(f"{asked} probes on a blocked loop left {queued} handles")
    assert queued <= 6
    assert "stale" in app.get("/live?verbose")[1]
    wait_for(lambda: app.get("/ready")[0] == 200, 20, "ready again")


def test_probe_options(start: Start) -> None:
    """`@lifecycle.probe` gives a hook a timeout of its own, and `every` a background of its own."""
    bad = (
        "class Bad:\n    @hookimpl\n    @probe(timeout=0.2)\n    def lifecycle_readiness(self):\n"
        "        time.sleep(3600)\n"
        "class Steady:\n    runs = 0\n    @hookimpl\n    @probe(every=0.3)\n"
        "    async def lifecycle_readiness(self):\n        self.runs += 1\n"
        "        return ProbeResult(True, f'run {self.runs}')\n"
    )
    app = start(source(bad, 'life.use(Bad(), name="bad"); life.use(Steady(), name="steady")'))
    app.wait_state("ready")

    status, verbose, took = app.get("/ready?verbose")
    assert status == 503
    assert "no answer for 0.2 s" in verbose
    assert took < 0.2 + MARGIN + SLACK
    ages = set()

    def runs() -> int:
        found = re.search(
            r"steady ok \(.* ms, (\d\.\d) s ago.*\): run (\d+)", app.get("/ready?verbose")[1]
        )
        assert found
        ages.add(found[1])
        return int(found[2])

    first = wait_for(runs, 20, "its first run")
    began = time.monotonic()
    wait_for(lambda: runs() >= first + 3, 20, "three more runs")
    assert 0.5 < time.monotonic() - began < 10.0
    assert len(ages) > 1  # the age of the last result grows between two runs
    assert app.get("/live")[:2] == (200, "true")
    assert re.search(r"probe\(every", app.stderr) is None


def test_decorators_and_recovery(start: Start) -> None:
    """`@life.readiness` and `@life.liveness` make probes; a verdict that changes is logged once."""
    use = """
    broken = []
    @life.readiness
    async def postgres():
        return not broken
    @life.readiness
    @life.liveness
    def state(life):  # the name of a built-in, twice
        return life.state.value == "ready"
    @life.liveness
    def core():
        return [ProbeResult("core" not in broken, "", "heart"), ProbeResult(True, "", "lung")]
    class Switch:
        @hookimpl
        def lifecycle_commands(self):
            def switch(request):
                broken[:] = request.arguments.get("name", "").split("+") if request.arguments else []
                return "ok"
            return Command("switch", switch, changes=True)
    life.use(Switch())
"""
    app = start(source("", use.strip()))
    app.wait_state("ready")

    assert app.get("/ready")[:2] == (200, "true")
    assert app.get("/live")[:2] == (200, "true")
    app.get("/switch/core", method="POST")
    wait_for(lambda: app.get("/live")[0] == 503, 20, "/live false")
    assert "[-] core.heart failed" in app.get("/live?verbose")[1]
    wait_for(lambda: app.get("/ready/postgres")[0] == 503, 20, "/ready false")
    assert app.get("/ready/state-readiness")[:2] == (200, "true")
    app.get("/switch", method="POST")
    wait_for(lambda: app.get("/ready")[0] == 200 and app.get("/live")[0] == 200, 20, "recovery")

    def changes(name: str) -> list[Any]:
        return [each["ok"] for each in app.events("probe") if each["probe"] == name]

    wait_for(lambda: len(changes("core.heart")) >= 2, 20, lambda: app.stderr)
    assert changes("core.heart") == [False, True]
    assert changes("postgres") in ([True, False, True], [False, True])
    assert changes("core.lung") == []


def test_status_forgets_names_that_are_gone(start: Start) -> None:
    """What a plugin no longer says is no longer shown, and nothing grows with new names."""
    bad = readiness(
        "self.n = getattr(self, 'n', 0) + 1\n"
        "if self.n == 1: raise LookupError\n"
        "return [ProbeResult(True, '', f'shard{self.n}')]"
    )
    app = start(source(bad))
    app.wait_state("ready")

    def names() -> list[str]:
        app.get("/ready")
        status = app.status()
        assert status is not None
        return [each["name"] for each in status["probes"] if each["name"].startswith("bad")]

    assert names() == ["bad"]
    assert wait_for(lambda: (now := names()) != ["bad"] and now, 20, "the next run") == [
        "bad.shard2"
    ]
    assert wait_for(lambda: (now := names()) != ["bad.shard2"] and now, 20, "one more") == [
        "bad.shard3"
    ]


def test_command_line_plugins(start: Start, tmp_path: Path) -> None:
    """`-p module` loads a plugin, `-p no:NAME` leaves one out, a built-in too."""
    (tmp_path / "shop_probe.py").write_text(
        "import lifecycle\n\n@lifecycle.hookimpl\ndef lifecycle_readiness():\n    return False\n"
    )
    (tmp_path / "shop.py").write_text(
        "import asyncio\n\nasync def main(life):\n    await life.ready()\n    await life.drained()\n"
    )
    app = start(["-m", "lifecycle", "run", "-p", "shop_probe", "shop:main"])
    app.wait_state("ready")
    assert "[-] shop_probe failed" in app.get("/ready?verbose")[1]

    words = ["-p", "shop_probe", "-p", "no:shop_probe", "-p", "no:loop"]
    app = start(["-m", "lifecycle", "run", *words, "shop:main"])
    app.wait_state("ready")
    assert app.get("/ready")[:2] == (200, "true")
    assert "loop" not in app.get("/live?verbose")[1]
    status = app.status()
    assert status is not None
    assert "shop_probe" not in [each["name"] for each in status["plugins"]]
