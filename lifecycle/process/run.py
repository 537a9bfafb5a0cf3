"""
The function `run`, which runs an app's main with pod-lifecycle and ends the process in time.

Main itself is in `main_function.py`, its loop in `loop_runner.py`, and what a drain does to main
in `host.py`.

Rules of this file:

1. Never use the teardown of `asyncio.run`. It waits forever for a task that ignores its
   cancellation.
2. After SIGTERM or preStop, the process ends within the grace period, whatever hangs. The watchdog
   makes sure of this.
3. A traceback shows the app's own frames, without ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from lifecycle.calls.app_loop import AppLoop
from lifecycle.calls.threads import on_a_loop
from lifecycle.config import Config
from lifecycle.core import Core
from lifecycle.drain.departure import Departure
from lifecycle.drain.exit_code import FORCED, INTERRUPTED, USAGE, Ending
from lifecycle.drain.timetable import Timetable
from lifecycle.exceptions import LifecycleError, explained
from lifecycle.links import help_page
from lifecycle.log import Renderer
from lifecycle.process.exit_status import code_of, say_error, show
from lifecycle.process.host import ProcessHost
from lifecycle.process.loop_runner import leave_to_parent, run_until_over, tear_down
from lifecycle.process.main_function import (
    Main,
    outcome_of,
    takes_lifecycle,
    warn_if_early,
)
from lifecycle.process.signals import Signals, by_person
from lifecycle.process.watchdog import Watchdog, flush_streams
from lifecycle.runtime import core_of, handle_of

if TYPE_CHECKING:
    from lifecycle.calls.plugin_types import AnyPlugin


class Interrupted(BaseException):
    """A signal arrived during the import of the app."""


def run(main: Main, *, config: Config | None = None, plugins: Iterable[AnyPlugin] = ()) -> None:
    """
    Run an app's main function with pod-lifecycle, until the process ends.

    Call it as the last line of your program, outside of any event loop.

    Args:
        main: An async function. If it has one argument, it gets the `Lifecycle` object. If it has
            none, it needs no changes: its app services come from `config.services`.
        config: The settings, or None for `Config()`.
        plugins: More plugins.

    Raises:
        TypeError: `main` is not an async function with at most one argument.
        RuntimeError: An event loop is already running in this thread.
        SystemExit: The exit code is not 0. 1: main failed, or a second signal forced the end.
            124: work was cut off. 143: a job was interrupted. 2: the app could not start.
    """
    takes_life = takes_lifecycle(main)
    if on_a_loop():
        raise explained(
            RuntimeError(
                "run() starts its own event loop, but a loop is already running in this thread. "
                "Use `async with lifecycle.Lifecycle() as life:`"
            ),
            see="loop-already-runs",
        )
    try:
        runner = Runner(config if config is not None else Config(), plugins)
        runner.open()
    except LifecycleError as error:
        say_error(error)
        raise SystemExit(USAGE) from None
    except Interrupted:
        raise SystemExit(INTERRUPTED) from None
    code = runner.run(main, takes_life=takes_life)
    if code:
        raise SystemExit(code)


class Runner:
    """
    Runs one process with pod-lifecycle. Make and use it on the main thread.

    Args:
        config: The settings.
        plugins: More plugins.
        renderer: The format of log events, unless the app configures structlog itself.
        put_off: The same as in `Core`.
        entry: The same as in `Core`.
    """

    def __init__(
        self,
        config: Config,
        plugins: Iterable[AnyPlugin] = (),
        renderer: Renderer | None = None,
        *,
        put_off: float = 0.0,
        entry: str = "program",
    ) -> None:
        self.life = handle_of(
            lambda life: Core(
                life,
                config,
                plugins=plugins,
                renderer=renderer,
                host=self._hosted,
                put_off=put_off,
                entry=entry,
            )
        )
        self._core = core_of(self.life)
        self._config = self.life.config
        self._log = self.life.log
        self._signals = Signals(self._on_signal) if Signals.possible() else None
        self._watchdog = Watchdog(self._config, self._log)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._takes_life = True
        self._step = ""
        self._left_with: int | None = None
        """The exit code that other code than main has asked for."""

    def _hosted(self, app_loop: AppLoop) -> ProcessHost:
        self._main = ProcessHost(app_loop, planned=self._planned, stop=self._stop)
        return self._main

    def _planned(self, timetable: Timetable) -> None:
        self._watchdog.plan(timetable)

    def open(self) -> None:
        """
        Take over the signals, and open the QOS port.

        Raises:
            LifecycleError: The app cannot start, because a port is in use or a plugin is written
                wrongly.
            Interrupted: A signal arrived during the import of plugins.
        """
        if self._signals is not None:
            self._signals.take()
        try:
            self.interruptible(lambda: self._core.open(self._watch))
        except BaseException:
            self._release()
            raise

    def _watch(self) -> None:
        self._watchdog.start(self._departure)
        signals, control = self._signals, self._core.control
        if signals is not None:
            control.call(lambda: signals.watch(control.loop, self._watchdog.signalled))

    @property
    def _departure(self) -> Departure:
        return self._core.running().departure

    def interruptible(self, work: Callable[[], Any], step: str = "") -> Any:
        """
        Do long work in the main thread that a signal may interrupt: the import of the app.

        Args:
            work: The work.
            step: Its name in the start report. Without one, it is not measured.

        Raises:
            Interrupted: A signal arrived.
        """
        timed = self._core.start_report.step(step) if step else contextlib.nullcontext()
        if self._signals is None:
            with timed:
                return work()
        self._signals.interrupts(Interrupted)
        try:
            with timed:
                return work()
        finally:
            self._signals.interrupts(None)

    def run(
        self,
        main: Main,
        *,
        takes_life: bool,
        loop_factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
        step: str = "main",
    ) -> int:
        """
        Run main to its end, and return the exit code of the process.

        Args:
            main: The function.
            takes_life: True if it gets the `Lifecycle` object.
            loop_factory: Makes the event loop.
            step: The name of its first step in the start report.
        """
        self._takes_life = takes_life
        self._step = step
        loop = self._loop = loop_factory()
        if self._signals is not None:
            self._signals.adopt(loop)
        asyncio.set_event_loop(loop)
        stubborn = False
        try:
            run_until_over(
                loop, self._live(main), leaving=self._wants_out, stopped=self._loop_stopped
            )
            if self._core.in_child:
                leave_to_parent(loop)
            else:
                stubborn = tear_down(loop) or self._departure.stubborn
        finally:
            asyncio.set_event_loop(None)
            code = self.close()
        if stubborn:
            self._leave_at_once(code)
        return code

    def abandon(self, code: int, cause: str, *, interrupted: bool = False) -> int:
        """End without having run main, and return the exit code."""
        self._left_with = code
        stubborn = False
        if not self._core.in_child:
            loop = asyncio.new_event_loop()
            loop.run_until_complete(self._see_out(Ending(code, interrupted), cause))
            stubborn = tear_down(loop)
        code = self.close()
        if stubborn:
            self._leave_at_once(code)
        return code

    async def _see_out(self, ending: Ending, cause: str) -> None:
        self._core.app_loop.attach()  # for the hooks of plugins
        self._main.own.add(asyncio.current_task())
        self._core.end(ending, cause)
        await self._core.left.wait()

    def close(self) -> int:
        """Close the QOS port, give the signals back, and return the exit code."""
        self._core.close()
        self._release()
        if self._core.in_child:
            return self._left_with or 0
        self._watchdog.retire()
        return self._departure.exit_code

    def _release(self) -> None:
        if self._signals is None:
            return
        begun = self._core.conductor is not None and not self._core.in_child
        ending = begun and self._departure.signalled
        self._signals.give_back(self._once_more if ending else None)
        self._signals.close()

    def _once_more(self) -> None:
        if self._departure.pressed_again():
            self._leave_at_once(FORCED)

    def _leave_at_once(self, code: int) -> None:
        self._log.flush(0.1)
        flush_streams()
        os._exit(code)

    def _on_signal(self, name: str) -> None:
        self._departure.signal(name, terminal=by_person())

    # On the app's loop

    def _wants_out(self, leaving: BaseException) -> bool:
        """Note that other code than main wants to exit. Returns True in a forked child."""
        if self._core.in_child:
            self._left_with = code_of(leaving)
            return True
        # aiohttp's signal handler raises a subclass of SystemExit.
        own = type(leaving) is SystemExit or not self.life.draining
        self._leave(code_of(leaving) if own else None)
        return False

    def _loop_stopped(self) -> None:
        self._log.warning(
            "loop stopped",
            hint="The app called loop.stop(), so main is cancelled",
            see=help_page("loop-stopped"),
        )
        self._leave(None if self.life.draining else 1)

    def _leave(self, code: int | None) -> None:
        self._left_with = code
        self._main.cancel()

    def _handler_ended(self, error: Exception | None) -> None:
        if error is not None:
            self._left_with = 1
            show(error)
        self._main.cancel()

    async def _live(self, main: Main) -> None:
        self._core.app_loop.attach(on_beat=self._hold_signals)
        self._hold_signals()
        self._main.own.add(asyncio.current_task())
        if await self._may_start():
            self._core.start_report.main(self._step)
            self._main.task = asyncio.create_task(self._run_main(main), name="main")
            if not self._takes_life:
                from lifecycle.process.unmodified_main import make_ready

                readying = make_ready(self.life, self._cannot_be_ready)
                self._main.own.add(asyncio.create_task(readying))
        await self._core.left.wait()

    async def _may_start(self) -> bool:
        """Wait for the plugins that main waits for. Returns False if main must not start."""
        life = self.life
        try:
            await self._core.control.request(self._core.running().start)
        except LifecycleError as error:
            say_error(error)
            self._core.end(Ending(USAGE), "the app could not start")
            return False
        leaving = life.draining
        if leaving:
            self._core.end(Ending(interrupted=True), "asked to exit before main started")
        return not leaving

    def _hold_signals(self) -> None:
        if self._signals is not None:
            self._signals.hold()

    async def _run_main(self, main: Main) -> None:
        life = self.life
        started = time.monotonic()
        outcome = await outcome_of(
            main,
            *((life,) if self._takes_life else ()),
            cancelled=lambda: self._main.cancelled,
            draining=lambda: life.draining,
        )
        code = outcome.code or self._left_with or 0
        if not self._core.in_child and code == 0:
            warn_if_early(life, outcome, time.monotonic() - started)
        if self._core.in_child:
            if outcome.raised is not None:
                show(outcome.raised)
            raise SystemExit(code)  # the loop makes no further turn
        interrupted = self._main.cancelled and self._left_with is None
        job = interrupted and not self._takes_life and not life.services
        self._core.end(Ending(code, interrupted=job), outcome.cause)
        if outcome.raised is not None:  # only now, because a full pipe would block here
            show(outcome.raised)

    def _stop(self) -> None:
        """Ask main to end after the drain, and call the app's own signal handler."""
        departure = self._departure
        drain = departure.drain
        if drain is None or (departure.ended_by_itself and not departure.signalled):
            return
        signals = self._signals
        if signals is not None and signals.call_kept(drain.cause, self._handler_ended):
            return
        if not self._takes_life:
            self._main.cancel()

    def _cannot_be_ready(self, cause: str) -> None:
        self._left_with = 1
        self.life.begin_drain(cause)
