"""An app in a test: a real ZooKeeper server, and a lifecycle with the plugin."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import lifecycle
from lifecycle.core import Core
from lifecycle.runtime import handle_of
from tests.registries.zookeeper import ZooKeeper

LATEST = 40.0
"""Seconds that anything may take on a busy machine."""
SESSION = 4
"""Seconds of a session."""
PATH = "/lifecycle/shop/orders/orders-1"
"""The node of the service `orders`."""
Play = Callable[[Callable[[Any], Awaitable[None]]], None]


class App:
    """The server, and the lifecycle of the app."""

    def __init__(self, server: ZooKeeper, environment: pytest.MonkeyPatch) -> None:
        self.server = server
        self.environment = environment
        self.life: lifecycle.Lifecycle
        self.log: list[dict[str, Any]] = []

    def set(self, **options: object) -> None:
        """Set options of the plugin."""
        for name, value in options.items():
            self.environment.setenv(f"LIFECYCLE_ZOOKEEPER_{name.upper()}", str(value))

    @contextlib.asynccontextmanager
    async def run(self, **settings: Any) -> AsyncIterator[lifecycle.Lifecycle]:
        times = {"settle": 0.1, "quiet": 0.1, "stop_timeout": 0.5, "register_timeout": 3}
        config = lifecycle.Config(**{"qos_port": 0} | times | settings)
        log = self.log

        def render(entry: Any) -> None:
            log.append({"event": entry.event, **entry.fields})

        async with handle_of(lambda life: Core(life, config, renderer=render)) as self.life:
            yield self.life

    @contextlib.asynccontextmanager
    async def ready(self, *names: str, **settings: Any) -> AsyncIterator[lifecycle.Lifecycle]:
        """Run, from READY on."""
        async with self.run(**settings) as life:
            for port, name in enumerate(names or ("orders",), start=8080):
                life.export(name, port=port)
            await life.ready()
            yield life

    def cell(self, name: str = "orders") -> dict[str, Any]:
        """Return the registration as `/status` shows it."""
        services = {each["name"]: each for each in self.life.snapshot()["services"]}
        return dict(services[name]["registrations"]["zookeeper"])

    async def until(
        self, condition: Callable[[], object], what: str, seconds: float = LATEST
    ) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not condition():
                    await asyncio.sleep(0.02)
        assert condition(), f"{what}: {self.log[-5:]}"

    def said(self, event: str) -> list[dict[str, Any]]:
        return [each for each in self.log if each["event"] == event]

    def reasons(self) -> list[str]:
        """Return the reasons of the log about the registration and the connection."""
        told = [*self.said("registration"), *self.said("zookeeper")]
        return [each["reason"] for each in told if "reason" in each]

    def paths(self) -> list[str]:
        """Return the paths of the nodes that end with a session."""
        return sorted(self.server.entries())


@pytest.fixture(autouse=True)
def _environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POD_NAME", "orders-1")
    monkeypatch.setenv("POD_NAMESPACE", "shop")
    monkeypatch.setenv("POD_IP", "10.0.0.7")
    monkeypatch.setenv("LIFECYCLE_RUN_DIR", str(tmp_path))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ZooKeeper]:
    with ZooKeeper(tmp_path) as server:
        yield server


@pytest.fixture
def play(server: ZooKeeper, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Play a scenario with a server that is up."""

    def run(scenario: Callable[[App], Awaitable[None]]) -> None:
        async def served() -> None:
            app = App(server, monkeypatch)
            app.set(url=f"zookeeper://127.0.0.1:{server.port}", session=SESSION)
            await scenario(app)

        asyncio.run(served())
        gc.collect()  # what was left open is seen here, and in no other test

    return run
