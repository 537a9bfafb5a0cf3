"""On every way out a registry forgets the app: after its last request, and while it still listens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from signal import SIGTERM
from typing import NamedTuple

import pytest

from lifecycle.testing import free_port
from tests.process.kit import QUICK, App, serve_asgi, side_by_side, wait_for

Start = Callable[..., App]

REGISTRY = """
import asyncio, logging, os, sys
import lifecycle

logging.basicConfig(level="INFO")

class Directory(lifecycle.Registry):
    name = "directory"
    known = set()
    slow = False

    async def register(self, instance):
        self.known.add(instance.service)
        print("register", flush=True)
        if self.slow:
            await asyncio.Event().wait()

    async def keep(self, instance):
        await asyncio.Event().wait()

    async def deregister(self, instance):
        print("deregister", flush=True)

    async def forget(self, instance):
        await asyncio.sleep(0.1)
        if instance.port:
            await asyncio.open_connection("127.0.0.1", instance.port)
            print("listening", flush=True)
        self.known.discard(instance.service)
        print("forget", flush=True)

    async def __aexit__(self, *_):
        print("left", *self.known, flush=True)

class Gives:
    @lifecycle.hookimpl
    def lifecycle_registries(self):
        return Directory()
"""
MAIN = """
async def main(life):
    life.export("orders")
    {before}
    await life.ready()
    {serve}
    print("told", flush=True)

lifecycle.run(main, plugins=[{plugins}])
"""
WAIT = "await life.drained()"
WORK = "work = life.track(); work.__enter__()"
DONE = ["register", "deregister", "forget"]
TOLD = [*DONE, "told", "left"]


class Way(NamedTuple):
    """A way out: what main does, what it is sent when it has said something, and what is seen."""

    serve: str
    signals: int = 0
    code: int = 0
    said: list[str] = TOLD
    before: str = "pass"
    plugins: str = "Gives()"
    when: str = "register"


WAYS = {
    "SIGTERM": Way(WAIT, 1),
    "begin_drain": Way(f"life.begin_drain('done'); {WAIT}"),
    "main returns": Way("pass", said=["register", "told", "deregister", "forget", "left"]),
    "main raises": Way("1 / 0", code=1, said=[*DONE, "left"]),
    "main exits": Way("sys.exit(3)", code=3, said=[*DONE, "left"]),
    "the deadline": Way(f"{WORK}; {WAIT}", 1, 124),
    "a second signal": Way(f"{WORK}; {WAIT}", 2, 1),
    "offline before": Way(
        f"life.offline(); await asyncio.sleep(0.3); {WAIT}", 1, when="deregister"
    ),
    "while registering": Way("pass", 1, said=[*DONE, "left"], before="Directory.slow = True"),
    "the plugin is removed": Way(
        f"await plugin.remove_async(); {WAIT}",
        1,
        said=[*DONE, "left", "told"],
        before="plugin = await life.use_async(Gives(), name='another')",
        plugins="",
        when="left",
    ),
}


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, App]]:
    """Run all of them side by side, and signal those that wait for it."""
    sources = {name: REGISTRY + MAIN.format(**way._asdict()) for name, way in WAYS.items()}
    with side_by_side(tmp_path_factory.mktemp, sources, QUICK) as apps:
        for name, way in WAYS.items():
            app = apps[name]
            if way.signals:
                wait_for(lambda a=app, w=way: w.when in a.stdout, 30, f"{way.when} of {name}")  # type: ignore[misc]
                if not way.before.startswith("Directory"):
                    app.wait_state("ready")
                app.signal(SIGTERM)
            if way.signals > 1:
                app.signal_again(SIGTERM)
        yield apps


@pytest.mark.parametrize("name", WAYS)
def test_nothing_is_left(left: Mapping[str, App], name: str) -> None:
    """Whatever ends the app, the registry knows nothing of it any more when it is closed."""
    app, way = left[name], WAYS[name]

    assert app.wait() == way.code, app.stderr
    assert app.stdout.split("\n")[:-1] == way.said, app.stderr
    (report,) = app.events("drain report")
    assert "not_forgotten" not in report
    assert "unregistered" not in report


ASGI = """
async def app(scope, receive, send):
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"served"})
"""
PLUGIN = REGISTRY + "\ngives = Gives()\nlifecycle_registries = gives.lifecycle_registries\n"


@pytest.mark.parametrize("prestop", [False, True])
def test_the_server_listens_until_then(start: Start, tmp_path: Path, prestop: bool) -> None:
    """A client that still has the address is served; preStop returns after it is forgotten."""
    (tmp_path / "directory.py").write_text(PLUGIN)
    env = {**QUICK, "LIFECYCLE_PLUGINS": "directory", "PYTHONPATH": str(tmp_path)}
    app = serve_asgi(start, tmp_path, ASGI, "--service", "orders", **env)
    app.wait_state("ready")
    if prestop:
        assert app.prestop().result(20)[0] == 200
        assert app.stdout.split("\n")[:-1] == ["register", "deregister", "listening", "forget"]

    app.stop()
    assert app.stdout.split("\n")[:-1] == [
        "register",
        "deregister",
        "listening",
        "forget",
        "left",
    ], app.stderr


def test_the_command_is_stopped_after_it(start: Start, tmp_path: Path) -> None:
    """`lifecycle run -- COMMAND` too: its own stop signal comes last."""
    (tmp_path / "directory.py").write_text(PLUGIN)
    port = str(free_port())
    server = (
        "import http.server, signal, sys\n"
        "signal.signal(15, lambda *_: (print('told', flush=True), sys.exit(0)))\n"
        f"http.server.HTTPServer(('127.0.0.1', {port}), "
        "http.server.BaseHTTPRequestHandler).serve_forever()\n"
    )
    (tmp_path / "server.py").write_text(server)
    env = {**QUICK, "LIFECYCLE_PLUGINS": "directory", "PYTHONPATH": str(tmp_path)}
    argv = ["-m", "lifecycle", "run", "--service", f"orders:{port}", "--"]
    app = start([*argv, "python", "server.py"], env=env, cwd=tmp_path)
    app.wait_state("ready")
    app.stop()
    assert app.stdout.split("\n")[:-1] == [
        "register",
        "deregister",
        "listening",
        "forget",
        "told",
        "left",
    ], app.stderr
