"""A plugin that is taken out again: as if it had never come."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import lifecycle
from lifecycle.contracts import Kind
from lifecycle.exceptions import ConfigError, LifecycleError
from lifecycle.runtime import core_of
from tests.unit.one_of_everything import Options, Plugin

CONFIG = lifecycle.Config(qos_enabled=False, settle=0, quiet=0, register_timeout=1)


def names(life: lifecycle.Lifecycle, part: Any) -> list[str]:
    """Return the names in one part of `/status`."""
    return [each["name"] for each in life.snapshot()[part]]  # type: ignore[literal-required]


async def ready(life: lifecycle.Lifecycle) -> bool:
    """Ask for readiness."""
    core = core_of(life)
    probes = core.running().probes
    return (await core.control.request(lambda: probes.verdict(Kind.READINESS, life))).ok


def test_nothing_of_it_is_left() -> None:
    """Probes, commands, options and registrations are gone, and its name is free."""

    async def main() -> None:
        async with lifecycle.Lifecycle(CONFIG) as life:
            life.export("orders", port=8080)
            plugin = Plugin()
            installed = await life.use_async(plugin, name="tcp")
            await life.ready()
            assert not await ready(life)
            assert "tcp" in names(life, "plugins")
            assert "tcp" in names(life, "probes")
            assert set(life.snapshot()["services"][0]["registrations"]) == {"local", "consul"}
            assert "greet" in core_of(life).running().commands

            await installed.remove_async()
            assert await ready(life)
            assert "tcp" not in names(life, "plugins") + names(life, "probes")
            assert set(life.snapshot()["services"][0]["registrations"]) == {"local"}
            assert "greet" not in core_of(life).running().commands
            with pytest.raises(ConfigError, match="not the options class"):
                life.config.options(Options)

            again = Plugin()
            again.ok = True
            await life.use_async(again, name="tcp")
            await life.services["orders"].registered()
            assert await ready(life)
        theirs = [each for each in plugin.diary if each.islower()]
        assert theirs == ["opened", "registered orders", "deregistered orders", "closed"]
        assert not {"DRAINING", "STOPPED"} & set(plugin.diary)
        assert "drain" in again.diary

    asyncio.run(main())


def test_its_registry_is_not_waited_for_by_readiness() -> None:
    """While it is still deregistered there, and does not answer, the app is ready and drains."""

    async def main() -> None:
        async with lifecycle.Lifecycle(CONFIG) as life:
            life.export("orders", port=8080)
            plugin = Plugin()
            plugin.ok = plugin.registry.hangs = True
            installed = await life.use_async(plugin)
            await life.ready()
            removing = asyncio.create_task(installed.remove_async())
            await asyncio.sleep(0.05)
            assert await ready(life)
            assert not removing.done()
            await removing
        assert plugin.diary[-1] == "closed"
        assert plugin.diary.count("closed") == 1

    asyncio.run(main())


def test_a_removal_under_way_when_the_app_drains() -> None:
    """What is registered there is deregistered first, as everywhere."""

    async def main() -> None:
        plugin = Plugin()
        plugin.ok, plugin.registry.takes = True, 0.4
        async with lifecycle.Lifecycle(CONFIG) as life:
            life.export("orders", port=8080)
            installed = await life.use_async(plugin)
            await life.ready()
            removing = asyncio.create_task(installed.remove_async())
            await asyncio.sleep(0.05)
            life.begin_drain("the test")
            await life.drained()
            assert "deregistered orders" in plugin.diary
        await removing
        theirs = [each for each in plugin.diary if each.islower()]
        assert theirs == ["opened", "registered orders", "deregistered orders", "closed"]

    asyncio.run(main())


def test_the_same_registry_again_while_it_is_being_left() -> None:
    """The new one waits: what the old one still deregisters would be the new one's."""

    async def main() -> None:
        first, second = Plugin(), Plugin()
        first.ok = second.ok = True
        second.registry.diary = first.registry.diary
        first.registry.takes = 0.4
        async with lifecycle.Lifecycle(CONFIG) as life:
            life.export("orders", port=8080)
            installed = await life.use_async(first, name="first")
            await life.ready()
            removing = asyncio.create_task(installed.remove_async())
            await asyncio.sleep(0.05)
            await life.use_async(second, name="second")
            await life.services["orders"].registered()
            await removing
            theirs = [each for each in first.diary if each.islower()]
            once = ["opened", "registered orders"]
            assert theirs == [*once, "deregistered orders", "closed", *once]

    asyncio.run(main())


