"""An unmodified main with a server inside: drained first, then stopped in the server's own way."""

from __future__ import annotations

import signal
import socket
import time

import pytest

from tests.process.kit import LATEST, RECORDED, ask, assert_left, background, wait_for

SIGTERM, SIGINT = signal.SIGTERM, signal.SIGINT

HEAD = """
import asyncio, os, signal, sys, lifecycle
PORT = int(os.environ["PORT"])
if os.environ.get("UVLOOP"):
    import uvloop
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            print(message["type"], flush=True)
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["path"] == "/slow":
        print("slow", flush=True)
        await asyncio.sleep(1.0)
    body = type(asyncio.get_running_loop()).__module__.encode()
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})
"""

TAIL = """
lifecycle.run(main, config=lifecycle.Config(services=(f"orders:{PORT}",)))
"""

UVICORN = """
import uvicorn

async def main():
    config = uvicorn.Config(app, host="127.0.0.1", port=PORT, log_level="warning")
    await uvicorn.Server(config).serve()
"""

HYPERCORN = """
import hypercorn.asyncio, hypercorn.config

async def main():
    config = hypercorn.config.Config()
    config.bind = [f"127.0.0.1:{PORT}"]
    config.loglevel = "WARNING"
    await hypercorn.asyncio.serve(app, config)
"""

AIOHTTP_HANDLERS = """
from aiohttp import web

async def hello(request):
    return web.Response(text=type(asyncio.get_running_loop()).__module__)

async def slow(request):
    print("slow", flush=True)
    await asyncio.sleep(1.0)
    return await hello(request)

async def started(app): print("lifespan.startup", flush=True)
async def stopped(app): print("lifespan.shutdown", flush=True)

application = web.Application()
application.add_routes([web.get("/", hello), web.get("/slow", slow)])
application.on_startup.append(started)
application.on_shutdown.append(stopped)
"""

AIOHTTP_RUNNER = (
    AIOHTTP_HANDLERS
    + """
async def main():
    runner = web.AppRunner(application, handle_signals=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", PORT).start()
    try:
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
"""
)

AIOHTTP_RUN_APP = (
    AIOHTTP_HANDLERS
    + """
async def main():
    await web._run_app(application, host="127.0.0.1", port=PORT, print=None, handle_signals=True)
"""
)

OWN_HANDLERS = """
async def main():
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async def handle(reader, writer):
        try:
            request = await reader.readuntil(b"\\r\\n\\r\\n")
        except asyncio.IncompleteReadError:
            return  # who only looks whether the port is open
        if b"/slow" in request:
            print("slow", flush=True)
            await asyncio.sleep(1.0)
        body = type(loop).__module__.encode()
        writer.write(b"HTTP/1.0 200 OK\\r\\ncontent-length: %d\\r\\n\\r\\n" % len(body) + body)
        await writer.drain()
        writer.close()
        busy.discard(asyncio.current_task())
    busy = set()
    def connected(reader, writer):
        busy.add(asyncio.ensure_future(handle(reader, writer)))
    server = await asyncio.start_server(connected, "127.0.0.1", PORT)
    print("lifespan.startup", flush=True)
    await stop.wait()
    print("lifespan.shutdown", flush=True)
    server.close()
    if busy: await asyncio.wait(busy)
"""

HOSTS = {
    "uvicorn": UVICORN,
    "hypercorn": HYPERCORN,
    "aiohttp runner": AIOHTTP_RUNNER,
    "aiohttp run_app": AIOHTTP_RUN_APP,
    "own handlers": OWN_HANDLERS,
    "signal.signal": OWN_HANDLERS.replace(
        "loop.add_signal_handler(number, stop.set)",
        "signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))",
    ),
}

parametrize_hosts = pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS)


def ask_until(port, moment):
    """Ask on one new connection after another; return the statuses."""
    statuses = []
    while time.monotonic() < moment:
        statuses.append(ask(port)[0])
    return statuses


