"""A plugin whose registry was late, used once more: as if the first time had not been."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import logging
from typing import Any, Self

import pytest

import lifecycle
from lifecycle import runtime
from tests.process.kit import wait_for

CONFIG = lifecycle.Config(qos_port=0, settle=0.0, quiet=0.0)


class Slow(lifecycle.Registry):
    """Takes its time to open once, and to clear up after that."""

    name = "slow"
    opened = 0

    def __init__(self, clearing: float) -> None:
        self.clearing = clearing
        self.known: list[str] = []

    async def __aenter__(self) -> Self:
        Slow.opened += 1
        if Slow.opened == 1:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(self.clearing)
        return self

    async def register(self, instance: lifecycle.Instance) -> None:
        self.known.append(instance.service)

    async def deregister(self, instance: lifecycle.Instance) -> None: ...

    async def keep(self, instance: lifecycle.Instance) -> str:
        return await asyncio.Event().wait()  # type: ignore[return-value]


class Plugin:
    def __init__(self, clearing: float = 0.05) -> None:
        self.registry = Slow(clearing)

    @lifecycle.hookimpl
    def lifecycle_registries(self) -> lifecycle.Registry:
        return self.registry


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Block the loop for an instant only, and have the first registry be late."""
    monkeypatch.setattr(runtime, "USE_TIME", 0.05)
    monkeypatch.setattr(Slow, "opened", 0)


@pytest.mark.parametrize("how", ["use_async", "use in a thread"])
@pytest.mark.parametrize("same", [True, False], ids=["the same object", "another object"])
def test_what_was_late_and_is_used_again(how: str, same: bool) -> None:
    """All it brings is there, though what was late is still clearing up when it comes."""

    async def main() -> None:
        async with lifecycle.Lifecycle(CONFIG) as life:
            late = Plugin()
            with pytest.raises(lifecycle.LifecycleError, match="use_async"):
                life.use(late)
            again = late if same else Plugin()
            if how == "use_async":
                await life.use_async(again)
            else:
                await asyncio.to_thread(life.use, again)
            life.export("orders")
            await life.ready()
            assert again.registry.known == ["orders"]
            with pytest.raises(lifecycle.PluginError, match="registered already"):
                life.use(Plugin())

    asyncio.run(main())


def test_what_comes_through_as_its_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is there, so `use` returns as if it had been in time."""
    wait = concurrent.futures.wait

    def late(outcomes: set[Any], _: float | None) -> Any:
        wait(outcomes, 10)
        return wait(set(), 0)

    async def main() -> None:
        Slow.opened = 1  # not slow
        async with lifecycle.Lifecycle(CONFIG) as life:
            plugin = Plugin()
            with monkeypatch.context() as patched:
                patched.setattr(concurrent.futures, "wait", late)
                life.use(plugin)
            life.export("orders")
            await life.ready()
            assert plugin.registry.known == ["orders"]
            assert "Plugin" in [each["name"] for each in life.snapshot()["plugins"]]

    asyncio.run(main())


def test_who_is_cancelled_as_it_comes_through() -> None:
    """What is at work already stays known by its name."""

    async def main() -> None:
        Slow.opened = 1  # not slow
        async with lifecycle.Lifecycle(CONFIG) as life:
            plugin = Plugin()
            using = asyncio.create_task(life.use_async(plugin))
            await asyncio.sleep(0)
            services = life._conductor.services
            # This loop has no turn meanwhile.
            wait_for(lambda: "slow" in services.registries, 10, "the registry")
            using.cancel()
            with pytest.raises(asyncio.CancelledError):
                await using
            assert "Plugin" in [each["name"] for each in life.snapshot()["plugins"]]
            with pytest.raises(lifecycle.PluginError, match="registered already"):
                await life.use_async(Plugin())

    asyncio.run(main())


def test_what_is_late_when_the_lifecycle_ends(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever asked has gone: neither the end nor an error of its own is left with nobody."""

    async def main() -> None:
        async with lifecycle.Lifecycle(CONFIG) as life:
            with pytest.raises(lifecycle.LifecycleError, match="use_async"):
                life.use(Plugin(clearing=5))

    with caplog.at_level(logging.ERROR, logger="asyncio"):
        asyncio.run(main())
        gc.collect()
    assert "never retrieved" not in caplog.text
