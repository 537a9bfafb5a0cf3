"""A forked child: it has a copy of everything, and none of it is its own."""

from __future__ import annotations

import os
import signal
import socket

from tests.process.kit import RECORDED, assert_left, wait_for

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
