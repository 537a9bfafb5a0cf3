"""A lifecycle that starts and ends on somebody's loop: nothing else there stands still."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from lifecycle import plugin_handle
from lifecycle.config import Config
from lifecycle.contracts import Registry
from lifecycle.drain.drain import Drain
from lifecycle.drain.exit_code import Ending
from lifecycle.environment_variables import BOARD
from lifecycle.exceptions import Draining, LifecycleError, NotRunning, PluginError
from lifecycle.hookspecs import hookimpl
from lifecycle.qos.port import Port
from lifecycle.runtime import Lifecycle, core_of, current
from lifecycle.states import State
from tests.process.kit import wait_for
from tests.unit.slow_registry import LIMIT, Cheap, Slow, WithSlow
from tests.unit.virtual_time import Stage, run

QUICK = Config(qos_enabled=False, settle=0, quiet=0, register_timeout=60)


@asynccontextmanager
async def told(registry: Slow) -> AsyncIterator[None]:
    """On this loop: see that the registry opens, and only then let it; it must not stand still."""

    async def tell() -> None:
        while not registry.opening.is_set():
            await asyncio.sleep(0.001)
        registry.go_on.set()

    telling = asyncio.create_task(tell())
    yield
    await asyncio.wait_for(telling, LIMIT)


async def start(plugin: WithSlow) -> None:
    """Start with it."""
    async with Lifecycle(QUICK, plugins=[plugin]) as life:
        assert "slow" in core_of(life).running().services.registries


async def use(plugin: WithSlow) -> None:
    """Use it later."""
    async with Lifecycle(QUICK) as life:
        await life.use_async(plugin, name="mine")
        assert "slow" in core_of(life).running().services.registries
        assert "mine" in core_of(life).plugins.names


@pytest.mark.parametrize("way", [start, use])
def test_a_slow_registry_does_not_hold_up_the_loop(way: Any) -> None:
    """The loop goes on while a registry opens: it is this very loop that lets it."""

    async def main() -> None:
        plugin = WithSlow()
        async with told(plugin.registry):
            await asyncio.wait_for(way(plugin), LIMIT * 2)

    asyncio.run(main())


def test_use_on_a_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is cheap is used at once; a registry that takes longer is undone, with the way out."""
    monkeypatch.setattr(plugin_handle, "USE_TIME", 0.05)

    async def main() -> None:
        async with Lifecycle(QUICK) as life:
            life.use(Cheap())
            assert "cheap" in core_of(life).running().commands
            plugin = WithSlow()
            with pytest.raises(LifecycleError, match=r"await life\.use_async"):
                life.use(plugin, name="mine")
            assert "mine" not in core_of(life).plugins.names
            assert "slow" not in core_of(life).running().services.registries
            plugin.registry.go_on.set()
            await asyncio.to_thread(life.use, plugin, name="mine")
            assert "slow" in core_of(life).running().services.registries

    asyncio.run(main())


