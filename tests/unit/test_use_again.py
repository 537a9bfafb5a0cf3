"""A plugin whose registry was late, used once more: as if the first time had not been."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import logging
from typing import Any, Self

import pytest

import lifecycle
from lifecycle import plugin_handle
from lifecycle.runtime import core_of
from tests.process.kit import wait_for

CONFIG = lifecycle.Config(qos_port=0, settle=0.0, quiet=0.0)


class Slow(lifecycle.Registry):
    """Takes its time to open once, and to clear up after that."""

    name = "slow"
    opened = 0

    def __init__(self, clearing: float) -> None:
        self.clearing = clearing
        self.known: list[str] = []
        self.closed = 0

    async def __aenter__(self) -> Self:
        Slow.opened += 1
        if Slow.opened == 1:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(self.clearing)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.closed += 1

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


class Stubborn(Slow):
    """Opens although it is cancelled, as what ends in 3.11's `wait_for` at that moment does."""

    async def __aenter__(self) -> Self:
        try:
            return await super().__aenter__()
        except asyncio.CancelledError:
            return self


class Lingering(Slow):
    """Tells when it is about to close, and takes its time for that."""

    name = "lingering"

    def __init__(self) -> None:
        super().__init__(0)
        self.closing = asyncio.Event()

    async def __aexit__(self, *_: object) -> None:
        self.closing.set()
        await asyncio.sleep(0.1)


class LastMinute(Slow):
    """Opens when others are closed already."""

    def __init__(self, others: asyncio.Event) -> None:
        super().__init__(0)
        self.others = others

    async def __aenter__(self) -> Self:
        await self.others.wait()
        return self


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Block the loop for an instant only, and have the first registry be late."""
    monkeypatch.setattr(plugin_handle, "USE_TIME", 0.05)
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
            with pytest.raises(lifecycle.PluginError, match="already registered"):
                life.use(Plugin())

    asyncio.run(main())


@pytest.mark.parametrize("how", ["use", "use_async"])
def test_what_opens_although_it_is_given_up(how: str) -> None:
    """It is closed, and nothing of it is there; used again it is as new."""

    async def main() -> None:
        async with lifecycle.Lifecycle(CONFIG) as life:
            plugin = Plugin()
            plugin.registry = registry = Stubborn(0.05)
            if how == "use":
                with pytest.raises(lifecycle.LifecycleError, match="use_async"):
                    life.use(plugin)
            else:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(life.use_async(plugin), 0.05)
            life.export("orders")
            await life.ready()
            assert "Plugin" not in [each["name"] for each in life.snapshot()["plugins"]]
            await life.use_async(plugin)
            assert (registry.closed, registry.opened) == (1, 2)
            await life.services["orders"].registered()
            assert registry.known == ["orders"]
        assert registry.closed == 2

    asyncio.run(main())


@pytest.mark.parametrize("when", ["as the others close", "as the thread ends"])
def test_what_opens_when_the_registries_are_closed(when: str) -> None:
    """It is closed too, and whoever waits for it is told that the lifecycle has ended."""

    async def main() -> None:
        async with lifecycle.Lifecycle(CONFIG) as life:
            first, late = Plugin(), Plugin()
            first.registry = lingering = Lingering()
            Slow.opened = 1  # not slow
            await life.use_async(first, name="first")
            if when == "as the others close":
                late.registry = LastMinute(lingering.closing)
            else:
                Slow.opened = 0
                late.registry = Stubborn(0)
            using = asyncio.create_task(life.use_async(late))
            await asyncio.sleep(0.05)
        with pytest.raises(lifecycle.NotRunning, match="has ended"):
            await using
        assert late.registry.closed == 1

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
            services = core_of(life).conductor.services
            # This loop has no turn meanwhile.
            wait_for(lambda: "slow" in services.registries, 10, "the registry")
            using.cancel()
            with pytest.raises(asyncio.CancelledError):
                await using
            assert "Plugin" in [each["name"] for each in life.snapshot()["plugins"]]
            with pytest.raises(lifecycle.PluginError, match="already registered"):
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
