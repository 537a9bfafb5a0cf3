"""From T0 to the end, moment by moment, in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lifecycle.contracts import Instance, Kind, Registry
from lifecycle.drain.exit_code import Ending
from lifecycle.exceptions import Draining
from lifecycle.hookspecs import hookimpl
from lifecycle.states import State
from tests.unit.drain.play import NEVER, Play, soon
from tests.unit.virtual_time import run


def test_an_idle_app() -> None:
    """Nothing in flight: `drained` at settle, out at once after it, exit code 0."""

    async def main() -> None:
        play = await Play().open()
        play.signal()
        assert play.state is State.DRAINING
        assert not (await play.stage.conductor.probes.verdict(Kind.READINESS, play.life)).ok
        assert await play.end() == soon(5)
        assert (play.drained_at, play.seconds) == (soon(5), soon(23))
        assert (play.departure.exit_code, play.state) == (0, State.STOPPED)
        assert play.report["cause"] == "SIGTERM"
        assert play.report["steps"]["deregister"] < 0.1

    run(main())


def test_work_in_flight_is_waited_for() -> None:
    """Until its end, with main told only then."""

    async def main() -> None:
        play = await Play().open()
        work = play.life.track()
        work.__enter__()
        play.at(12, lambda: work.__exit__(None, None, None))
        play.signal()
        assert await play.end() == soon(12)
        assert play.departure.exit_code == 0

    run(main())


def test_work_that_never_ends_is_cut_off() -> None:
    """At the deadline main is told, and what is still in flight makes the exit code 124."""

    async def main() -> None:
        play = await Play().open()
        play.life.track().__enter__()
        play.signal()
        took = await play.end()
        assert play.drained_at == soon(25)
        assert took == soon(28)
        assert (play.departure.exit_code, play.state) == (124, State.FAILED)
        [cut] = play.report["cut_off"]
        assert cut.startswith("tracked work, after 28.0 s, at ")
        shown = play.departure.snapshot(asyncio.get_running_loop().time())
        assert shown is not None
        assert shown["cut_off"] == [cut]
        assert play.report["waited_for"] == "1 in flight"

    run(main())


def test_a_client_that_does_not_notice() -> None:
    """Arrivals that go on to the deadline delay to it, and are named; nothing is cut off."""

    async def main() -> None:
        play = await Play().open()
        play.signal()
        for tick in range(300):
            play.at(tick / 2, lambda: play.stage.core.traffic.arrived("slow-client/1"))
        assert await play.end() == soon(25)
        assert play.departure.exit_code == 0
        assert play.report["disturbed_by"][0].startswith("slow-client/1 (")

    run(main())


class Hook:
    """A plugin whose drain hook takes so long."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.left = 0.0

    @hookimpl
    async def lifecycle_drain(self, drain: Any) -> None:
        """Take that long."""
        self.left = drain.time_left()
        await asyncio.sleep(self.seconds)


@pytest.mark.parametrize(("seconds", "end"), [(0, 5), (9, 9), (NEVER, 25)])
def test_drain_hooks_are_waited_for(seconds: float, end: float) -> None:
    """The drain waits for every hook, at most until its deadline, which the hook knows."""

    async def main() -> None:
        hook = Hook(seconds)
        play = await Play(hook).open()
        play.signal()
        assert await play.end() == soon(end)
        assert hook.left == soon(25)
        assert play.departure.exit_code == 0

    run(main())


class Stuck(Registry):
    """A registry that never answers a deregistration."""

    name = "stuck"

    async def register(self, instance: Instance) -> None:
        """At once."""

    async def deregister(self, instance: Instance) -> None:
        """Never."""
        await asyncio.sleep(NEVER)

    async def keep(self, instance: Instance) -> str:
        """For ever."""
        await asyncio.sleep(NEVER)
        return ""


class WithStuck:
    """Gives it."""

    @hookimpl
    def lifecycle_registries(self) -> Registry:
        """Give it."""
        return Stuck()


def test_a_registry_that_does_not_answer() -> None:
    """It is waited for `register_timeout` seconds, and named in the report."""

    async def main() -> None:
        play = await Play(WithStuck(), register_timeout=8).open()
        play.signal()
        assert await play.end() == soon(8)
        assert play.departure.exit_code == 0
        assert play.report["unregistered"] == ["orders@stuck: no answer for 8 s"]

    run(main())


def test_a_registry_that_was_not_waited_for() -> None:
    """A second signal leaves it a second: the report says that there is no answer yet."""

    async def main() -> None:
        play = await Play(WithStuck(), register_timeout=8).open()
        play.signal()
        play.at(1, play.signal)
        assert await play.end() == soon(2)
        assert play.report["unregistered"] == ["orders@stuck: no answer yet"]

    run(main())


@pytest.mark.parametrize(
    ("given", "end", "code", "state"),
    [
        ({"cleanup": 2.0}, 7, 0, State.STOPPED),
        ({"cleanup": 2.0, "code": 3}, 7, 3, State.FAILED),
        ({"deaf": True}, 28, 124, State.FAILED),
        ({"deaf": True, "code": 3}, 28, 3, State.FAILED),
        ({"stubborn": True, "deaf": True}, 29, 124, State.FAILED),
        ({"job": True}, 5, 0, State.STOPPED),
    ],
)
def test_how_main_may_end(given: dict[str, Any], end: float, code: int, state: State) -> None:
    """It may use the time until T0 + grace − 2, is then cancelled, and waited for one second."""

    async def main() -> None:
        play = Play()
        for name, value in given.items():
            setattr(play, name, value)
        await play.open()
        play.signal()
        assert await play.end() == soon(end)
        assert (play.departure.exit_code, play.state) == (code, state)

    run(main())


