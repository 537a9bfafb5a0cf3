"""The examples with a foreign server, framework or client inside: run as their docstrings say."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
import websockets

from tests.process.h1_client import Connection
from tests.process.kit import App, ask
from tests.process.rollout import RUN

EXAMPLES = str(Path(__file__).parents[2] / "examples")
ADDRESS = ("--host", "0.0.0.0", "--port", "{port}")
BIND = ("--bind", "0.0.0.0:{port}")


def asgi(name: str) -> tuple[str, ...]:
    return (*RUN, "--app-dir", EXAMPLES, "--asgi", f"{name}:app", *BIND, "--service", "orders")


def wrapped(*command: str) -> tuple[str, ...]:
    return (*RUN, "--service", "orders:{port}", "--", sys.executable, *command)


GUNICORN = ("-m", "gunicorn", "-w", "2", "--threads", "8", "-b", "0.0.0.0:{port}")
GRANIAN = ("-m", "granian", "--interface", "asgi", "--workers", "2")
COMMANDS = {
    "gunicorn, Django": wrapped(*GUNICORN, "django_app"),
    "gunicorn, Flask": wrapped(*GUNICORN, "flask_app:app"),
    "flask run": wrapped("-m", "flask", "--app", "flask_app", "run", "-p", "{port}"),
    "uvicorn, two workers": wrapped("-m", "uvicorn", "--workers", "2", *ADDRESS, "asgi_app:app"),
    "uvicorn, two workers that wear Managed": wrapped(
        "-m", "uvicorn", "--workers", "2", *ADDRESS, "managed:app"
    ),
    "granian, two workers": wrapped(*GRANIAN, *ADDRESS, "asgi_app:app"),
    "fastapi_app": asgi("fastapi_app"),
    "starlette_app": asgi("starlette_app"),
    "litestar_app": asgi("litestar_app"),
    "uvicorn_app": (f"{EXAMPLES}/uvicorn_app.py",),
    "granian_app": (f"{EXAMPLES}/granian_app.py",),
    "aiohttp_app": (f"{EXAMPLES}/aiohttp_app.py",),
    "managed, uvicorn": ("-m", "uvicorn", "managed:app", *ADDRESS),
    "managed, hypercorn": ("-m", "hypercorn", "managed:app", *BIND),
    "managed, granian": ("-m", "granian", "managed:app", "--interface", "asgi", *ADDRESS),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_it_serves_and_leaves(start: Callable[..., App], name: str) -> None:
    """It is ready with its service, answers, and is drained: by preStop where it must be."""
    app = start(*COMMANDS[name], PYTHONPATH=EXAMPLES)
    status = app.wait_state("ready", 20)

    assert [(each["name"], each["port"]) for each in status["services"]] == [("orders", app.port)]
    assert ask(app.port) == (200, "ok\n")
    if name.startswith("managed"):
        assert app.prestop().result(10)[0] == 200
    app.signal(signal.SIGTERM)
    assert app.wait() in (0, -signal.SIGTERM), app.stderr
    assert "Traceback" not in app.stderr, app.stderr


def test_what_is_no_python_serves_and_leaves(start: Callable[..., App]) -> None:
    """A program of which nothing is known is ready once its port is open, and is drained."""
    app = start(*wrapped("-I", "-m", "http.server", "{port}", "--directory", EXAMPLES))
    app.wait_state("ready", 20)

    assert "lifecycle run" in ask(app.port, "/README.md")[1]
    app.signal(signal.SIGTERM)
    assert app.wait() == 0, app.stderr


def test_what_never_ends_in_fastapi_ends_at_settle(start: Callable[..., App]) -> None:
    """Its events end whole and its WebSocket with 1001; nothing is cut off, nothing is raised."""

    async def listen(port: int) -> bytes:
        connection = await Connection.open(port)
        with contextlib.closing(connection):
            return (await connection.ask("/events", {"Accept": "text/event-stream"})).body

    async def scenario() -> None:
        app = start(*COMMANDS["fastapi_app"])
        await asyncio.to_thread(app.wait_state, "ready", 20)
        listening = asyncio.create_task(listen(app.port))
        async with websockets.connect(f"ws://127.0.0.1:{app.port}/talk") as socket:
            await socket.send("word")
            assert await socket.recv() == "word"
            while app.status()["in_flight"] < 2:  # type: ignore[index]
                await asyncio.sleep(0.01)
            app.signal(signal.SIGTERM)
            with pytest.raises(websockets.ConnectionClosed):
                await socket.recv()
            assert socket.close_code == 1001
        assert (await listening).startswith(b"id: 1\ndata: tick\n\n")
        assert await asyncio.to_thread(app.wait) == 0, app.stderr
        assert "Traceback" not in app.stderr, app.stderr

    asyncio.run(scenario())


def test_grpc_app(start: Callable[..., App]) -> None:
    """It answers calls and health checks, and leaves with 0."""
    app = start(f"{EXAMPLES}/grpc_app.py")
    app.wait_state("ready", 20)

    with grpc.insecure_channel(f"127.0.0.1:{app.port}") as channel:
        assert channel.unary_unary("/Orders/Place")(b"one", timeout=5) == b"placed one"
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        assert check(b"\n\x06orders", timeout=5) == b"\x08\x01"  # SERVING
    app.signal(signal.SIGTERM)
    assert app.wait() == 0, app.stderr