def test_a_registry_that_does_not_let_go(caplog: pytest.LogCaptureFixture) -> None:
    """A removal that is late says nothing of asyncio's."""

    async def main() -> None:
        plugin = Plugin()
        async with lifecycle.Lifecycle(CONFIG) as life:
            life.export("orders", port=8080)
            plugin.ok = plugin.registry.hangs = True
            installed = await life.use_async(plugin)
            await life.ready()
            await installed.remove_async()

    asyncio.run(main())
    gc.collect()
    assert [each for each in caplog.records if each.name == "asyncio"] == []


def test_the_end_closes_what_a_removal_is_leaving() -> None:
    """A registry that is being left when the app ends is closed, once."""

    async def main() -> None:
        plugin = Plugin()
        plugin.registry.hangs = True
        async with lifecycle.Lifecycle(CONFIG) as life:
            life.export("orders", port=8080)
            plugin.ok = True
            installed = await life.use_async(plugin)
            await life.ready()
            removing = asyncio.create_task(installed.remove_async())
            await asyncio.sleep(0.05)
        await removing
        assert plugin.diary.count("closed") == 1

    asyncio.run(main())


def test_a_removal_goes_on_if_its_caller_is_cancelled() -> None:
    """Cancelling who waits for it leaves nothing half done."""

    async def main() -> None:
        async with lifecycle.Lifecycle(CONFIG) as life:
            life.export("orders", port=8080)
            plugin = Plugin()
            plugin.registry.hangs = True
            installed = await life.use_async(plugin)
            removing = asyncio.create_task(installed.remove_async())
            await asyncio.sleep(0.05)
            removing.cancel()
            await asyncio.wait({removing})
            core = core_of(life)
            await core.control.request(lambda: core.running().activation.activate("nobody"))
            assert "consul" not in core.running().services.registries
            end = time.monotonic() + 5
            while "closed" not in plugin.diary and time.monotonic() < end:
                await asyncio.sleep(0.02)
            assert plugin.diary[-1] == "closed"

    asyncio.run(main())


def test_a_probe_under_way_is_given_up() -> None:
    """It counts in no verdict, an async one is cancelled, and a background one runs no more."""
    asked: list[str] = []
    cancelled = threading.Event()

    class Slow:
        @lifecycle.hookimpl
        async def lifecycle_readiness(self) -> bool:
            asked.append("readiness")
            try:
                await asyncio.sleep(5)
            except asyncio.CancelledError:
                cancelled.set()
                raise
            return False

        @lifecycle.hookimpl
        @lifecycle.probe(every=0.1)
        def lifecycle_liveness(self) -> bool:
            asked.append("liveness")
            return False

    async def main() -> None:
        async with lifecycle.Lifecycle(CONFIG) as life:
            await life.ready()
            installed = life.use(Slow())
            verdict = asyncio.create_task(ready(life))
            while not {"readiness", "liveness"} <= set(asked):
                await asyncio.sleep(0.01)
            await installed.remove_async()
            assert await verdict
            assert await asyncio.to_thread(cancelled.wait, 2)
            before = len(asked)
            await asyncio.sleep(0.25)
            assert len(asked) == before
            assert set(names(life, "probes")) == {"state", "services", "loop"}

    asyncio.run(main())


def test_a_startup_probe_that_is_gone_holds_nobody_up() -> None:
    """Startup waits for it no longer; a new one of that name is asked itself."""

    async def main() -> None:
        async with lifecycle.Lifecycle(CONFIG) as life:
            await life.ready()
            installed = life.use(Plugin(), name="tcp")
            assert not await ready(life)
            await installed.remove_async()
            again = life.use(Plugin(), name="tcp")
            assert not await ready(life)
            await again.remove_async()
            assert await ready(life)

    asyncio.run(main())


