"""`lifecycle run -- uwsgi …`: it serves in C, and is drained by its environment and the kernel."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.process.command_drain import SETTLE, serve
from tests.process.h1_client import Connection

UWSGI = (str(Path(sys.executable).parent / "pyuwsgi"), "--master", "--processes", "2")
SHOP = ("--wsgi", "wsgi_shop:app", "--need-app", "--disable-logging")


@pytest.mark.parametrize("socket", ["--http11-socket", "--http-socket"])
def test_it_is_drained(start, tmp_path, socket):
    """Each response from T0 on says close, what has come is answered, and SIGTERM ends it: 0."""
    app = serve(start, tmp_path, *UWSGI, socket, "127.0.0.1:{port}", *SHOP)
    began = asyncio.run(asyncio.wait_for(_drain(app), 30))
    assert app.wait() == 0, app.stderr
    assert time.monotonic() - began < SETTLE + 2.0 + 4.0
    report = app.events("drain report")[0]
    assert report["code"] == 0
    assert "cut_off" not in report
    assert not [each for each in os.listdir("/dev/shm") if f"lifecycle-{app.pid}-" in each]


async def _drain(app) -> float:
    first = await Connection.open(app.port)
    assert not (await first.ask("/")).closes
    first.close()
    slow = await Connection.open(app.port)
    working = asyncio.create_task(slow.ask("/slow"))
    await asyncio.sleep(0.3)
    began = await asyncio.to_thread(app.signal, signal.SIGTERM)
    answered = 0
    while time.monotonic() - began < SETTLE - 0.2:
        fresh = await Connection.open(app.port)
        told = await fresh.ask("/")
        answered += told.closes
        assert told.body == b"hello"
        fresh.close()
    assert answered >= 2
    last = await working
    assert (last.body, last.closes) == (b"hello", True)
    slow.close()
    return began
