"""An app whose loop is blocked, while it drains too, and one that stands still as a whole."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from tests.process.kit import App, wait_for
from tests.process.rollout import RUN
from tests.process.wire import connect, read, read_all

CLIENTS = 300
FEW = 60
"""How many wait: more than are accepted at a time, and no more than a short queue holds."""
SETTINGS = {
    "LIFECYCLE_SETTLE": "0.3",
    "LIFECYCLE_QUIET": "0.4",
    "LIFECYCLE_STOP_TIMEOUT": "1",
    "LIFECYCLE_GRACE_PERIOD": "15",
}

APP = """
import time

async def app(scope, receive, send):
    assert scope["type"] == "http"
    if scope["path"] == "/block":
        print("blocked", flush=True)
        time.sleep(1.5)
    headers = [(b"content-length", b"5")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"hello"})
"""

UVICORN = """
import uvicorn
from lifecycle.asgi import Middleware
from shop import app

async def main():
    config = uvicorn.Config(
        Middleware(app), host="127.0.0.1", port=PORT, lifespan="off", log_level="warning"
    )
    await uvicorn.Server(config).serve()
"""

AIOHTTP = """
import asyncio, time
import lifecycle_aiohttp
from aiohttp import web

async def serve(request):
    if request.path == "/block":
        print("blocked", flush=True)
        time.sleep(1.5)
    return web.Response(text="hello")

async def main():
    application = web.Application()
    application.add_routes([web.get("/{path:.*}", serve)])
    lifecycle_aiohttp.setup(application)
    await web._run_app(application, host="127.0.0.1", port=PORT, print=None)
"""

STREAMS = """
import asyncio, time

async def main():
    async def handle(reader, writer):
        with lifecycle.current().track():
            try:
                request = await reader.readuntil(b"\\r\\n\\r\\n")
            except asyncio.IncompleteReadError:
                return  # who only looks whether the port is open
            if b"/block" in request:
                print("blocked", flush=True)
                time.sleep(1.5)
            writer.write(b"HTTP/1.1 200 OK\\r\\ncontent-length: 5\\r\\n\\r\\nhello")
            writer.close()
    server = await asyncio.start_server(handle, "127.0.0.1", PORT)
    try:
        await asyncio.Event().wait()
    finally:
        server.close()
"""

THREAD = """
import asyncio, socket, threading, time

def serve(listener, life):
    while True:
        client, _ = listener.accept()
        with client:
            request = client.recv(65536)
            if request:  # who only looks whether the port is open sends none
                with life.track("probe/1"):
                    time.sleep(0.15)
                    client.sendall(b"HTTP/1.1 200 OK\\r\\ncontent-length: 5\\r\\n\\r\\nhello")
                time.sleep(0.15)

async def main():
    with socket.create_server(("127.0.0.1", PORT)) as listener:
        args = listener, lifecycle.current()
        threading.Thread(target=serve, args=args, daemon=True).start()
        await asyncio.Event().wait()
"""

HEAD = "import os, lifecycle\nPORT = int(os.environ['PORT'])\n"
TAIL = "\nlifecycle.run(main, config=lifecycle.Config(services=(f'shop:{PORT}',)))\n"

Start = Callable[..., App]


def asgi(start: Start) -> App:
    """Serve it with `lifecycle run --asgi`."""
    words = ("--asgi", "shop:app", "--service", "shop", "--bind", "127.0.0.1:0")
    return start([*RUN, *words], env=SETTINGS)


def port_of(app: App) -> int:
    """Return the port that the app's service was exported with."""
    [service] = app.wait_state("ready")["services"]
    return int(service["port"])


def served_while_blocked(app: App, clients: int) -> list[int]:
    """Drain, block the loop, connect behind it; return what each client was answered."""
    port = port_of(app)
    ask = "GET {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with ExitStack() as stack:
        app.signal(signal.SIGTERM)
        app.wait_state("draining")
        waiting = [stack.enter_context(connect(("127.0.0.1", port), timeout=10))]
        waiting[0].sendall(ask.format("/block").encode())
        wait_for(lambda: "blocked" in app.stdout, 10, "a loop that is blocked")
        for _ in range(clients):
            waiting.append(stack.enter_context(connect(("127.0.0.1", port), timeout=10)))
            waiting[-1].sendall(ask.format("/").encode())
        return [read(received).status if (received := read_all(each)) else 0 for each in waiting]


def test_who_came_while_the_loop_was_blocked_is_served(start: Start, tmp_path: Path) -> None:
    """In every host: nobody is reset, though nobody was seen arriving for longer than `quiet`."""
    (tmp_path / "shop.py").write_text(APP)
    apps = {asgi(start): CLIENTS}
    for source in (UVICORN, AIOHTTP, STREAMS):
        apps[start(HEAD + source + TAIL, env=SETTINGS)] = FEW

    async def each_at_once() -> list[list[int]]:
        return await asyncio.gather(
            *(asyncio.to_thread(served_while_blocked, *each) for each in apps.items())
        )

    for app, answers in zip(apps, asyncio.run(each_at_once()), strict=True):
        assert answers == [200] * len(answers), app.stderr
        assert app.wait(15) == 0, app.stderr


def test_who_waits_in_a_listeners_queue_is_served(start: Start) -> None:
    """A server in a thread that is slow to accept: its loop is free, its queue is not empty."""
    env = SETTINGS | {"LIFECYCLE_SETTLE": "0", "LIFECYCLE_QUIET": "0.2"}
    env |= {"LIFECYCLE_QUIET_IGNORE": "probe/"}
    app = start(HEAD + THREAD + TAIL, env=env)
    port = port_of(app)
    with ExitStack() as stack:
        waiting = [stack.enter_context(connect(("127.0.0.1", port), timeout=10)) for _ in range(5)]
        for each in waiting:
            each.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        app.signal(signal.SIGTERM)
        answers = [read_all(each) for each in waiting]
    assert [received[-5:] for received in answers] == [b"hello"] * 5, app.stderr
    assert app.wait(15) == 0, app.stderr


STILL: Final = """
import asyncio, sys, time
import lifecycle

async def main(life):
    await life.ready()
    while not life.draining:
        chunk = time.monotonic() + 0.1
        while time.monotonic() < chunk:
            pass
        await asyncio.sleep(0)

if "uvloop" in sys.argv:
    import uvloop
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
lifecycle.run(main)
"""
FROZEN: Final = 1.5


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_who_stood_still_as_a_whole_is_ready_and_alive(
    start: Start, tmp_path: Path, loop: str
) -> None:
    """Stopped and continued: what asks first finds an app that is at work, and has not beaten yet."""
    (tmp_path / "still.py").write_text(STILL)
    limits = {"LIFECYCLE_READY_STALL_LIMIT": "1", "LIFECYCLE_LOOP_STALL_LIMIT": "1"}
    patient = {"LIFECYCLE_PROBE_TIMEOUT": "8"}  # the machine may be busy just then
    app = start(["still.py", loop], env=SETTINGS | limits | patient)
    app.wait_state("ready")
    for _ in range(2):
        with ExitStack() as stack:
            app.signal(signal.SIGSTOP)
            try:
                asking = [
                    stack.enter_context(connect(("127.0.0.1", app.qos), timeout=10))
                    for _ in range(2)
                ]
                for path, each in zip(("/live", "/ready"), asking, strict=True):
                    each.sendall(
                        f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
                    )
                time.sleep(FROZEN)
            finally:
                app.signal(signal.SIGCONT)
            assert [read(read_all(each)).text for each in asking] == ["true", "true"], app.stderr
