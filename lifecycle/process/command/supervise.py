"""
The main of `lifecycle run -- COMMAND`: a command as a child, which knows nothing of us.

Rules of this file:

1. At T0 nothing is sent: the command serves on until nobody can be lost any more. Then it gets
   its stop signal, once, and it alone: its workers would die of it under their work.
2. The end of the direct child is not the end: what it has left behind is ended too.
3. However this main ends, nothing of the command is left.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Final

from lifecycle import instrumentation
from lifecycle.calls.stacks import Straggler
from lifecycle.calls.until_first import until_first
from lifecycle.drain.elsewhere import Nowhere
from lifecycle.drain.exit_code import USAGE
from lifecycle.drain.health_checks import MONITORS
from lifecycle.drain.uninstrumented import UninstrumentedTraffic
from lifecycle.exceptions import Draining, LifecycleError
from lifecycle.instrumentation.lifecycle_worker.board import VARIABLE
from lifecycle.process.command import uwsgi
from lifecycle.process.command.board_file import BoardFile
from lifecycle.process.command.child import Child, Command, shares_group
from lifecycle.process.command.family import Family, adopt_orphans
from lifecycle.process.command.outcome import Outcome, cut_off, unasked, when_told
from lifecycle.process.command.own_children import OwnChildren
from lifecycle.process.command.processes import command_line
from lifecycle.process.command.services import make_ready
from lifecycle.process.command.traffic import CommandTraffic
from lifecycle.process.command.worker_probes import WorkerProbes
from lifecycle.process.command.workers import Workers
from lifecycle.process.exit_status import say
from lifecycle.runtime import Lifecycle, core_of
from lifecycle.states import State

INSTRUMENTATION: Final = os.path.dirname(instrumentation.__file__)
"""The folder that the command's interpreters find their `sitecustomize` in."""
PASSED_ON: Final = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""What the command means something by: reload, open the log anew, change the binary."""
PASSED_ON_TO_GROUP: Final = (signal.SIGWINCH, signal.SIGTTIN, signal.SIGTTOU)
"""Likewise, unless the terminal sends these to us and the command alike."""
TERMINAL_KEYS: Final = ("SIGINT", "SIGQUIT")
"""What has reached the command too, at a terminal."""
ONE_KEY: Final = 0.25
"""Seconds within which a key that has ended the command begins our drain too."""
AFTER_A_KEY: Final = 1.0
"""Seconds until a command that has not ended by it is told by its stop signal."""
KILL_TIME: Final = 0.8
"""Seconds that the kernel has to end what was killed; a cancelled main has 1 s."""


async def supervise(
    life: Lifecycle, *, command: Command, services: Iterable[tuple[str, int]]
) -> int:
    """
    Run a command to its end: the main of `lifecycle run -- COMMAND`.

    Args:
        life: The lifecycle.
        command: It.
        services: Names and ports to export.

    Returns:
        The exit code.
    """
    adopt_orphans()
    own = OwnChildren(os.getpid())
    own_group = not shares_group()
    with ExitStack() as stack:
        workers = await _workers(life, stack) if command.instrumented else None
        _watch(life, workers, stack)
        stack.enter_context(own.noticed())
        try:
            child = Child(command, environment(workers), own_group=own_group)
        except OSError as error:
            problem = f"{command.name} cannot be started: {error.strerror}"
            life.log.error("command", problem=problem)  # noqa: TRY400 - not ours to trace
            return 1
        core_of(life).answer()
        family = Family(child.pid, child.pid if own_group else 0, own)
        supervisor = Supervisor(life, command, child, family, workers, own_group=own_group)
        return await supervisor.run(services)


async def _workers(life: Lifecycle, stack: ExitStack) -> Workers:
    """Make what the workers tell of themselves by, and have the probes read it."""
    core, config = core_of(life), life.config
    try:
        file = BoardFile(config.run_dir, (*MONITORS, *config.quiet_ignore))
    except LifecycleError as error:
        say(f"lifecycle: {error}")
        raise SystemExit(USAGE) from None
    workers = Workers(file, lambda: core.control.post(core.traffic.nudge))
    stack.callback(workers.close)
    core.traffic.workers = workers.status
    core.running().services.on_held = workers.held
    await life.use_async(
        WorkerProbes(workers, core.app_loop, config.loop_stall_limit, config.ready_stall_limit),
        name="workers",
    )
    return workers


def _watch(life: Lifecycle, workers: Workers | None, stack: ExitStack) -> None:
    """Have the drain go by what the workers tell, or else by what the kernel does."""
    core, config = core_of(life), life.config
    kernel = UninstrumentedTraffic(
        core.running().services.ports,
        early=config.settle - config.quiet,
        nudge=core.traffic.nudge,
    )
    stack.callback(core.control.post, kernel.end)
    core.traffic.elsewhere = CommandTraffic(
        workers or Nowhere(), kernel, lambda: workers is not None and workers.serving.is_set()
    )


def environment(workers: Workers | None) -> dict[str, str]:
    """Return the variables of the command: ours, and what its workers find us by."""
    found = os.environ | uwsgi.environment(os.environ, workers.path if workers else "")
    found[VARIABLE] = workers.path if workers else ""
    if workers is not None:
        before = found.get("PYTHONPATH")
        found["PYTHONPATH"] = INSTRUMENTATION + (os.pathsep + before if before else "")
    return found


class Supervisor:
    """
    Sees one command through. Lives on the app's loop.

    Args:
        life: The lifecycle.
        command: What was started.
        child: As what.
        family: It, and all that it starts.
        workers: What its workers tell of themselves; None: they are not asked.
        own_group: False if the terminal signals it together with us.
    """

    def __init__(
        self,
        life: Lifecycle,
        command: Command,
        child: Child,
        family: Family,
        workers: Workers | None,
        *,
        own_group: bool,
    ) -> None:
        self._life = life
        self._command = command
        self._child = child
        self._family = family
        self._workers = workers
        self._own_group = own_group
        self._services: tuple[tuple[str, int], ...] = ()
        self._changed = asyncio.Event()
        self._failed = False
        self._gave_up = False
        """True once it was told to end although something was in flight: time was over."""

    async def run(self, services: Iterable[tuple[str, int]]) -> int:
        """See it through to its end, and return the exit code."""
        core_of(self._life).app_loop.describe = self._straggler
        self._services = tuple(services)
        with self._signals():
            try:
                async with asyncio.TaskGroup() as group:
                    readying = group.create_task(
                        make_ready(self._life, self._services, self._fail, self._workers)
                    )
                    await self._until_told()
                    readying.cancel()
                outcome = await self._outcome()
                await self._end_what_is_left()
            finally:
                await self._kill()
                if self._workers is not None:
                    self._workers.look(all_again=True)  # what the dead had in flight is no more
        if self._workers is not None and self._gave_up:
            outcome = cut_off(outcome, self._command.name, self._workers.died_at_work)
        if outcome.problem:
            log = self._life.log.error if outcome.code else self._life.log.warning
            log("command", problem=outcome.problem)
        return outcome.code or int(self._failed)

    def _fail(self, cause: str) -> None:
        self._failed = True
        self._life.begin_drain(cause)

    # What arrives

    @contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        passed_on = (*PASSED_ON, *(PASSED_ON_TO_GROUP if self._own_group else ()))
        with ExitStack() as stack:
            loop.add_signal_handler(signal.SIGCHLD, self._look)
            stack.callback(loop.remove_signal_handler, signal.SIGCHLD)
            for number in passed_on:
                if signal.getsignal(number) is not signal.SIG_IGN:  # as `nohup` wants it
                    loop.add_signal_handler(number, self._child.pass_on, number)
            self._look()  # it may have ended before
            yield

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._child.look()
        if self._child.lost:
            self._family.lose()
        self._family.reap(again=partial(loop.call_soon_threadsafe, self._look))
        self._changed.set()

    # What is done

    async def _until_told(self) -> None:
        """Return once the command is to be told to end, or has ended."""
        child = self._child
        while True:
            await until_first(child.ended.wait(), self._life.drained())
            if child.code is None or not (successor := self._family.successor(child.pid)):
                return
            self._life.log.info("command succeeded", pid=child.pid, by=successor)
            child.succeed(successor)
            self._look()  # it may have ended meanwhile

    async def _outcome(self) -> Outcome:
        """Tell the command to end, if it has not, and return what its end means."""
        child, command, life = self._child, self._command, self._life
        if child.code is None:
            await self._stop()
        else:
            child.sent = await self._by_a_key()
        code = child.code if child.code is not None else 1
        if child.sent is not None:
            return when_told(code, child.sent, command.name, job=self._is_job())
        left = [] if life.draining else [command_line(each.pid) for each in self._family.left()]
        served = bool(life.services)
        life.begin_drain(f"{command.name} ended")
        return unasked(
            code, command.name, words=command.words, left=left, served=served, job=self._is_job()
        )

    def _is_job(self) -> bool:
        """Tell whether it has nothing to serve, but work to complete."""
        serves = self._workers is not None and self._workers.serving.is_set()
        return not self._services and not serves

    async def _by_a_key(self) -> signal.Signals | None:
        """Return the signal of the terminal's key that begins the drain; None if none does."""
        if self._own_group:
            return None
        with suppress(TimeoutError, Draining):
            async with asyncio.timeout(ONE_KEY):
                await self._life.reached(State.DRAINING)
        drain = self._life.drain
        if drain is None or drain.cause not in TERMINAL_KEYS:
            return None
        return signal.Signals[drain.cause]

    async def _stop(self) -> None:
        if (key := await self._by_a_key()) is not None:
            self._child.sent = key
            with suppress(TimeoutError):
                await asyncio.wait_for(self._child.ended.wait(), AFTER_A_KEY)
                return
            self._child.sent = None
        else:
            await self._until_idle()
        if self._child.code is not None:
            return
        if self._workers is not None and self._workers.in_flight():
            self._gave_up = True
            self._workers.died_at_work.clear()
        self._child.stop(self._command.stop_signal)
        await self._child.ended.wait()

    async def _until_idle(self) -> None:
        """
        Wait once more until nothing is in flight, unless time is over.

        Since the drain has seen that, a health check may have come, or whoever came while SIGTERM
        was waited for. Between this look and the stop signal there is no turn of the loop.
        """
        workers, ended, drain = self._workers, self._child.ended, self._life.drain
        if workers is None or drain is None:
            return
        while workers.in_flight() and not ended.is_set() and not drain.time_over.happened:
            workers.news.clear()
            await until_first(workers.news.wait(), ended.wait(), drain.time_over.wait())

    async def _end_what_is_left(self) -> None:
        """Have what the command has left behind end: it has the time that main has, or less."""
        if not self._family.send(signal.SIGTERM):
            return
        drain = self._life.drain
        limit = self._life.config.stop_timeout
        if drain is not None:
            limit = min(limit, drain.main_time_left())
        with suppress(TimeoutError):
            async with asyncio.timeout(limit):
                while self._family.left():
                    self._changed.clear()
                    await self._changed.wait()

    async def _kill(self) -> None:
        """Kill all that is left; it is gone when this returns, unless the kernel holds it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(KILL_TIME):
                while self._family.send(signal.SIGKILL):
                    self._changed.clear()
                    await self._changed.wait()
        self._look()  # who has just ended is reaped too
        self._child.reap()

    def _straggler(self) -> Straggler:
        child, name = self._child, self._command.name
        if child.code is not None:
            return Straggler(f"what {name} has left behind", [])
        told = f"which was told to end by {child.sent.name}" if child.sent else "which runs"
        return Straggler(f"{name} (pid {child.pid}), {told}", [])
