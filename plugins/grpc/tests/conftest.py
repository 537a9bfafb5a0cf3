"""A real grpc.aio server under a real lifecycle, in the test's own loop."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import lifecycle_grpc
import pytest

import lifecycle


class Served:
    """A lifecycle, its health service, and a channel to its server."""

    def __init__(self, life: lifecycle.Lifecycle, health: lifecycle_grpc.Health, port: int) -> None:
        self.life = life
        self.health = health
        self.where = f"127.0.0.1:{port}"
        self.channel = grpc.aio.insecure_channel(self.where)

    @property
    def in_flight(self) -> int:
        return self.life.snapshot()["in_flight"]


@contextlib.asynccontextmanager
async def _serve(
    handlers: Mapping[str, Any], *, ready: bool = True, **settings: float
) -> AsyncIterator[Served]:
    config = lifecycle.Config(**{"qos_port": 0, "settle": 0.3, "quiet": 0.1} | settings)
    pool = ThreadPoolExecutor(4)
    async with lifecycle.Lifecycle(config) as life:
        server = grpc.aio.server(pool, interceptors=[lifecycle_grpc.Interceptor(life)])
        server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler("Shop", dict(handlers))]
        )
        health = lifecycle_grpc.attach(server, life)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        served = Served(life, health, port)
        try:
            life.export("shop", port=port)
            if ready:
                await life.ready()
            yield served
        finally:
            await served.channel.close()
            await server.stop(0)
            pool.shutdown(
                wait=False
            )  # grpc leaves a plain generator that it abandons in its thread


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Serve handlers while the block is entered."""
    monkeypatch.setenv("LIFECYCLE_RUN_DIR", str(tmp_path))
    return _serve
