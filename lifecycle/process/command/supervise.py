"""
The main of `lifecycle run -- COMMAND`: a command as a child process, without changes to it.

Rules of this file:

1. When the drain starts, nothing is sent to the command. It serves until no client can lose a
   request any more. Then it gets its stop signal, once. Its workers do not get the signal, because
   it would end them in the middle of requests.
2. The end of the direct child is not the end of the run: processes that it has left are ended too.
3. However this main ends, no process of the command is left.
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
from lifecycle.links import help_page
from lifecycle.process.command import uwsgi
from lifecycle.process.command.board_file import BoardFile
from lifecycle.process.command.child import Child, Command, shares_group
from lifecycle.process.command.family import Family, adopt_orphans
from lifecycle.process.command.outcome import Outcome, cut_off, unasked, when_told
from lifecycle.process.command.own_children import OwnChildren
from lifecycle.process.command.processes import command_line
from lifecycle.process.command.questions import Questions
from lifecycle.process.command.services import make_ready
from lifecycle.process.command.traffic import CommandTraffic
from lifecycle.process.command.worker_probes import WorkerProbes
from lifecycle.process.command.workers import Workers
from lifecycle.process.exit_status import say_error
from lifecycle.runtime import Lifecycle, core_of
from lifecycle.states import State

INSTRUMENTATION: Final = os.path.dirname(instrumentation.__file__)
"""The folder in which the command's Python processes find our `sitecustomize`."""
PASSED_ON: Final = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
"""Signals that servers use for reloading, reopening the log or replacing the binary."""
PASSED_ON_TO_GROUP: Final = (signal.SIGWINCH, signal.SIGTTIN, signal.SIGTTOU)
"""The same, but not passed on if the terminal has sent the signal to the command too."""
TERMINAL_KEYS: Final = ("SIGINT", "SIGQUIT")
"""Signals that a terminal sends to the command too."""
ONE_KEY: Final = 0.25
"""Seconds within which a key that has ended the command also starts our drain."""
AFTER_A_KEY: Final = 1.0
"""Seconds after which a command that a key has not ended gets its stop signal."""
KILL_TIME: Final = 0.8
"""Seconds for the kernel to end killed processes. A cancelled main has 1 s."""


