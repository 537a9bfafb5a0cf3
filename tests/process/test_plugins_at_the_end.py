"""What plugins send when main has ended: `lifecycle_stop` under each host, to a real collector."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from signal import SIGTERM
from typing import Any

import pytest

from tests.process.kit import LATEST, App, free_port, wait_for

Start = Callable[..., App]

EXPORTER = """
import asyncio, json, os, socket
import lifecycle

SPANS = []

class Exporter:
    @lifecycle.hookimpl
    async def lifecycle_transition(self, transition):
        SPANS.append(transition.after.value)

    @lifecycle.hookimpl
    async def lifecycle_stop(self, life, stop):
        told = {"spans": SPANS, "code": stop.code, "cause": stop.cause, "left": stop.seconds_left}
        reader, writer = await asyncio.open_connection("127.0.0.1", int(os.environ["COLLECTOR"]))
        writer.write(json.dumps(told).encode() + b"\\n")
        await reader.readline()
        writer.close()

class InAThread:
    @lifecycle.hookimpl
    def lifecycle_stop(self, stop):
        with socket.create_connection(("127.0.0.1", int(os.environ["COLLECTOR"]))) as sock:
            sock.sendall(b'{"thread": true}\\n')
            sock.recv(1)

plugins = [Exporter, InAThread]
"""
MODULE = """
from exporter import *
import lifecycle, sys

@lifecycle.hookimpl
async def lifecycle_transition(transition):
    await Exporter().lifecycle_transition(transition)

@lifecycle.hookimpl
async def lifecycle_stop(life, stop):
    await Exporter().lifecycle_stop(life, stop)
"""
"""The exporter as a module, for `-p`."""
MAIN = """
import asyncio, logging, os
import lifecycle
import exporter

async def main(life):
    life.export("orders", port=int(os.environ["PORT"]))
    await life.ready()
    await life.drained()
    with life.track():
        await asyncio.sleep(0.1)
    exporter.SPANS.append("main's last words")
    {end}

logging.basicConfig(level="INFO")
lifecycle.run(main, plugins=exporter.plugins)
"""
ASGI = """
import exporter

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        exporter.SPANS.append("the last of the lifespan")
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})
"""
TIMES = {
    "LIFECYCLE_SETTLE": "0.1",
    "LIFECYCLE_QUIET": "0.1",
    "LIFECYCLE_GRACE_PERIOD": "4",
    "LIFECYCLE_STOP_TIMEOUT": "1",
}


class Collector:
    """Takes what exporters send, one line a connection, and answers, or never does."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.lines: list[dict[str, Any]] = []
        self.answers = True
        self._held: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, name="collector")
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                accepted, _ = self.listener.accept()
                self._held.append(accepted)
                line = accepted.makefile().readline()
                if line:
                    self.lines.append(json.loads(line))
                if self.answers:
                    accepted.sendall(b"\n")

    def close(self) -> None:
        """End it."""
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self._thread.join(10)
        for each in self._held:
            each.close()

    @property
    def told(self) -> dict[str, Any]:
        """What the exporter on the app's loop has sent."""
        (told,) = (each for each in self.lines if "spans" in each)
        return told


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Collect."""
    found = Collector()
    yield found
    found.close()


@pytest.fixture
def begin(start: Start, tmp_path: Path, collector: Collector) -> Start:
    """Start an app that exports to the collector."""
    (tmp_path / "exporter.py").write_text(EXPORTER)
    (tmp_path / "exports.py").write_text(MODULE)
    (tmp_path / "shop.py").write_text(ASGI)
    paths = {"PYTHONPATH": str(tmp_path), "COLLECTOR": str(collector.port)}

    def begin(source: Any, **env: str) -> App:
        return start(source, env=TIMES | paths | env)

    return begin


LIFE = ["exporting", "registered", "ready", "draining"]


def test_the_last_that_main_records_is_sent(begin: Start, collector: Collector) -> None:
    """By a hook on the app's loop, and by one in a thread; both are waited for."""
    app = begin(MAIN.replace("{end}", "return 3"))
    app.wait_state("ready")
    assert app.stop(3) < LATEST
    assert collector.told["spans"] == [*LIFE, "main's last words"]
    assert (collector.told["code"], collector.told["cause"]) == (3, "SIGTERM")
    assert 0.5 < collector.told["left"] < 1
    assert {"thread": True} in collector.lines
    (report,) = app.events("drain report")
    assert report["steps"]["flush"] >= report["steps"]["stop"]


