"""The start report of real processes: every host, starts that are slow somewhere, and that fail."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from signal import SIGTERM
from typing import Any

import pytest

from tests.process.kit import QUICK, App, free_port, wait_for

Start = Callable[..., App]

SLOW = 0.4
"""Seconds that a slow step takes."""
AT_ITS_EDGE = 0.02
"""The kernel knows the start of a process to 10 ms."""

PLUGIN = f"""
import asyncio, time
import lifecycle

time.sleep({SLOW})

class Far(lifecycle.Registry):
    name = "far"
    async def __aenter__(self):
        await asyncio.sleep({SLOW})
        return self
    async def register(self, instance): await asyncio.sleep({SLOW})
    async def deregister(self, instance): pass
    async def keep(self, instance): await asyncio.Event().wait()

@lifecycle.hookimpl
def lifecycle_registries(): return Far()

@lifecycle.hookimpl
async def lifecycle_start(): await asyncio.sleep({SLOW})

@lifecycle.hookimpl
def lifecycle_startup(): time.sleep({SLOW}); return True
"""
MAIN = f"""
import asyncio, os, time
import lifecycle

time.sleep({SLOW})

async def main(life):
    await asyncio.sleep({SLOW})
    life.export("orders", port=int(os.environ["PORT"]))
    await life.ready()
    await life.drained()

if __name__ == "__main__":
    import logging
    logging.basicConfig(level="INFO")
    lifecycle.run(main)
"""
ASGI = f"""
import asyncio, time
time.sleep({SLOW})

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await asyncio.sleep({SLOW})
        await send({{"type": "lifespan.startup.complete"}})
        await receive()
        await send({{"type": "lifespan.shutdown.complete"}})
        return
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    await send({{"type": "http.response.body", "body": b"hello"}})
"""


def steps(report: dict[str, Any]) -> dict[str, float]:
    """Return the seconds of each step of an event."""
    found: dict[str, float] = report["steps"]
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert report["slowest"] == next(iter(found))
    return found


def slow(report: dict[str, Any], *names: str) -> None:
    """Check that these steps took their time, and are no part of each other."""
    found = steps(report)
    assert all(found[name] >= SLOW - AT_ITS_EDGE for name in names), found
    assert sum(found[name] for name in names) <= report["seconds"] + AT_ITS_EDGE


@pytest.fixture
def begin(start: Start, tmp_path: Path) -> Start:
    """Start an app beside the plugin."""
    (tmp_path / "slowly.py").write_text(PLUGIN)
    (tmp_path / "orders.py").write_text(MAIN)
    (tmp_path / "shop.py").write_text(ASGI)

    def begin(source: Any, **env: str) -> App:
        return start(source, env=QUICK | {"PYTHONPATH": str(tmp_path)} | env)

    return begin


def report_of(app: App) -> dict[str, Any]:
    """Return the one report, once it is written."""
    (report,) = wait_for(lambda: app.events("start report"), 20, lambda: app.stderr)
    return report


def test_every_step_of_a_program(begin: Start) -> None:
    """Its own code before `run()`, plugins with their registries and hooks, and its main."""
    app = begin(MAIN, LIFECYCLE_PLUGINS="slowly")
    app.wait_state("ready")
    report = report_of(app)
    names = ("program", "plugin slowly", "registry far", "lifecycle_start of slowly", "main")
    slow(report, *names, "registration orders@far")
    assert report["seconds"] <= time.monotonic() - app.started_at + AT_ITS_EDGE
    assert "cause" not in report
    assert "unfinished" not in report

    assert app.get("/startup")[0] == 200
    status = app.status()
    assert status is not None
    start = status["start"]
    assert start["over"]
    assert start["seconds"] == report["seconds"]
    assert start["slowest"] == report["slowest"]
    assert [each["name"] for each in start["steps"]][:2] == ["process", "program"]
    probe = next(each for each in start["steps"] if each["name"] == "startup probe slowly")
    assert probe["seconds"] >= SLOW
    shown = app.cli("status").stdout
    assert f"\nstarted in {report['seconds']:.1f} s: {report['slowest']} " in shown
    app.stop()


def test_a_module_that_lifecycle_run_imports(begin: Start) -> None:
    """Its imports are one step, apart from our own."""
    app = begin(["-m", "lifecycle", "run", "orders:main"])
    app.wait_state("ready")
    slow(report_of(app), "imports", "main")
    assert "lifecycle run" in report_of(app)["steps"]
    app.stop()


@pytest.mark.parametrize("server", ["hypercorn", "uvicorn"])
def test_an_asgi_app(begin: Start, server: str) -> None:
    """Its lifespan is a step."""
    port = str(free_port())
    where = ("--bind", f"127.0.0.1:{port}", "--service", "shop", "--server", server)
    app = begin(["-m", "lifecycle", "run", "--asgi", *where, "shop:app"], PORT=port)
    app.wait_state("ready")
    slow(report_of(app), "imports", "lifespan")
    assert "main" not in report_of(app)["steps"]
    app.stop()


@pytest.mark.parametrize("instrument", ["yes", "no"])
def test_a_command(begin: Start, instrument: str) -> None:
    """From its start to the first worker that serves, or to its open port."""
    port = str(free_port())
    command = (sys.executable, "-m", "uvicorn", "--port", port, "shop:app")
    options = ("-p", "slowly", "--service", f"shop:{port}", "--instrument", instrument)
    app = begin(["-m", "lifecycle", "run", *options, "--", *command], PORT=port)
    app.wait_state("ready")
    report = report_of(app)
    serving = "first worker" if instrument == "yes" else "open port"
    slow(report, "plugin slowly", "registration shop@far", serving)
    assert report["steps"][serving] >= 2 * SLOW - AT_ITS_EDGE
    status = app.status()
    assert status is not None
    names = {each["name"] for each in status["start"]["steps"]}
    assert {"process", "lifecycle run", "command"} <= names
    app.stop()


def test_under_a_server(begin: Start, tmp_path: Path) -> None:
    """What came before is the server's start and the app's imports, in one."""
    source = "from lifecycle.asgi import Managed\nimport shop, logging\n"
    source += "logging.basicConfig(level='INFO')\n"
    source += f"app = Managed(shop.app, service='shop', port={(port := free_port())})\n"
    (tmp_path / "managed.py").write_text(source)
    app = begin(["-m", "uvicorn", "--port", str(port), "managed:app"], PORT=str(port))
    app.wait_state("ready")
    report = report_of(app)
    slow(report, "program", "lifespan")
    app.signal(SIGTERM)
    app.wait()


def test_two_in_one_process(begin: Start) -> None:
    """The second counts from its own start: the first one's life is no part of it."""
    app = begin(
        "import asyncio, logging\nimport lifecycle\n"
        "logging.basicConfig(level='INFO')\n"
        "async def main():\n"
        "    for _ in range(2):\n"
        "        async with lifecycle.Lifecycle() as life:\n"
        f"            await asyncio.sleep({SLOW})\n"
        "            await life.ready()\n"
        "asyncio.run(main())\n"
    )
    assert app.wait() == 0
    first, second = app.events("start report")
    slow(first, "main")
    slow(second, "main")
    assert "program" in first["steps"]
    assert not {"process", "program"} & second["steps"].keys()
    assert second["seconds"] < first["seconds"] + first["steps"]["main"]


