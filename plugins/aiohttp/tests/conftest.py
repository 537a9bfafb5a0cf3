"""A real aiohttp server under a real lifecycle, in the test's own loop."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import lifecycle_aiohttp
import pytest
from aiohttp import ClientSession, web

import lifecycle


class Served:
    """A lifecycle, an app that is served, and where."""

    def __init__(self, life: lifecycle.Lifecycle, app: web.Application, port: int) -> None:
        self.life = life
        self.app = app
        self.port = port
        self.url = f"http://127.0.0.1:{port}"


@contextlib.asynccontextmanager
async def _serve(app: web.Application, **settings: float) -> AsyncIterator[Served]:
    config = lifecycle.Config(**{"qos_port": 0, "settle": 0.3, "quiet": 0.1} | settings)
    async with lifecycle.Lifecycle(config) as life:
        lifecycle_aiohttp.setup(app)
        runner = web.AppRunner(app, handle_signals=False, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            port = runner.addresses[0][1]
            life.export("shop", port=port)
            await life.ready()
            yield Served(life, app, port)
        finally:
            await runner.cleanup()


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., object]:
    """Serve an app while the block is entered."""
    monkeypatch.setenv("LIFECYCLE_RUN_DIR", str(tmp_path))
    return _serve


@pytest.fixture
def client() -> Callable[[], ClientSession]:
    """A client that keeps its connections."""
    return ClientSession
