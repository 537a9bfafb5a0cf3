"""A forked child: it has a copy of everything, and none of it is its own."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.process.kit import RECORDED, App, assert_left, wait_for

FORKING = """
import asyncio, os, time
import lifecycle

def child(life):
    told = {
        "state": life.state.value,
        "draining": life.draining,
        "services": len(life.services),
    }
    for name, ask in (
        ("current", lifecycle.current),
        ("begin_drain", lambda: life.begin_drain("mine")),
        ("export", lambda: life.export("mine")),
        ("snapshot", life.snapshot),
    ):
        try:
            told[name] = str(ask())
        except lifecycle.NotRunning as error:
            told[name] = "forked" if "forked" in str(error) else str(error)
    life.log.warning("the child's own", pid=os.getpid())
    life.log.flush(5)
    with life.track():
        print(told, flush=True)
    print("child", os.getpid(), flush=True)
    time.sleep(60)
    os._exit(0)

async def main(life):
    life.export("orders", port=int(os.environ["PORT"]))
    await life.ready()
    if os.fork() == 0:
        child(life)
    await life.drained()

lifecycle.run(main)
"""


def test_a_child_does_not_take_itself_for_the_app(start):
    """The lifecycle is the parent's: the child is told so, and holds neither port nor socket."""
    app = start(FORKING, env=RECORDED)
    app.wait_state("ready")
    wait_for(lambda: "child" in app.stdout, 10, "the child")
    told, words = app.stdout.splitlines()[:2]
    pid = int(words.split()[1])
    try:
        assert app.get("/ready")[:2] == (200, "true"), "the parent goes on"
        app.signal(signal.SIGTERM)
        assert_left(app, 0)
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", app.qos)) != 0, "the child holds the port"
    finally:
        os.kill(pid, signal.SIGKILL)

    assert eval(told) == {
        "state": "stopped",
        "draining": True,
        "services": 1,
        "current": "forked",
        "begin_drain": "forked",
        "export": "forked",
        "snapshot": "forked",
    }
    assert "the child's own" in app.stderr


SERVED = """
import os, time

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"].endswith("shutdown"):
                return
    if scope["path"] == "/fork" and os.fork() == 0:
        print("child", os.getpid(), flush=True)
        time.sleep(60)
        os._exit(0)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
"""

REQUEST = b"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"


@contextmanager
def connected(family: int, address: Any) -> Iterator[Callable[..., bytes]]:
    """Connect, and give what sends a request for a path, if it is given one, and reads."""
    with socket.socket(family) as sock:
        sock.settimeout(5)
        sock.connect(address)

        def ask(path: bytes = b"") -> bytes:
            if path:
                sock.sendall(REQUEST.replace(b"{path}", path))
            return sock.recv(1000)

        yield ask


@pytest.mark.parametrize(
    ("kind", "loop"), [("tcp", "asyncio"), ("unix", "asyncio"), ("tcp", "uvloop")]
)
def test_a_child_holds_neither_listener_nor_connection(
    start: Callable[..., App], tmp_path: Path, kind: str, loop: str
) -> None:
    """The app's port and its clients are the parent's: once it is gone, nobody is kept waiting."""
    (tmp_path / "app.py").write_text(SERVED)
    path = str(tmp_path / "s")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        tcp = free.getsockname()
    bind = f"unix:{path}" if kind == "unix" else f"127.0.0.1:{tcp[1]}"
    where = (socket.AF_UNIX, path) if kind == "unix" else (socket.AF_INET, tcp)
    app = start(
        ["-m", "lifecycle", "run", "--asgi", "app:app", "--bind", bind, "--loop", loop],
        env={"LIFECYCLE_SETTLE": "0.2", "LIFECYCLE_QUIET": "0.1", "LIFECYCLE_GRACE_PERIOD": "8"},
    )
    app.wait_state("ready")
    with (
        connected(*where) as kept,
        connected(*where) as forks,
        connected(socket.AF_INET, ("127.0.0.1", app.qos)) as probe,
    ):
        assert [each(b"/live").split()[1] for each in (kept, probe)] == [b"200", b"200"]
        assert forks(b"/fork").split()[1] == b"200"
        wait_for(lambda: "child" in app.stdout, 10, "the child")
        child = int(app.stdout.split()[1])
        try:
            with connected(*where) as new:
                assert new(b"/").split()[1] == b"200", "the parent goes on"
            app.stop()
            assert [kept(), forks(), probe()] == [b"", b"", b""], "the child keeps a connection"
            with pytest.raises((ConnectionRefusedError, FileNotFoundError)), connected(*where):
                pass
        finally:
            os.kill(child, signal.SIGKILL)


ENDING = """
import asyncio, atexit, os, sys
import lifecycle

PARENT = os.getpid()
atexit.register(lambda: os.getpid() == PARENT or print("at exit", flush=True))

async def seen_out(way, pid):
    _, status = await asyncio.to_thread(os.waitpid, pid, 0)
    print(way, os.waitstatus_to_exitcode(status), flush=True)

async def in_a_task():
    if not (pid := os.fork()):
        sys.exit(4)
    await seen_out("task", pid)

class Plugin:
    @lifecycle.hookimpl
    async def lifecycle_start(self):
        if not (pid := os.fork()):
            sys.exit(5)
        await seen_out("hook", pid)

async def main(life):
    await life.ready()
    if not (pid := os.fork()):
        sys.exit(0)
    await seen_out("sys.exit", pid)
    if not (pid := os.fork()):
        return 3
    await seen_out("return", pid)
    if not (pid := os.fork()):
        raise OSError("the child's own")
    await seen_out("raise", pid)
    await asyncio.create_task(in_a_task())

lifecycle.run(main, plugins=[Plugin()])
print("after", os.getpid() == PARENT, flush=True)
"""

BLOCK = """
import asyncio, os, sys
import lifecycle

async def main():
    async with lifecycle.Lifecycle():
        if not (pid := os.fork()):
            sys.exit(3)
        print("block", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)

asyncio.run(main())
"""


def test_a_child_ends_as_it_wants_to(start: Callable[..., App]) -> None:
    """With its own exit code, by the interpreter's end, and without a word of ours."""
    app = start(ENDING, env=RECORDED)
    assert_left(app, 0)
    out = app.stdout.splitlines()
    assert [line for line in out if line != "at exit"] == [
        "hook 5",
        "after False",
        "sys.exit 0",
        "return 3",
        "raise 1",
        "task 4",
        "after True",
    ]
    assert out.count("at exit") == 5
    assert app.stderr.count("Traceback") == 1, app.stderr


def test_a_child_ends_inside_a_block(start: Callable[..., App]) -> None:
    """`async with Lifecycle()` hands on what the child leaves with."""
    app = start(BLOCK, env=RECORDED)
    assert_left(app, 0)
    assert app.stdout == "block 3\n"
    assert "Traceback" not in app.stderr, app.stderr
