"""What the drain's deadline means for calls: the same as for everything else that is in flight."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import grpc
import pytest

if TYPE_CHECKING:
    from tests.process.kit import App

APP = """
import asyncio, os
from concurrent.futures import ThreadPoolExecutor
import grpc, grpc.aio, lifecycle, lifecycle_grpc

async def sleep(request, context):
    await asyncio.sleep(float(request))
    return request

def pour(request, context):
    while True:
        yield request

async def main(life):
    server = grpc.aio.server(ThreadPoolExecutor(4), interceptors=[lifecycle_grpc.Interceptor(life)])
    handlers = {
        "Sleep": grpc.unary_unary_rpc_method_handler(sleep),
        "Pour": grpc.unary_stream_rpc_method_handler(pour),
    }
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("Shop", handlers)])
    lifecycle_grpc.attach(server, life)
    port = server.add_insecure_port(f"127.0.0.1:{os.environ['PORT']}")
    await server.start()
    life.export("shop", port=port)
    await life.ready()
    await life.drained()

import logging
logging.basicConfig(level="INFO")
lifecycle.run(main)
"""
STOPS_ITS_SERVER = """\
    try:
        await asyncio.Event().wait()
    finally:
        await server.stop(0)
"""
GRACE, STOP = 6.0, 3.0
WAIT = GRACE - STOP - 2.0
"""Seconds that the drain waits; a call has `STOP` seconds more."""
ENV = {
    "LIFECYCLE_GRACE_PERIOD": str(GRACE),
    "LIFECYCLE_STOP_TIMEOUT": str(STOP),
    "LIFECYCLE_SETTLE": "0.1",
    "LIFECYCLE_QUIET": "0.1",
}


@pytest.fixture
def source() -> str:
    """Return the app."""
    return APP


@pytest.fixture
def app(tmp_path: Any, source: str) -> Any:
    from tests.process.kit import App  # here: tests/conftest.py has its assertions rewritten

    with App.start(source, cwd=tmp_path, env=ENV) as app:
        app.wait_state("ready")
        yield app


@pytest.fixture
def channel(app: App) -> Any:
    with grpc.insecure_channel(f"127.0.0.1:{app.port}") as channel:
        grpc.channel_ready_future(channel).result(10)
        yield channel


def _in_flight(app: App) -> int:
    return (app.status() or {}).get("in_flight", 0)


def _until(condition: Callable[[], object]) -> None:
    from tests.process.kit import wait_for

    wait_for(condition, 10, "the call")


def test_a_call_has_the_stop_timeout_too(app: App, channel: grpc.Channel) -> None:
    """It ends after the deadline of the drain, before main's: answered, and the exit code is 0."""
    call = channel.unary_unary("/Shop/Sleep").future(str(WAIT + STOP / 3).encode())
    _until(lambda: _in_flight(app) == 1)
    app.signal(signal.SIGTERM)

    assert call.result(10)
    assert app.wait() == 0, app.stderr


def test_a_call_that_is_cut_off(app: App, channel: grpc.Channel) -> None:
    """Its client gets a status; the exit code is 124."""
    call = channel.unary_stream("/Shop/Pour")(b"x")
    next(call)
    _until(lambda: _in_flight(app) == 1)
    began = time.monotonic()
    app.signal(signal.SIGTERM)

    with pytest.raises(grpc.RpcError) as cut:
        list(call)
    assert cut.value.code() is grpc.StatusCode.UNAVAILABLE
    assert time.monotonic() - began > WAIT + STOP - 0.1
    assert app.wait() == 124, app.stderr
    [report] = app.events("drain report")
    assert report["waited_for"].startswith("1 in flight: /Shop/Pour from grpc-python")
    assert report["cut_off"][0].startswith("/Shop/Pour from grpc-python")


def test_a_call_by_its_name(app: App, channel: grpc.Channel) -> None:
    """`/inflight` shows its method, its protocol, and the line at which it stands."""
    call = channel.unary_unary("/Shop/Sleep").future(b"60")
    seen: list[dict[str, Any]] = []

    def sleeps() -> bool:
        """It is in flight a moment before its handler begins."""
        seen[:] = json.loads(app.get("/inflight?stacks")[1])["entries"]
        return any(line.endswith(" sleep") for each in seen for line in each["stack"])

    _until(sleeps)
    [entry] = seen
    assert (entry["name"], entry["protocol"]) == ("/Shop/Sleep", "grpc")
    assert entry["agent"].startswith("grpc-python")
    call.cancel()
    _until(lambda: _in_flight(app) == 0)


def test_an_abandoned_generator_holds_nobody(app: App, channel: grpc.Channel) -> None:
    """Its client has left it in its middle: the next drain waits for nothing."""
    call = channel.unary_stream("/Shop/Pour")(b"x")
    next(call)
    call.cancel()
    _until(lambda: _in_flight(app) == 0)
    app.signal(signal.SIGTERM)

    assert app.wait() == 0, app.stderr
    assert "waited_for" not in app.stderr


@pytest.mark.parametrize("source", [APP.replace("    await life.drained()\n", STOPS_ITS_SERVER)])
def test_a_call_that_a_cancelled_main_cuts_off(app: App, channel: grpc.Channel) -> None:
    """It has not ended by itself, although its server has told its client."""
    call = channel.unary_unary("/Shop/Sleep").future(b"60")
    _until(lambda: _in_flight(app) == 1)
    app.signal(signal.SIGTERM)

    with pytest.raises(grpc.RpcError):
        call.result(15)
    assert app.wait() == 124, app.stderr
    [report] = app.events("drain report")
    assert any(each.startswith("/Shop/Sleep from grpc-python") for each in report["cut_off"]), (
        report
    )
    assert "last_to_end" not in report, report