def test_what_opens_no_registry_waits_for_a_busy_control_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A machine that is busy does not fail the start: only a registry is given up so soon."""
    monkeypatch.setattr(plugin_handle, "USE_TIME", 0.05)

    async def main() -> None:
        async with Lifecycle(QUICK) as life:
            core_of(life).control.post(lambda: time.sleep(0.5))
            life.use(Cheap())
            assert "cheap" in core_of(life).running().commands

    asyncio.run(main())


def test_plugins_are_made_in_the_apps_thread(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Imported and constructed there, under the loop that runs: they may ask for either."""
    (tmp_path / "of_a_thread.py").write_text(
        "import asyncio, signal\n"
        "LOOP = asyncio.get_running_loop()\n"
        "signal.signal(signal.SIGUSR2, signal.getsignal(signal.SIGUSR2))\n"
        "from lifecycle import hookimpl\n"
        "@hookimpl\n"
        "def lifecycle_readiness(): return True\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    loops: list[asyncio.AbstractEventLoop] = []

    class OfALoop(Cheap):
        def __init__(self) -> None:
            loops.append(asyncio.get_running_loop())

    async def main() -> None:
        config = Config(qos_enabled=False, settle=0, quiet=0, plugins=("of_a_thread",))
        async with Lifecycle(config, plugins=[OfALoop]) as life:
            assert {"of_a_thread", "OfALoop"} <= set(core_of(life).plugins.names)
        assert loops == [asyncio.get_running_loop()]

    asyncio.run(asyncio.wait_for(main(), LIMIT))


class Unmade(Cheap):
    """A plugin whose class raises."""

    def __init__(self) -> None:
        raise ZeroDivisionError("theirs")


def test_a_plugin_that_cannot_be_made() -> None:
    """The start fails with its error, and leaves nothing behind."""

    async def main() -> None:
        life = Lifecycle(QUICK, plugins=[Unmade])
        with pytest.raises(PluginError, match=r"'Unmade': .*ZeroDivisionError: theirs") as raised:
            await life.__aenter__()
        assert isinstance(raised.value.__cause__, ZeroDivisionError)
        with pytest.raises(NotRunning):
            current()
        assert core_of(life).control.join(LIMIT)

    asyncio.run(asyncio.wait_for(main(), LIMIT))


def test_a_start_that_is_cancelled() -> None:
    """It ends at once, though a registry hangs, and leaves nothing behind."""

    async def main() -> None:
        plugin = WithSlow()
        life = Lifecycle(QUICK, plugins=[plugin])
        entering = asyncio.create_task(life.__aenter__())
        await asyncio.to_thread(plugin.registry.opening.wait, LIMIT)
        entering.cancel()
        await asyncio.wait_for(asyncio.wait({entering}), LIMIT)
        assert entering.cancelled()
        assert plugin.registry.closed
        with pytest.raises(NotRunning):
            current()
        assert core_of(life).control.join(LIMIT)

    asyncio.run(main())


def test_a_plugin_whose_class_runs_a_loop() -> None:
    """Made before there is a loop it is a plugin like any other; under one it is refused by name."""

    class RunsALoop(Cheap):
        def __init__(self) -> None:
            work = asyncio.sleep(0)
            try:
                asyncio.run(work)
            finally:
                work.close()

    async def main() -> None:
        with pytest.raises(PluginError, match=r"'RunsALoop': .*asyncio.run\(\) cannot be called"):
            await Lifecycle(QUICK, plugins=[RunsALoop]).__aenter__()

    life = Lifecycle(QUICK, plugins=[RunsALoop])
    core_of(life).open()
    try:
        assert "RunsALoop" in core_of(life).plugins.names
    finally:
        core_of(life).end(Ending(0), "seen")
        core_of(life).close()
        life.log.close(LIMIT)
    asyncio.run(main())


class Refused(WithSlow):
    """A plugin whose registry cannot be had."""

    @hookimpl
    def lifecycle_registries(self) -> Registry:
        """Give none."""
        raise OSError("no route")


def loggers() -> set[threading.Thread]:
    """Return the threads that write logs."""
    return {each for each in threading.enumerate() if each.name == "lifecycle-log"}


@pytest.mark.parametrize("failing", ["a class", "a registry", "cancelled"])
def test_a_start_that_fails_leaves_no_thread(
    caplog: pytest.LogCaptureFixture, failing: str
) -> None:
    """Not that of its log either: an app may try again as often as it likes."""
    before = loggers()
    given = {"a class": Unmade, "a registry": Refused(), "cancelled": WithSlow()}[failing]

    async def main() -> None:
        entering = asyncio.create_task(Lifecycle(QUICK, plugins=[given]).__aenter__())
        if isinstance(given, WithSlow) and failing == "cancelled":
            await asyncio.to_thread(given.registry.opening.wait, LIMIT)
            entering.cancel()
        with pytest.raises((LifecycleError, asyncio.CancelledError)):
            await asyncio.wait_for(entering, LIMIT)

    with caplog.at_level("INFO", logger="lifecycle"):
        asyncio.run(main())
    assert "starting" in caplog.text
    wait_for(lambda: loggers() <= before, LIMIT, "the log's thread")


def test_a_use_that_is_cancelled() -> None:
    """All of what it brings, or nothing."""

    async def main() -> None:
        plugin = WithSlow()
        async with Lifecycle(QUICK) as life:
            using = asyncio.create_task(life.use_async(plugin, name="mine"))
            await asyncio.to_thread(plugin.registry.opening.wait, LIMIT)
            using.cancel()
            await asyncio.wait({using})
            assert using.cancelled()
            assert "mine" not in core_of(life).plugins.names
            assert "slow" not in core_of(life).running().services.registries

    asyncio.run(main())


@pytest.mark.parametrize("ending", ["raises", "hangs"])
def test_a_port_that_does_not_close(ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever leaves the block has left it."""

    async def close(_: Port) -> None:
        if ending == "raises":
            raise OSError("no")
        await asyncio.Event().wait()

    monkeypatch.setattr(Port, "close", close)

    async def main() -> None:
        config = Config(qos_port=0, settle=0, quiet=0)
        async with Lifecycle(config) as life:
            pass
        assert life.state is State.STOPPED

    asyncio.run(asyncio.wait_for(main(), LIMIT))


def test_the_drain_is_there_for_who_serves() -> None:
    """None before T0; then the one that hooks are given, which has the times to close by."""
    given: list[Drain] = []

    class Hooked:
        @hookimpl
        async def lifecycle_drain(self, drain: Drain) -> None:
            given.append(drain)

    async def main() -> None:
        async with Lifecycle(QUICK, plugins=[Hooked()]) as life:
            assert life.drain is None
            life.begin_drain("a deploy")
            await life.reached(State.DRAINING)
            drain = life.drain
            assert drain is not None
            assert drain.cause == "a deploy"
            await drain.settled()
            assert 0 < drain.main_time_left() <= await life.drained() + 1
            assert given == [drain]
        assert life.drain is drain
        core_of(life).in_child = True  # as it is after `os.fork`
        assert life.drain is None

    asyncio.run(asyncio.wait_for(main(), LIMIT))


def test_after_the_end() -> None:
    """What was to be seen is seen; what is too late says so; nothing hangs."""

    async def main() -> None:
        async with Lifecycle(QUICK) as life:
            service = life.export("orders")
            await life.ready()
        assert life.snapshot()["state"] == "stopped"
        assert life.offline("orders") == ["orders"]
        await service.set_offline()
        for late in (lambda: life.export("more"), life.online):
            with pytest.raises(Draining):
                late()
        for coroutine in (life.ready(), service.set_online(), service.registered()):
            with pytest.raises(Draining):
                await coroutine

    asyncio.run(asyncio.wait_for(main(), LIMIT))


async def broken(*_: object) -> None:
    """Break."""
    raise ZeroDivisionError("ours")


def test_a_drain_that_breaks_leaves_nobody_waiting() -> None:
    """An error of our own ends the block, and who waits for a moment of it is told."""

    async def main() -> None:
        async with Lifecycle(QUICK) as life:
            waiting = [
                asyncio.ensure_future(each) for each in (life.drained(), life.reached(State.FAILED))
            ]
            await asyncio.sleep(0)
            core_of(life).running().departure._driver._take = broken  # type: ignore[method-assign]
        for each in waiting:
            with pytest.raises(Draining):
                await each

    asyncio.run(asyncio.wait_for(main(), LIMIT))


@pytest.mark.parametrize("lost", ["snapshot", "over", "close"])
def test_an_end_that_breaks_is_an_end(lost: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever breaks on the way out of the control thread, who leaves the block has left it."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError("ours")

    # What the thread dies of, it says itself.
    monkeypatch.setattr(threading, "excepthook", lambda _: None)

    async def main() -> None:
        async with Lifecycle(QUICK) as life:
            owner = core_of(life) if lost == "close" else core_of(life).running()
            name = "_close_port" if lost == "close" else lost
            monkeypatch.setattr(owner, name, fail)
        assert core_of(life).control.join(LIMIT)

    asyncio.run(asyncio.wait_for(main(), LIMIT))


def test_a_start_that_breaks_is_told_to_who_waits_to_be_ready() -> None:
    """Nobody reads a task's error; `ready()` raises it."""

    async def main() -> None:
        stage = await Stage(QUICK).open()
        stage.conductor._register_all = broken  # type: ignore[method-assign]
        with pytest.raises(ZeroDivisionError, match="ours"):
            await stage.life.ready()
        assert stage.diary.of("not ready")
        stage.life.begin_drain("over")
        await stage.close()

    run(main())


@pytest.mark.parametrize("instrumented", [True, False])
def test_the_lifecycle_of_a_command_is_its_parents(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, instrumented: bool
) -> None:
    """In a worker there is none to be had: the error says where it is, and what to do."""
    board = tmp_path / "board"
    monkeypatch.setenv(BOARD, str(board) if instrumented else "")
    board.touch()
    with pytest.raises(NotRunning, match=r"`lifecycle run -- COMMAND`.*lifecycle run -p NAME"):
        current()


def test_the_board_of_a_command_that_has_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A variable that is left over changes nothing."""
    monkeypatch.setenv(BOARD, str(tmp_path / "gone"))
    with pytest.raises(NotRunning, match="pod-lifecycle is not running"):
        current()
