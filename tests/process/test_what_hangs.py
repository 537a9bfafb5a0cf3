"""A drain's report names what did not end, and where it stood before it was cancelled."""

from __future__ import annotations

import signal
import socket
from contextlib import ExitStack

import pytest

from tests.process.kit import GRACE, RECORDED, App, side_by_side, wait_for

HEAD = """
import asyncio, os, lifecycle

async def closing_down():
    await asyncio.Event().wait()

async def deaf():
    while True:
        try:
            await closing_down()
        except asyncio.CancelledError:
            pass
"""

ASGI = """
import asyncio

async def shutting_down():
    await asyncio.Event().wait()

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if SLOW_SHUTDOWN:
            await shutting_down()
        await send({"type": "lifespan.shutdown.complete"})
        return
    print("asked", flush=True)
    await asyncio.sleep(60)
"""

MAINS = {
    "late": HEAD
    + "async def main(life):\n    await life.ready(); await life.drained(); await closing_down()\n"
    + "lifecycle.run(main)\n",
    "deaf": HEAD
    + "async def main(life):\n    await life.ready(); await life.drained(); await deaf()\n"
    + "lifecycle.run(main)\n",
    "left behind": HEAD
    + "async def main(life):\n    main.task = asyncio.create_task(deaf(), name='worker')\n"
    + "    await life.ready(); await life.drained()\n"
    + "lifecycle.run(main)\n",
}


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """Run all of them side by side until they have left: each one's report, and its start."""
    with ExitStack() as stack:
        apps = stack.enter_context(side_by_side(tmp_path_factory.mktemp, MAINS, RECORDED))
        for name, slow in (("request", False), ("shutdown", True)):
            cwd = tmp_path_factory.mktemp(name)
            (cwd / "shop.py").write_text(f"SLOW_SHUTDOWN = {slow}\n{ASGI}")
            argv = ["-m", "lifecycle", "run", "--asgi", "shop:app", "--bind", "127.0.0.1:0"]
            argv += ["--bind", f"unix:{cwd}/shop.sock"]
            apps[name] = stack.enter_context(App.start(argv, env=RECORDED, cwd=cwd))
        for app in apps.values():
            app.wait_state("ready")
        client = stack.enter_context(socket.create_connection(("127.0.0.1", port_of(apps))))
        client.sendall(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
        wait_for(lambda: "asked" in apps["request"].stdout, 10, "the request")
        for app in apps.values():
            app.signal(signal.SIGTERM)
        codes = {name: app.wait(GRACE + 10) for name, app in apps.items()}
        assert set(codes.values()) == {124}, codes
        yield {name: (app.events("drain report")[0], app) for name, app in apps.items()}


def port_of(apps):
    (event,) = wait_for(lambda: apps["request"].events("listening"), 10, "where it listens")
    return int(event["on"][0].rpartition(":")[2])


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("late", ["main, which had not ended in time"]),
        (
            "deaf",
            [
                "main, which had not ended in time",
                "main, which did not end when it was cancelled",
            ],
        ),
    ],
)
def test_what_main_awaited(ended, name, texts):
    """Main's await chain is named, from its own function to what it waited for."""
    report, _ = ended[name]

    assert report["cut_off"] == texts
    functions = [line.rpartition(" ")[2] for line in report["stuck_at"]]
    assert functions[0] == "main"
    assert functions[-2:] == ["closing_down", "wait"]


def test_what_a_task_awaited_that_main_has_left_behind(ended):
    """A task that ignores its cancellation is named, with what it awaits."""
    report, _ = ended["left behind"]

    assert report["cut_off"] == ["worker: ignored the cancellation"]
    functions = [line.rpartition(" ")[2] for line in report["stuck_at"]]
    assert functions == ["deaf", "closing_down", "wait"]


def test_a_request_that_does_not_end(ended):
    """Under `run --asgi` it is no main that did not end, but requests and connections."""
    report, _ = ended["request"]

    # Its connection gets a 503 and is closed at the same moment: it may still be counted.
    assert report["cut_off"][0] in {
        "1 request, which had not ended in time",
        "1 request and 1 connection, which had not ended in time",
    }
    assert "stuck_at" not in report


def test_a_shutdown_that_does_not_end(ended):
    """The app's own lifespan is named, and what it awaited."""
    report, _ = ended["shutdown"]

    assert report["steps"]["close"] < 5
    assert report["cut_off"][0] == "the app's lifespan shutdown, which had not ended in time"
    functions = [line.rpartition(" ")[2] for line in report["stuck_at"]]
    assert functions[-2:] == ["shutting_down", "wait"]
    assert "app" in functions


def test_where_the_app_listens(ended):
    """`run --asgi` says once where it listens, with the port that it was given, and the path."""
    _, app = ended["request"]

    (event,) = app.events("listening")
    tcp, path = event["on"]
    assert tcp.startswith("http://127.0.0.1:")
    assert not tcp.endswith(":0")
    assert path == f"unix:{app.cwd}/shop.sock"