def test_main_that_ends_by_itself_skips_settle_and_quiet() -> None:
    """Nobody is served any more: deregistered, and out."""

    async def main() -> None:
        play = await Play().open()
        play.departure.main_ended(Ending(0), "main returned")
        assert await play.end() == soon(0)
        assert [step.after for step in play.stage.conductor.transitions.history][-2:] == [
            State.DRAINING,
            State.STOPPED,
        ]

    run(main())


@pytest.mark.parametrize("terminal", [True, False])
def test_sigint(terminal: bool) -> None:
    """Ctrl-C at a terminal skips settle; SIGINT from elsewhere does not."""

    async def main() -> None:
        play = await Play().open()
        play.signal("SIGINT", terminal=terminal)
        assert await play.end() == soon(0 if terminal else 5)

    run(main())


def test_nobody_can_have_found_us_yet() -> None:
    """A drain in STARTING waits neither for settle nor for quiet; `ready` raises Draining."""

    async def main() -> None:
        play = await Play().open(ready=False)
        play.signal()
        assert await play.end() == soon(0)
        with pytest.raises(Draining):
            await play.life.reached(State.READY)
        with pytest.raises(Draining):
            await play.life.ready()
        with pytest.raises(Draining):
            play.life.export("late")

    run(main())


def test_prestop_then_sigterm() -> None:
    """preStop is answered at the end of the wait; main is told when SIGTERM has come."""

    async def main() -> None:
        play = await Play().open()
        answered = play.prestop()
        play.at(9, play.signal)
        took = await play.end()
        assert await answered == soon(5)
        assert (play.drained_at, took) == (soon(9), soon(9))
        assert play.departure.exit_code == 0

    run(main())


def test_prestop_without_sigterm() -> None:
    """When SIGTERM never comes it goes by itself, in time."""

    async def main() -> None:
        play = await Play().open()
        answered = play.prestop()
        took = await play.end()
        assert await answered == soon(5)
        assert play.drained_at == soon(25)
        assert took == soon(25)

    run(main())


def test_sigterm_during_prestop() -> None:
    """The grace period was shorter than we thought: 1 s more, and out inside 2."""

    async def main() -> None:
        play = await Play().open()
        play.life.track().__enter__()
        answered = play.prestop()
        play.at(7, play.signal)
        took = await play.end()
        assert await answered == soon(8)
        assert play.drained_at == soon(8)
        assert took < 9

    run(main())


def test_prestop_whose_caller_hangs_up() -> None:
    """The drain goes on, and SIGTERM after it joins without a hurry."""

    async def main() -> None:
        play = await Play().open()
        gave_up = play.prestop(lambda: asyncio.sleep(1))
        play.at(2, play.signal)
        took = await play.end()
        assert await gave_up == soon(1)
        assert took == soon(5)

    run(main())


def test_everything_joins_one_drain() -> None:
    """Later preStops and requests join; the cause is the first one's; one report."""

    async def main() -> None:
        play = await Play().open()
        play.life.begin_drain("first")
        several = [play.prestop() for _ in range(3)]
        play.at(1, lambda: play.life.begin_drain("second"))
        play.at(2, play.signal)
        await play.end()
        assert [await each for each in several] == [soon(2)] * 3
        assert play.report["cause"] == "first"
        assert len(play.stage.diary.of("draining")) == 1

    run(main())


def test_a_second_signal_forces() -> None:
    """No more waiting: main is cancelled, exit code 1; deregistration still had its second."""

    async def main() -> None:
        play = await Play(WithStuck()).open()
        play.deaf = True
        play.life.track().__enter__()
        play.signal()
        play.at(3, play.signal)
        assert await play.end() == soon(4)
        assert (play.departure.exit_code, play.state) == (1, State.FAILED)
        assert play.report["forced"] is True

    run(main())


def test_two_signals_within_250_ms_are_one() -> None:
    """A terminal and a supervisor may both send one."""

    async def main() -> None:
        play = await Play().open()
        play.signal("SIGINT")
        play.at(0.2, play.signal)
        assert await play.end() == soon(5)
        assert play.departure.exit_code == 0

    run(main())


def test_forced_in_mains_last_seconds() -> None:
    """Forced after the deadline: main still gets one second to be cancelled in."""

    async def main() -> None:
        play = await Play().open()
        play.deaf = play.stubborn = True
        play.life.track().__enter__()
        play.signal()
        play.at(26.5, play.signal)
        assert await play.end() == soon(27.5)
        assert play.departure.exit_code == 1

    run(main())


def test_an_interrupted_job() -> None:
    """An unmodified main without services that had to be cancelled exits 143."""

    async def main() -> None:
        play = Play()
        play.job = True
        play.host.stop_main = lambda: play.main.cancel()  # noqa: PLW0108 - it comes later
        await play.open(ready=False)
        play.signal()
        await play.end()
        assert (play.departure.exit_code, play.state) == (143, State.STOPPED)

    run(main())


def test_what_status_shows() -> None:
    """`/status` has the step, the cause, the deadline that counts down, and who disturbs."""

    async def main() -> None:
        play = await Play().open()
        assert play.life.snapshot()["drain"] is None
        play.signal()
        play.stage.core.traffic.arrived("curl/8")
        await asyncio.sleep(2)
        shown = play.life.snapshot()["drain"]
        assert shown is not None
        assert (shown["step"], shown["cause"]) == ("wait", "SIGTERM")
        assert (shown["deadline"], shown["elapsed"]) == (soon(23), soon(2))
        assert shown["disturbed_by"] == ["curl/8 (1)"]
        await play.end()
        assert play.life.snapshot()["state"] == "stopped"

    run(main())