async def supervise(
    life: Lifecycle, *, command: Command, services: Iterable[tuple[str, int]]
) -> int:
    """
    Run a command until it ends, as the main of `lifecycle run -- COMMAND`.

    Args:
        life: The `Lifecycle` object.
        command: The command.
        services: Names and ports of the app services to publish.

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
            life.log.error(  # noqa: TRY400 - a traceback would not help
                "command", problem=problem, see=help_page("errors.md#command-cannot-start")
            )
            return 1
        core_of(life).start_report.main("first worker" if workers is not None else "open port")
        core_of(life).answer()
        family = Family(child.pid, child.pid if own_group else 0, own)
        supervisor = Supervisor(life, command, child, family, workers, own_group=own_group)
        return await supervisor.run(services)


async def _workers(life: Lifecycle, stack: ExitStack) -> Workers:
    """Create the board for the workers, and add the probes that read it."""
    core, config = core_of(life), life.config
    try:
        file = BoardFile(config.run_dir, (*MONITORS, *config.quiet_ignore))
    except LifecycleError as error:
        say_error(error)
        raise SystemExit(USAGE) from None
    workers = Workers(
        file,
        lambda: core.control.post(core.traffic.nudge),
        core.traffic.late_arrivals.request,
        core.traffic.is_monitor,
    )
    stack.callback(workers.close)
    if (listener := file.take_listener()) is not None:
        workers.questions = questions = Questions(file.board, listener)
        core.control.post(questions.open)
        stack.callback(core.control.post, questions.close)
    else:
        life.log.warning(
            "workers cannot be asked",
            problem=file.no_listener,
            hint="Requests in flight have no names, for example in the drain report. Set "
            "LIFECYCLE_RUN_DIR to a shorter path",
            see=help_page("errors.md#workers-cannot-be-asked"),
        )
    core.traffic.workers = workers.status
    await life.use_async(
        WorkerProbes(workers, core.app_loop, config.loop_stall_limit, config.ready_stall_limit),
        name="workers",
    )
    return workers


def _watch(life: Lifecycle, workers: Workers | None, stack: ExitStack) -> None:
    """Have the drain count what the workers report; without workers, what the kernel reports."""
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
    """Return the environment of the command: ours, and the variables that its workers need."""
    found = os.environ | uwsgi.environment(os.environ, workers.path if workers else "")
    found[VARIABLE] = workers.path if workers else ""
    if workers is not None:
        before = found.get("PYTHONPATH")
        found["PYTHONPATH"] = INSTRUMENTATION + (os.pathsep + before if before else "")
    return found


class Supervisor:
    """
    Supervises one command from its start to its end. Used on the app's loop.

    Args:
        life: The `Lifecycle` object.
        command: The command.
        child: The process of the command.
        family: The command and all processes that it starts.
        workers: The reports of the workers, or None if the instrumentation is off.
        own_group: False if the terminal sends signals to the command and to this process.
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
        """True if the command was asked to end with requests in flight: the time was over."""

    async def run(self, services: Iterable[tuple[str, int]]) -> int:
        """Supervise the command until its end, and return the exit code."""
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
                    self._workers.look(all_again=True)  # requests of dead workers have ended
        if self._workers is not None and self._gave_up:
            outcome = cut_off(outcome, self._command.name, self._workers.died_at_work)
        if outcome.problem:
            log = self._life.log.error if outcome.code else self._life.log.warning
            log("command", problem=outcome.problem, see=outcome.see and help_page(outcome.see))
        return outcome.code or int(self._failed)

    def _fail(self, cause: str) -> None:
        self._failed = True
        self._life.begin_drain(cause)

    # Arriving signals

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

    # The steps

    async def _until_told(self) -> None:
        """Return once the command must be asked to end, or has ended."""
        child = self._child
        while True:
            await until_first(child.ended.wait(), self._life.drained())
            if child.code is None or not (successor := self._family.successor(child.pid)):
                return
            self._life.log.info("command succeeded", pid=child.pid, by=successor)
            child.succeed(successor)
            self._look()  # it may have ended meanwhile

    async def _outcome(self) -> Outcome:
        """Ask the command to end if it runs, and return the meaning of its end."""
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
        life.begin_drain(f"the command {command.name} ended")
        return unasked(
            code, command.name, words=command.words, left=left, served=served, job=self._is_job()
        )

    def _is_job(self) -> bool:
        """Return whether the command is a job, with work to complete and no service."""
        serves = self._workers is not None and self._workers.serving.is_set()
        return not self._services and not serves

    async def _by_a_key(self) -> signal.Signals | None:
        """Return the signal of a terminal key that starts the drain, or None if no key does."""
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
            self._workers.gives_up()
        self._child.stop(self._command.stop_signal)
        await self._child.ended.wait()

    async def _until_idle(self) -> None:
        """
        Wait again until nothing is in flight, unless the time is over.

        A request may have arrived since the drain saw that nothing was in flight: a health check,
        or any request during the wait for SIGTERM. The loop makes no turn between this check and
        the stop signal.
        """
        workers, ended, drain = self._workers, self._child.ended, self._life.drain
        if workers is None or drain is None:
            return
        while workers.in_flight() and not ended.is_set() and not drain.time_over.happened:
            workers.news.clear()
            await until_first(workers.news.wait(), ended.wait(), drain.time_over.wait())

    async def _end_what_is_left(self) -> None:
        """Ask the remaining processes to end. They have at most the time that main has."""
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
        """Kill all remaining processes, and wait up to `KILL_TIME` for their end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(KILL_TIME):
                while self._family.send(signal.SIGKILL):
                    self._changed.clear()
                    await self._changed.wait()
        self._look()  # this reaps the processes that have just ended
        self._child.reap()

    def _straggler(self) -> Straggler:
        child, name = self._child, self._command.name
        if child.code is not None:
            return Straggler(f"processes that {name} has started", [])
        told = f"sent {child.sent.name}" if child.sent else "sent no signal"
        return Straggler(f"{name} (pid {child.pid}, {told})", [])