@parametrize_hosts
class TestServers:
    @pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
    def test_sigterm(self, start, host, loop):
        """SIGTERM: served until settle and quiet are over, what is in flight is finished, 0."""
        env = RECORDED | ({"UVLOOP": "1"} if loop == "uvloop" else {})
        app = start(HEAD + host + TAIL, env=env)
        app.wait_state("ready")
        assert ask(app.port)[1].startswith(loop)

        slow = background(lambda: ask(app.port, "/slow"))
        wait_for(lambda: "slow" in app.stdout, 20, "work in flight")
        at = app.signal(SIGTERM)
        statuses = ask_until(app.port, at + 0.25)
        assert_left(app, 0)

        assert set(statuses) == {200}
        assert slow.result(5)[0] == 200
        assert "lifespan.shutdown" in app.stdout
        assert time.monotonic() - at < LATEST
        assert "Traceback" not in app.stderr, app.stderr

    def test_prestop(self, start, host):
        """preStop drains; the server is stopped at SIGTERM, and serves until then: 0."""
        app = start(HEAD + host + TAIL, env=RECORDED)
        app.wait_state("ready")

        assert app.prestop().result(20)[0] == 200
        assert ask(app.port)[0] == 200
        assert "lifespan.shutdown" not in app.stdout
        at = app.signal(SIGTERM)
        assert_left(app, 0)

        assert "lifespan.shutdown" in app.stdout
        assert time.monotonic() - at < LATEST

    def test_ctrl_c(self, start, host):
        """Ctrl-C: the server's own graceful stop is called, and no traceback is shown."""
        app = start(HEAD + host + TAIL, env=RECORDED)
        app.wait_state("ready")

        app.signal(SIGINT)
        assert_left(app, 0)

        assert "lifespan.shutdown" in app.stdout
        assert "KeyboardInterrupt" not in app.stderr


class TestOddHosts:
    def test_stop_before_its_handlers_are_there(self, start):
        """SIGTERM between a server's start and our first look at its handlers is ours."""
        app = start(HEAD + UVICORN + TAIL, env=RECORDED)
        app.wait_state("starting")

        app.signal(SIGTERM)

        assert app.wait() in (0, 143)
        assert "Traceback" not in app.stderr, app.stderr

    def test_server_that_does_not_stop(self, start):
        """A server that is told to stop and does not is cancelled: 124, inside the grace period."""
        app = start(
            HEAD
            + """
async def main():
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, print, "no", )
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", PORT)
    await server.serve_forever()
"""
            + TAIL,
            env=RECORDED,
        )
        app.wait_state("ready")

        at = app.signal(SIGTERM)
        assert_left(app, 124, "failed")

        assert time.monotonic() - at < LATEST

    def test_other_signals_are_the_apps(self, start):
        """SIGHUP and SIGUSR1 reach the app's own handlers, at once."""
        app = start(
            """
import asyncio, os, lifecycle, signal

async def main():
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, lambda: print("hup", flush=True))
    signal.signal(signal.SIGUSR1, lambda *_: print("usr1", flush=True))
    print("up", flush=True)
    await asyncio.sleep(60)

lifecycle.run(main)
""",
            env=RECORDED,
        )
        wait_for(lambda: "up" in app.stdout, 10, "main")

        app.signal(signal.SIGHUP)
        app.signal(signal.SIGUSR1)
        wait_for(lambda: {"hup", "usr1"} <= set(app.stdout.split()), 20, "both handlers")

        app.signal(SIGTERM)
        assert_left(app, 143)


def test_qos_outlives_the_listener(start):
    """While a server finishes what is in flight, its port is closed and QOS answers."""
    app = start(HEAD + UVICORN + TAIL, env=RECORDED | {"LIFECYCLE_SETTLE": "0"})
    app.wait_state("ready")
    slow = background(lambda: ask(app.port, "/slow"))
    wait_for(lambda: "slow" in app.stdout, 20, "work in flight")

    app.signal(SIGTERM)

    def refused():
        try:
            socket.create_connection(("127.0.0.1", app.port), 1).close()
        except ConnectionRefusedError:
            return True
        return False

    wait_for(refused, 20, "the listener to close")
    assert app.get("/live")[:2] == (200, "true")
    assert app.get("/ready")[:2] == (503, "false")
    assert slow.result(5)[0] == 200
    assert_left(app, 0)
