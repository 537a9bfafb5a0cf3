"""The departure under any order of what can happen to it, by Hypothesis, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from lifecycle.config import Config
from lifecycle.contracts import Instance, Registry
from lifecycle.drain.exit_code import Ending
from lifecycle.exceptions import Draining, ServiceNotFound
from lifecycle.hookspecs import hookimpl
from lifecycle.states import TRANSITIONS, State
from tests.unit.virtual_time import Stage, VirtualTimeLoop, now

NAMES = st.sampled_from(["orders", "billing"])
SIGNALS = st.sampled_from(["SIGTERM", "SIGINT"])
SOON = 0.25


class Moody(Registry):
    """A registry that works, is away, or does not answer."""

    name = "moody"

    def __init__(self) -> None:
        self.mood = "works"
        self.there: set[str] = set()
        self._lost: dict[str, asyncio.Event] = {}

    async def _answer(self) -> None:
        if self.mood == "away":
            raise OSError("away")
        if self.mood == "hangs":
            await asyncio.sleep(1e9)
        await asyncio.sleep(0.01)

    async def register(self, instance: Instance) -> None:
        """Register, in a good mood."""
        await self._answer()
        self.there.add(instance.service)

    async def deregister(self, instance: Instance) -> None:
        """Deregister, in a good mood."""
        await self._answer()
        self.there.discard(instance.service)

    async def keep(self, instance: Instance) -> str:
        """Keep it until it is lost."""
        lost = self._lost[instance.service] = asyncio.Event()
        await lost.wait()
        self.there.discard(instance.service)
        return "lost"

    def lose(self, name: str) -> None:
        """Forget a registration."""
        if name in self._lost:
            self._lost[name].set()


class Theirs:
    """A plugin with a registry, and the hooks of an end, of some temper."""

    def __init__(self, drain: str, transition: str, stop: str) -> None:
        self.registry = Moody()
        self.seen: list[State] = []
        self._drain = drain
        self._transition = transition
        self._stop = stop
        self.stopped = 0

    @hookimpl
    def lifecycle_registries(self) -> Registry:
        """Give the registry."""
        return self.registry

    @hookimpl
    async def lifecycle_drain(self) -> None:
        """Do as the temper says."""
        await self._act(self._drain)

    @hookimpl
    async def lifecycle_stop(self, stop: Any) -> None:
        """Do as the temper says."""
        self.stopped += 1
        assert 0 <= stop.seconds_left <= 3
        await self._act(self._stop)

    @hookimpl
    async def lifecycle_transition(self, transition: Any) -> None:
        """Note it, then do as the temper says."""
        self.seen.append(transition.after)
        await self._act(self._transition)

    async def _act(self, temper: str) -> None:
        match temper:
            case "raises":
                raise ValueError("no")
            case "slow":
                await asyncio.sleep(2)
            case "hangs":
                await asyncio.sleep(1e9)


class Departures(RuleBasedStateMachine):
    """One app, from its start to its end."""

    @initialize(
        drain=st.sampled_from(["fine", "raises", "slow", "hangs"]),
        transition=st.sampled_from(["fine", "raises", "slow", "hangs"]),
        stop=st.sampled_from(["fine", "raises", "slow", "hangs"]),
        main=st.sampled_from(["polite", "deaf", "stubborn"]),
    )
    def begin(self, drain: str, transition: str, stop: str, main: str) -> None:
        """Begin."""
        self.runner = asyncio.Runner(loop_factory=VirtualTimeLoop)
        self.failures: list[dict[str, Any]] = []
        self.runner.get_loop().set_exception_handler(lambda _, c: self.failures.append(c))
        self.plugin = Theirs(drain, transition, stop)
        self.temper = main
        self.prestops: list[tuple[asyncio.Task[None], asyncio.Event]] = []
        self.waiting: list[asyncio.Task[None]] = []
        self.work: list[Any] = []
        self.told_at: float | None = None
        self.forced = False
        self.drained: list[float] = []
        self.done_at: float | None = None
        self.do(self._open())

    async def _open(self) -> None:
        self.stage = Stage(Config(), (self.plugin,))
        self.departure = self.stage.departure
        await self.stage.open()
        self.finish: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.main = asyncio.create_task(self._main())
        self.stage.host.cancel_main = self.main.cancel  # type: ignore[assignment, method-assign]
        self.stage.task.add_done_callback(lambda _: setattr(self, "done_at", now()))

    async def _main(self) -> None:
        drained = asyncio.ensure_future(self.stage.life.drained())
        drained.add_done_callback(lambda done: self.drained.append(done.result()))
        code = 0
        waits = {self.finish, drained} if self.temper == "polite" else {self.finish}
        while True:
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                await asyncio.sleep(0.1)
            except asyncio.CancelledError:
                if self.temper == "stubborn":
                    continue
            if self.finish.done():
                code = self.finish.result()
            break
        self.departure.main_ended(Ending(code), "main ended")

    def do(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something on the loop."""
        self.runner.run(work)

    @property
    def life(self) -> Any:
        """The lifecycle."""
        return self.stage.life

    @property
    def state(self) -> State:
        """Its state."""
        return self.stage.conductor.transitions.state

    @rule(seconds=st.sampled_from([0.0, 0.02, 0.3, 1.0, 4.0, 9.0]))
    def time_passes(self, seconds: float) -> None:
        """Wait."""
        self.do(asyncio.sleep(seconds))

    @rule(name=NAMES)
    def export(self, name: str) -> None:
        """Export: refused from DRAINING on, and only then."""

        async def act() -> None:
            try:
                self.life.export(name, port=80)
            except Draining:
                assert self.state.leaving
            else:
                assert not self.state.leaving

        self.do(act())

    @rule()
    def ready(self) -> None:
        """Become ready, some time."""

        async def wait() -> None:
            try:
                await self.life.ready()
            except Draining:
                assert self.state.leaving

        async def act() -> None:
            self.waiting.append(asyncio.create_task(wait()))

        self.do(act())

    @rule(glob=st.sampled_from(["*", "orders", "x"]), online=st.booleans())
    def operate(self, glob: str, online: bool) -> None:
        """Take services offline and online."""

        async def act() -> None:
            try:
                self.life.online(glob) if online else self.life.offline(glob)
            except Draining:
                assert online
                assert self.state.leaving
            except ServiceNotFound:
                assert not [name for name in self.life.services if glob in ("*", name)]

        self.do(act())

    @rule(mood=st.sampled_from(["works", "away", "hangs"]))
    def change_mood(self, mood: str) -> None:
        """Let the registry work, be away, or hang."""
        self.plugin.registry.mood = mood

    @rule(name=NAMES)
    def lose(self, name: str) -> None:
        """Lose a registration."""

        async def act() -> None:
            self.plugin.registry.lose(name)

        self.do(act())

    @rule(name=SIGNALS, terminal=st.booleans())
    def signal(self, name: str, terminal: bool) -> None:
        """Get a signal."""

        async def act() -> None:
            if not self.state.leaving or self.state is State.DRAINING:
                again = self.told_at is not None and now() - self.told_at >= SOON
                self.forced |= again
                if again or self.told_at is None:
                    self.told_at = now()
            self.departure.signal(name, terminal=terminal)

        self.do(act())

    @rule()
    def prestop(self) -> None:
        """Call preStop."""

        async def act() -> None:
            gone = asyncio.Event()

            async def left() -> None:
                await gone.wait()

            self.prestops.append((asyncio.create_task(self.departure.prestop(left)), gone))

        self.do(act())

    @precondition(lambda self: self.prestops)
    @rule(which=st.integers(0, 3))
    def hang_up(self, which: int) -> None:
        """Let the caller of preStop hang up."""

        async def act() -> None:
            self.prestops[which % len(self.prestops)][1].set()

        self.do(act())

    @rule()
    def begin_drain(self) -> None:
        """Ask for the drain from within."""

        async def act() -> None:
            self.life.begin_drain("asked")

        self.do(act())

    @rule(code=st.sampled_from([0, 3]))
    def main_ends(self, code: int) -> None:
        """Let main end by itself."""

        async def act() -> None:
            if not self.finish.done():
                self.finish.set_result(code)

        self.do(act())

    @rule()
    def work_begins(self) -> None:
        """Have one more piece of work in flight."""

        async def act() -> None:
            work = self.life.track()
            work.__enter__()
            self.work.append(work)

        self.do(act())

    @precondition(lambda self: self.work)
    @rule()
    def work_ends(self) -> None:
        """Have one less."""

        async def act() -> None:
            self.work.pop().__exit__(None, None, None)

        self.do(act())

    def teardown(self) -> None:
        """See it out, and look at how it went."""
        if not hasattr(self, "runner"):
            return
        try:
            self.do(self._see_out())
        finally:
            if not self.finish.done():
                self.finish.get_loop().call_soon(self.finish.set_result, 0)
            self.runner.close()
        assert self.failures == []

    async def _see_out(self) -> None:
        if self.departure.drain is None:
            self.departure.signal("SIGTERM", terminal=False)
        await asyncio.wait({self.stage.task}, timeout=60)
        assert self.stage.task.done(), "it never came to its end"
        self.stage.task.result()
        timetable, departure = self.departure.drain.timetable, self.departure  # type: ignore[union-attr]

        assert self.done_at is not None
        assert self.done_at <= timetable.exit_by
        assert timetable.exit_by <= timetable.began + 30 - 0.5

        assert self.plugin.stopped == 1
        history = self.stage.conductor.transitions.history
        walked = State.STARTING
        for step in history:
            assert step.before is walked
            assert step.after in TRANSITIONS[walked].values()
            walked = step.after
        assert [step.after for step in history].count(State.DRAINING) == 1
        assert walked is (State.STOPPED if departure.exit_code in (0, 143) else State.FAILED)
        assert self.plugin.seen == [step.after for step in history][: len(self.plugin.seen)]

        services = self.stage.conductor.services
        assert not any(
            c.wanted for e in services.entries.values() for c in e.registrations.values()
        )
        if self.plugin.registry.mood == "works" and timetable.wait_until - timetable.began > 20:
            assert self.plugin.registry.there == set()

        assert departure.report.forced is self.forced
        ending = departure.ending
        wanted = 1 if self.forced else (ending.code if ending else 0)
        cut = bool(departure.report.cut_off)
        assert departure.exit_code == (wanted or (124 if cut or ending is None else 0))

        await asyncio.sleep(0.01)
        assert len(self.drained) <= 1
        assert departure.drained.happened
        assert all(task.done() for task, _ in self.prestops)
        assert all(task.done() for task in self.waiting)
        for task in (*self.waiting, *(task for task, _ in self.prestops)):
            task.result()
        for _ in range(len(self.work)):
            self.work.pop().__exit__(None, None, None)
        if not self.finish.done():
            self.finish.set_result(0)
        self.stage.core.app_loop.detach()
        await asyncio.sleep(5)
        left = asyncio.all_tasks() - {asyncio.current_task(), self.main}
        assert left == set(), left


TestDepartures = Departures.TestCase
TestDepartures.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
