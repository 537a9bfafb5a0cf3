"""`lifecycle run -- hypercorn …`: counted, told to go, and nobody is lost."""

from __future__ import annotations

import asyncio
import signal
import sys
import time

import pytest

from tests.process.command_drain import SETTLE, assert_drains, serve
from tests.process.h2_client import H2Client
from tests.unit.instrumentation.conftest import command
from tests.unit.instrumentation.interpreters import Parent

__all__ = ["command"]

HYPERCORN = ("-m", "hypercorn", "-b", "127.0.0.1:{port}", "--keep-alive", "75", "shop:app")
TRIO = """
from hypercorn.config import Config
from hypercorn.run import run
config = Config()
config.worker_class = "trio"
config.application_path = "nowhere:app"
try: run(config)
except Exception: pass
"""
MOST = 2**31 - 1


@pytest.mark.parametrize("how", [("-w", "0"), ("-w", "2", "--worker-class", "uvloop")])
def test_it_is_drained(start, tmp_path, how):
    """Nothing is lost, and every client is told to go: requests, streams, WebSockets, the idle."""
    app = serve(start, tmp_path, sys.executable, *HYPERCORN, *how)
    assert_drains(app)


def test_http2_clients_are_told_to_go(start, tmp_path):
    """GOAWAY from T0 on, for who comes later too; what is under way is answered; then it closes."""
    app = serve(start, tmp_path, sys.executable, *HYPERCORN, "-w", "1")
    asyncio.run(asyncio.wait_for(_drain_http2(app), 40))
    assert app.wait() == 0, app.stderr
    report = app.events("drain report")[0]
    assert (report["code"], "cut_off" in report) == (0, False), report
    assert "Traceback" not in app.stderr, app.stderr


async def _drain_http2(app):
    kept, fresh = [await H2Client.open(app.port) for _ in range(2)]
    assert (await kept.ask("/")).body == b"hello"
    slow = kept.send("/slow")
    while app.status()["in_flight"] != 1:
        await asyncio.sleep(0.01)
    began = await asyncio.to_thread(app.signal, signal.SIGTERM)

    await asyncio.wait_for(kept.told_to_leave.wait(), 2)
    late = await H2Client.open(app.port)
    assert (await late.ask("/")).body == b"hello"
    await asyncio.wait_for(late.told_to_leave.wait(), 2)
    assert (await asyncio.to_thread(app.status))["told_to_go"] == 2
    await asyncio.wait_for(late.closed.wait(), 5)
    assert time.monotonic() - began >= SETTLE - 0.05
    assert not fresh.closed.is_set()  # it has not asked yet
    assert not fresh.goaways
    assert (await kept.whole(slow)).body == b"hello"
    await asyncio.wait_for(kept.closed.wait(), 2)
    assert kept.goaways[0] == late.goaways[0] == (MOST, 0)
    assert late.goaways[1:] == [(1, 0)]  # its last: what crosses with it may be sent elsewhere
    for client in (kept, fresh, late):
        await client.close()


def test_trio_is_not_counted(command: Parent):
    """`--worker-class trio` says so on one line, and no worker is waited for."""
    done = command.run(TRIO)
    assert done.stderr.count("lifecycle: requests of hypercorn's trio workers are not counted") == 1
    assert command.told() == ["hello"]