def test_the_last_of_an_asgi_app_is_sent(begin: Start, collector: Collector) -> None:
    """What its lifespan records at the very end."""
    port = str(free_port())
    where = ("--service", "shop", "--asgi", "--bind", f"127.0.0.1:{port}")
    app = begin(["-m", "lifecycle", "run", "-p", "exports", *where, "shop:app"], PORT=port)
    app.wait_state("ready")
    assert app.stop() < LATEST
    assert app.process.returncode == 0
    assert collector.told["spans"] == [*LIFE, "the last of the lifespan"]


def test_the_last_of_a_command_is_sent(begin: Start, collector: Collector) -> None:
    """By the plugins of its parent, when the command has ended."""
    port = str(free_port())
    command = (sys.executable, "-m", "uvicorn", "--port", port, "shop:app")
    options = ("-p", "exports", "--service", f"shop:{port}")
    app = begin(["-m", "lifecycle", "run", *options, "--", *command], PORT=port)
    app.wait_state("ready")
    assert app.stop() < LATEST
    assert app.process.returncode == 0
    assert collector.told["spans"] == LIFE
    assert collector.told["cause"] == "SIGTERM"


def test_the_last_of_an_app_under_a_server_is_sent(
    begin: Start, collector: Collector, tmp_path: Path
) -> None:
    """Before the server is told that the lifespan is over, and so before it ends the process."""
    source = "from lifecycle.asgi import Managed\nimport exporter, shop\n"
    source += "app = Managed(shop.app, service='shop', plugins=exporter.plugins)\n"
    port = str(free_port())
    (tmp_path / "managed.py").write_text(source)
    app = begin(["-m", "uvicorn", "--port", port, "managed:app"], PORT=port)
    app.wait_state("ready")
    assert app.prestop().result(30)[0] == 200
    assert app.stop(-SIGTERM) < LATEST
    assert collector.told["spans"] == [*LIFE, "the last of the lifespan"]
    assert collector.told["cause"] == "preStop"
    assert "Traceback" not in app.stderr, app.stderr


def test_what_a_start_that_failed_has_recorded_is_sent(
    begin: Start, collector: Collector, tmp_path: Path
) -> None:
    """The app cannot be imported, so there is no loop of its own; the hook has one all the same."""
    (tmp_path / "broken.py").write_text("import exports\nraise RuntimeError('no database')\n")
    app = begin(["-m", "lifecycle", "run", "-p", "exports", "broken:main"])
    app.wait()
    assert app.process.returncode == 1
    assert (collector.told["spans"], collector.told["code"]) == (["draining"], 1)
    assert not app.events("plugin"), app.stderr


def test_a_main_that_is_cut_off_does_not_cost_what_is_left_to_send(
    begin: Start, collector: Collector
) -> None:
    """It has ended half of its `stop_timeout` earlier, and the process in time."""
    app = begin(MAIN.replace("{end}", "await asyncio.sleep(3600)"))
    app.wait_state("ready")
    assert app.stop(124) < LATEST
    assert collector.told["code"] == 124
    assert app.events("drain report")[0]["steps"]["close"] <= 3.5


@pytest.mark.parametrize(
    "end",
    [
        "import time; time.sleep(3600)",
        "import threading; threading.Thread(target=threading.Event().wait).start()",
    ],
    ids=["a blocked loop", "a thread that does not end"],
)
def test_a_plain_function_is_called_whatever_hangs(
    begin: Start, collector: Collector, end: str
) -> None:
    """It needs no loop; one that needs the loop is named if the loop is blocked."""
    app = begin(MAIN.replace("{end}", end))
    app.wait_state("ready")
    assert app.stop(124) < LATEST
    assert {"thread": True} in collector.lines
    waited_for = app.events("drain report")[0].get("waited_for", "")
    assert ("lifecycle_stop of plugin 'Exporter'" in waited_for) is ("sleep" in end)


@pytest.mark.parametrize("second", [False, True], ids=["once", "twice"])
def test_a_collector_that_never_answers_is_not_waited_for_for_long(
    begin: Start, collector: Collector, second: bool
) -> None:
    """Both hooks are named, the exit code is main's, and the process ends in time."""
    collector.answers = False
    app = begin(MAIN.replace("{end}", "return 0"))
    app.wait_state("ready")
    app.signal(SIGTERM)
    if second:
        wait_for(lambda: collector.lines, 10, lambda: app.stderr)
        app.signal_again(SIGTERM)
    app.wait()
    assert app.process.returncode == int(second)
    (report,) = app.events("drain report")
    assert report["waited_for"].split("; ") == [
        "lifecycle_stop of plugin 'Exporter'",
        "lifecycle_stop of plugin 'InAThread'",
    ]
    took = report["steps"]["flush"] - report["steps"]["stop"]
    assert took <= 1.3
    assert {each["plugin"] for each in app.events("plugin")} == {"Exporter", "InAThread"}
    assert "Traceback" not in app.stderr, app.stderr