HANGS = {
    "imports": ("import time\ntime.sleep(3600)\n", "a signal during the import of the app"),
    "main": ("import asyncio\nasync def main(life): await asyncio.sleep(3600)\n", "SIGTERM"),
}


@pytest.mark.parametrize("step", HANGS)
def test_a_start_that_hangs(begin: Start, tmp_path: Path, step: str) -> None:
    """While it goes on, the status names where; when it is ended, the report does."""
    source, cause = HANGS[step]
    (tmp_path / "hangs.py").write_text(source)
    app = begin(["-m", "lifecycle", "run", "hangs:main"])

    def hanging() -> bool:
        found = (app.status() or {}).get("start", {"steps": []})["steps"]
        return any(each["name"] == step and each["seconds"] > 0.1 for each in found)

    wait_for(hanging, 20, lambda: str(app.status()))
    status = app.status()
    assert status is not None
    start = status["start"]
    assert not start["over"]
    assert [each["name"] for each in start["steps"] if each.get("running")] == [step]
    assert f"{step} " in app.cli("status").stdout
    assert "so far" in app.cli("status").stdout
    app.signal(SIGTERM)
    app.wait()
    report = report_of(app)
    assert report["unfinished"] == [step]
    assert report["cause"] in ("SIGTERM", cause)


def test_a_start_that_raises(begin: Start, tmp_path: Path) -> None:
    """The report says how far it came, and why no further."""
    (tmp_path / "raises.py").write_text("1 / 0\n")
    app = begin(["-m", "lifecycle", "run", "raises:main"])
    assert app.wait() == 1
    report = report_of(app)
    assert report["cause"] == "the import of the app raised an exception"
    assert "unfinished" not in report
    assert app.events("ready") == []


def test_a_registry_that_never_answers(begin: Start, tmp_path: Path) -> None:
    """It is what the start still waits for when it is ended."""
    slowly = PLUGIN.replace(
        f"async def register(self, instance): await asyncio.sleep({SLOW})",
        "async def register(self, instance): await asyncio.sleep(3600)",
    )
    (tmp_path / "slowly.py").write_text(slowly)
    app = begin(MAIN, LIFECYCLE_PLUGINS="slowly")
    app.wait_state("exporting")
    app.signal(SIGTERM)
    app.wait()
    report = report_of(app)
    assert report["unfinished"] == ["registration orders@far"]
    assert report["cause"] == "SIGTERM"


def test_it_can_be_turned_off(begin: Start) -> None:
    """As every part can."""
    app = begin(MAIN, LIFECYCLE_PLUGINS="no:start")
    app.wait_state("ready")
    app.stop()
    assert app.events("start report") == []


def test_a_main_that_ends_before_it_is_ready(begin: Start, tmp_path: Path) -> None:
    """Its step has ended with it, so nothing is called unfinished."""
    (tmp_path / "ends.py").write_text("async def main(life): return 3\n")
    app = begin(["-m", "lifecycle", "run", "ends:main"])
    assert app.wait() == 3
    report = report_of(app)
    assert report["cause"] == "main returned"
    assert "unfinished" not in report
