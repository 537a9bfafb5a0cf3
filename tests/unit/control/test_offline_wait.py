"""`lifecycle offline --wait`: until nobody is served, or why not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from lifecycle.contracts import Level, Request
from lifecycle.drain.elsewhere import Nowhere
from lifecycle.exceptions import Draining, OnlineAgain, StillServing
from lifecycle.hookspecs import hookimpl
from lifecycle.runtime import core_of
from tests.unit.control.registries import Scripted, fine, hang
from tests.unit.drain.play import Play, soon
from tests.unit.virtual_time import now, run

SETTLE, QUIET = 5, 1


class Scene:
    """A READY app with one service, of which requests are counted."""

    def __init__(self, *plugins: object) -> None:
        self.play = Play(*plugins)
        self.life = self.play.life
        self.gone = asyncio.Event()

    async def open(self) -> Scene:
        await self.play.open()
        self.traffic = core_of(self.life).traffic
        self.traffic.in_use = True
        self.began = now()
        return self

    async def wait(self, service: str = "*", seconds: str = "60") -> tuple[str, float]:
        """Call the command as the QOS port does. Return its answer, and when it came."""
        command, call = self.play.stage.conductor.commands["offline"]
        assert command.timeout is None
        arguments = {"service": service, "wait": seconds}
        asked = Request(arguments, "unix socket", Level.PRIVATE, self._hung_up)
        outcome = await call(asked)
        if outcome.error is not None:
            raise outcome.error
        return outcome.value, now() - self.began

    async def _hung_up(self) -> None:
        await self.gone.wait()

    def at(self, seconds: float, act: Callable[[], Any]) -> None:
        self.play.at(seconds, act)

    def serve(self, since: float, until: float, agent: str = "curl/8") -> None:
        """Have a request in flight."""
        work = self.traffic.track(agent, "/orders", "GET")
        self.at(since, work.__enter__)
        self.at(until, lambda: work.__exit__(None, None, None))

    async def end(self) -> None:
        if self.life.drain is None:
            self.play.signal()
        await self.play.end()


def played(*plugins: object) -> Callable[[Callable[[Scene], Any]], None]:
    """Play a scene in virtual time, to its end."""

    def play(scene: Callable[[Scene], Any]) -> None:
        async def main() -> None:
            made = await Scene(*plugins).open()
            await scene(made)
            await made.end()

        run(main())

    return play


@pytest.mark.parametrize(
    ("requests", "over"),
    [
        ([], SETTLE + QUIET),
        ([(-0.5, 3)], SETTLE + QUIET),
        ([(-0.5, 12)], 12),
        ([(4.75, 5)], SETTLE + QUIET),
        ([(4.75, 5), (5.5, 5.6), (6.25, 6.3)], 6.25 + QUIET),
    ],
)
def test_nobody_is_served_any_more(requests: list[tuple[float, float]], over: float) -> None:
    """After settle, once nothing is in flight, and nothing has come for a while."""

    @played()
    async def scene(scene: Scene) -> None:
        scene.began += 0.5
        for since, until in requests:
            scene.serve(0.5 + since, 0.5 + until)
        await asyncio.sleep(0.5)
        answer, took = await scene.wait()
        assert took == soon(over)
        assert answer == f"OK: orders offline, no client is served (waited {took:.1f} s)"
        assert not scene.life.draining
        scene.life.online()


def test_health_checks_do_not_disturb() -> None:
    """As in a drain."""

    @played()
    async def scene(scene: Scene) -> None:
        for tick in range(20):
            scene.serve(tick / 2, tick / 2 + 0.1, "kube-probe/1.34")
        assert (await scene.wait())[1] == soon(SETTLE + QUIET)


def test_who_comes_later_waits_for_quiet_alone() -> None:
    """What is offline for long and idle is idle: a second wait returns at once."""

    @played()
    async def scene(scene: Scene) -> None:
        await scene.wait()
        scene.began = now()
        answer, took = await scene.wait()
        assert took == soon(0)
        assert answer == "OK: orders offline, no client is served (waited 0.0 s)"


class Stuck:
    """A plugin with a registry from which nothing can be taken away at first."""

    def __init__(self) -> None:
        self.registry = Scripted()
        self.registry.on_deregister = hang

    @hookimpl
    def lifecycle_registries(self) -> Scripted:
        return self.registry


def test_some_services_stay_online() -> None:
    """Deregistration and settle are waited for, and the answer says that requests are not."""

    @played()
    async def scene(scene: Scene) -> None:
        scene.life.export("admin", port=81)
        scene.serve(0, 20)
        answer, took = await scene.wait("ord*")
        assert took == soon(SETTLE)
        assert answer == (
            "OK: orders offline (waited 5.0 s). Other app services are online (admin), so "
            "running requests were not waited for"
        )
        assert not scene.life.sends_clients_away
        scene.began = now()
        assert (await scene.wait("admin"))[1] == soon(15)


OTHERS = [
    ([(2, "offline")], 20, "OK: orders offline, no client is served (waited 20.0 s)"),
    ([(4.9, "offline")], 20, "OK: orders offline, no client is served (waited 20.0 s)"),
    ([(2, "offline"), (4, "online")], SETTLE, "OK: orders offline (waited 5.0 s). Other app"),
    ([(2, "offline"), (8, "online")], 8, "OK: orders offline (waited 8.0 s). Other app services"),
    ([(2, "offline"), (8, "online"), (8, "offline")], 20, "OK: orders offline, no client is"),
    ([(SETTLE + 1, "offline")], SETTLE, "OK: orders offline (waited 5.0 s). Other app services"),
]


@pytest.mark.parametrize(("moves", "over", "said"), OTHERS)
def test_the_other_services_go_offline_meanwhile(
    moves: list[tuple[float, str]], over: float, said: str
) -> None:
    """Once all are offline, requests are waited for. Once one is online again, they are not."""

    @played()
    async def scene(scene: Scene) -> None:
        scene.life.export("admin", port=81)
        scene.serve(0, 20)
        for at, move in moves:
            scene.at(at, partial(getattr(scene.life, move), "admin"))
        answer, took = await scene.wait("orders")
        assert took == soon(over)
        assert answer.startswith(said)


def test_the_others_go_offline_and_settle_is_theirs() -> None:
    """Their clients need as long as any to move away, and quiet is waited for after it."""

    @played()
    async def scene(scene: Scene) -> None:
        scene.life.export("admin", port=81)
        scene.at(3, lambda: scene.life.offline("admin"))
        assert (await scene.wait("orders"))[1] == soon(3 + SETTLE + QUIET)


def test_the_time_is_over_after_the_others_went_offline() -> None:
    """The work in flight is named as if all had gone at once."""

    @played()
    async def scene(scene: Scene) -> None:
        scene.life.export("admin", port=81)
        scene.serve(0, 20)
        scene.at(1, lambda: scene.life.offline("admin"))
        with pytest.raises(StillServing, match=r"\(1 in flight: GET /orders from curl/8\)"):
            await scene.wait("orders", seconds="9")


def test_nothing_is_counted() -> None:
    """Then nobody can know, and the answer says so."""

    @played()
    async def scene(scene: Scene) -> None:
        scene.traffic.in_use = False
        answer, took = await scene.wait()
        assert took == soon(SETTLE + QUIET)
        assert answer.startswith("OK: orders offline (waited 6.0 s). This app does not count")


def test_a_command_that_is_not_instrumented() -> None:
    """It is watched only during the wait, and the answer says what cannot be seen."""

    class Kernel(Nowhere):
        def __init__(self) -> None:
            self.watching: list[bool] = []

        @contextmanager
        def watched(self) -> Any:
            self.watching.append(True)
            yield False
            self.watching.append(False)

    @played()
    async def scene(scene: Scene) -> None:
        kernel = scene.traffic.elsewhere = Kernel()
        answer, _ = await scene.wait()
        assert "The command is not instrumented" in answer
        assert kernel.watching == [True, False]


def test_the_time_is_over_with_work_in_flight() -> None:
    """It is named, and the services stay offline."""

    @played()
    async def scene(scene: Scene) -> None:
        scene.serve(0, 20)
        with pytest.raises(StillServing) as failed:
            await scene.wait(seconds="7.5")
        assert now() - scene.began == soon(7.5)
        assert str(failed.value) == (
            "timed out after 7.5 s (1 in flight: GET /orders from curl/8). The app services stay "
            "offline. To wait longer, repeat the command. To serve again, run lifecycle online"
        )
        assert failed.value.see.endswith("errors.md#offline-wait-ended")
        assert not scene.life.services["orders"].online


def test_the_time_is_over_while_requests_arrive() -> None:
    """Who sends them is named, with how many."""

    @played()
    async def scene(scene: Scene) -> None:
        for tick in range(20):
            scene.serve(tick / 2, tick / 2 + 0.1)
        with pytest.raises(StillServing, match=r"\(requests still arrive: curl/8 \(16\)\)"):
            await scene.wait(seconds="7.8")


def test_the_time_is_over_before_settle() -> None:
    """It says how long that takes still."""

    @played()
    async def scene(scene: Scene) -> None:
        with pytest.raises(StillServing, match=r"timed out after 2 s \(settle ends in 3\.0 s\)\."):
            await scene.wait(seconds="2")


def test_a_registry_does_not_answer() -> None:
    """The registration is named, and the next wait ends once the registry answers."""
    stuck = Stuck()

    @played(stuck)
    async def scene(scene: Scene) -> None:
        with pytest.raises(
            StillServing, match=r"\(still registered: orders@reg \(no answer yet\)\)"
        ):
            await scene.wait(seconds="8")
        stuck.registry.on_deregister = fine
        answer, took = await scene.wait()
        assert answer.startswith("OK: orders offline, no client is served")
        assert 10 <= took < 11


def test_a_service_is_online_again() -> None:
    """Of all, if all were offline: clients are served again."""

    @played()
    async def scene(scene: Scene) -> None:
        scene.life.export("admin", port=81)
        scene.life.offline("admin")
        scene.at(2, lambda: scene.life.online("admin"))
        with pytest.raises(OnlineAgain, match=r"because an app service is online again: admin\n"):
            await scene.wait("orders")
        assert now() - scene.began == soon(2)


def test_another_service_comes_online() -> None:
    """It matters to nobody who waits for others, of which some were online anyway."""

    @played()
    async def scene(scene: Scene) -> None:
        for name in ("admin", "shop"):
            scene.life.export(name, port=None)
        scene.life.offline("admin")
        scene.at(2, lambda: scene.life.online("admin"))
        assert (await scene.wait("orders"))[1] == soon(SETTLE)
        scene.life.online("orders")
        scene.at(1, lambda: scene.life.online("orders"))
        with pytest.raises(OnlineAgain, match=r"orders\n"):
            await scene.wait("orders")


def test_a_new_service() -> None:
    """One that is exported meanwhile is online, so clients come."""

    @played()
    async def scene(scene: Scene) -> None:
        scene.at(2, lambda: scene.life.export("admin", port=81))
        with pytest.raises(OnlineAgain, match=r"admin\n"):
            await scene.wait()


@pytest.mark.parametrize("at", [-1, 2])
def test_a_drain(at: float) -> None:
    """It has begun, or begins meanwhile: there is no maintenance to wait for."""

    @played()
    async def scene(scene: Scene) -> None:
        if at < 0:
            scene.play.signal()
        else:
            scene.at(at, scene.play.signal)
        with pytest.raises(Draining, match="not possible while the app is draining"):
            await scene.wait()
        assert now() - scene.began == soon(max(0, at))


def test_the_caller_is_gone() -> None:
    """Then nobody waits, and the services stay offline."""

    @played()
    async def scene(scene: Scene) -> None:
        scene.at(2, scene.gone.set)
        assert await scene.wait() == ("", soon(2))
        assert not scene.life.services["orders"].online


def test_two_wait() -> None:
    """Each gets its answer, at its own time."""

    @played()
    async def scene(scene: Scene) -> None:
        scene.serve(0, 9)
        first, second = await asyncio.gather(
            scene.wait(seconds="7"), scene.wait(), return_exceptions=True
        )
        assert isinstance(first, StillServing)
        assert not isinstance(second, BaseException)
        assert second[1] == soon(9)


@pytest.mark.parametrize("given", ["0", "-1", "soon", "nan", "86401", ""])
def test_a_wait_that_is_none(given: str) -> None:
    """It is refused, and nothing is taken offline."""

    @played()
    async def scene(scene: Scene) -> None:
        with pytest.raises(Exception, match="argument wait must be a number of seconds"):
            await scene.wait(seconds=given)
        assert scene.life.services["orders"].online