def test_twice_while_draining_and_after_the_end() -> None:
    """It does no harm: the drain deregisters and closes, and afterwards there is nothing to do."""

    async def main() -> None:
        plugins = Plugin(), Plugin()
        async with lifecycle.Lifecycle(CONFIG) as life:
            life.export("orders", port=8080)
            twice, late = plugins
            twice.ok = late.ok = True
            first = life.use(twice, name="first")
            first.remove()
            await first.remove_async()
            second = life.use(late, name="second")
            await life.ready()
            life.begin_drain("the test")
            second.remove()
            await life.drained()
        second.remove()
        await second.remove_async()
        assert twice.diary == ["opened", "closed"]
        assert late.diary[-2:] == ["deregistered orders", "closed"]

    asyncio.run(main())


def test_in_threads_and_on_the_control_thread() -> None:
    """A thread waits until the registry is closed; the control thread would wait for itself."""

    async def main() -> None:
        async with lifecycle.Lifecycle(CONFIG) as life:
            plugin = Plugin()
            installed = await asyncio.to_thread(life.use, plugin)
            with pytest.raises(LifecycleError, match="must not be called on the control thread"):
                core_of(life).control.call(installed.remove)
            await asyncio.to_thread(installed.remove)
            assert plugin.diary == ["opened", "closed"]

    asyncio.run(main())


def test_one_that_is_switched_off_takes_nobody_out() -> None:
    """A plugin that `no:NAME` leaves out has no part in another of that name."""

    class Off:
        @lifecycle.hookimpl
        def lifecycle_options(self) -> type[object]:
            return Disabled

        @lifecycle.hookimpl
        def lifecycle_readiness(self) -> bool:
            return False

    async def main() -> None:
        async with lifecycle.Lifecycle(CONFIG) as life:
            off = life.use(Off(), name="tcp")
            await life.use_async(Plugin(), name="tcp")
            await off.remove_async()
            assert "tcp" in names(life, "plugins")

    asyncio.run(main())


@dataclass(frozen=True)
class Disabled:
    """Options of a plugin that is off."""

    enabled: bool = False


def test_a_plugins_log_has_its_name(caplog: pytest.LogCaptureFixture) -> None:
    """What a hook logs with `me.log` says which plugin it was, unless it says so itself."""
    caplog.set_level("DEBUG", "lifecycle")

    class Talking:
        @lifecycle.hookimpl
        def lifecycle_start(self, me: lifecycle.Me) -> None:
            me.log.debug("detail")
            me.log.info("connected", host="db")
            me.log.warning("slow", plugin="another")
            me.log.error("gone")

    async def main() -> None:
        async with lifecycle.Lifecycle(CONFIG, plugins=[Talking()]):
            pass

    asyncio.run(main())
    said = [(each.levelname, each.getMessage()) for each in caplog.records]
    assert [each for each in said if "plugin=" in each[1]] == [
        ("DEBUG", "event=detail plugin=Talking"),
        ("INFO", "event=connected plugin=Talking host=db"),
        ("WARNING", "event=slow plugin=another"),
        ("ERROR", "event=gone plugin=Talking"),
    ]


def answered(url: str) -> tuple[int, str]:
    """Ask over HTTP."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


def test_over_http(tmp_path: Path) -> None:
    """Its probe and its command are answered until it is removed, and are unknown from then on."""

    async def main() -> None:
        config = lifecycle.Config(qos_port=0, run_dir=str(tmp_path), settle=0, quiet=0)
        async with lifecycle.Lifecycle(config) as life:

            async def get(path: str) -> tuple[int, str]:
                return await asyncio.to_thread(answered, f"{life.qos_url}/{path}")

            await life.ready()
            installed = await life.use_async(Plugin(), name="tcp")
            assert await get("ready") == (503, "false")
            assert (await get("ready/tcp"))[0] == 503
            assert await get("greet") == (200, "hello\n")
            await installed.remove_async()
            assert await get("ready") == (200, "true")
            assert (await get("ready/tcp"))[0] == 404
            assert (await get("greet"))[0] == 404
            status = json.loads((await get("status"))[1])
            assert "tcp" not in [each["name"] for each in status["plugins"] + status["probes"]]
            assert "/greet" not in (await get("help"))[1]

    asyncio.run(main())
