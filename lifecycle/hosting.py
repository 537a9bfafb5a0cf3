"""
`run()`: puts an app's main under a lifecycle, and ends the process when it must end.

Rules of this file:

1. Never `asyncio.run`'s teardown: it waits for ever for a task that ignores its
   cancellation.
2. Once somebody outside wants the process gone, it is gone inside the grace period,
   whatever hangs: the watchdog sees to it.
3. A traceback that is shown is the app's own, without our frames.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import os
import sys
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from types import TracebackType
from typing import Any, Final

from lifecycle.backoff import until_done
from lifecycle.config import Config, service_spec
from lifecycle.departure import CUT_OFF, FORCED, Departure, Ending
from lifecycle.drain import Timetable
from lifecycle.exceptions import Draining, LifecycleError, RegistrationRefused
from lifecycle.log import Log, Renderer
from lifecycle.runtime import Lifecycle
from lifecycle.signals import Signals, at_terminal
from lifecycle.sockets import is_listening

Main = Callable[..., Awaitable[Any]]

_OUR_FOLDER: Final = os.path.dirname(__file__) + os.sep
TEARDOWN: Final = 0.3
"""Seconds for tasks that main has left behind."""
USAGE: Final = 2


class Interrupted(BaseException):
    """A signal came while the app was being imported."""


def run(main: Main, *, config: Config | None = None, plugins: Iterable[object] = ()) -> None:
    """
    Run an app's main under a lifecycle, from the first line of the process to the last.

    Args:
        main: An async function. With one argument it gets the `Lifecycle`; with none it
            is taken as it is: its services come from `config.services`.
        config: The settings; `Config()` otherwise.
        plugins: More plugins.

    Raises:
        TypeError: `main` is no async function of one or no argument.
        SystemExit: The exit code is not 0. 1: main failed, or a second signal forced it;
            124: work was cut off; 143: a job was interrupted; 2: it could not start.
    """
    takes_life = takes_lifecycle(main)
    try:
        host = Host(config if config is not None else Config(), plugins)
        host.open()
    except LifecycleError as error:
        print(f"lifecycle: {error}", file=sys.stderr)
        raise SystemExit(USAGE) from None
    code = host.run(main, takes_life=takes_life)
    if code:
        raise SystemExit(code)


def takes_lifecycle(main: Any) -> bool:
    """
    Tell whether main wants the handle.

    Raises:
        TypeError: It cannot be a main; the message says what to write instead.
    """
    if inspect.iscoroutine(main):
        main.close()
        raise TypeError("run() takes the function, not its coroutine: lifecycle.run(main)")
    if not callable(main):
        raise TypeError(f"run() takes an async function, not {main!r}")
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [
        each
        for each in inspect.signature(main).parameters.values()
        if each.default is each.empty and each.kind is not each.VAR_POSITIONAL
        if each.kind is not each.VAR_KEYWORD
    ]
    if len(needed) > 1 or any(each.kind not in kinds for each in needed):
        raise TypeError(
            f"main takes one argument (the Lifecycle) or none, not {', '.join(map(str, needed))}"
        )
    return bool(needed)


class Host:
    """
    One process under a lifecycle. Made and used on the main thread.

    Args:
        config: The settings.
        plugins: More plugins.
        renderer: How events are written, unless the app has its own configuration.
    """

    def __init__(
        self, config: Config, plugins: Iterable[object] = (), renderer: Renderer | None = None
    ) -> None:
        self.life = Lifecycle(config, plugins=plugins, renderer=renderer)
        self._config = config
        self._log = self.life._log
        self._signals = Signals(self._on_signal) if Signals.possible() else None
        self._watchdog: Watchdog | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._takes_life = True
        self._cancelled = False
        self._failed = 0

    def open(self) -> None:
        """
        Take the signals and open the QOS port.

        Raises:
            LifecycleError: It cannot start: a port in use, a plugin written wrongly.
        """
        if self._signals is not None:
            self._signals.take()
        try:
            self.life._open()
        except BaseException:
            self._release()
            raise
        departure = self._departure
        self._watchdog = Watchdog(departure, self._config, self._log)

        def wire() -> None:
            departure.main_is_ours = True
            departure.on_plan = self._watchdog.plan if self._watchdog else departure.on_plan
            departure.stop_main = lambda: self.life._guest.post(self._stop)
            departure.cancel_main = lambda: self.life._guest.post(self._cancel)
            if self._signals is not None:
                self._signals.watch(self.life._control.loop)

        self.life._control.call(wire)

    @property
    def _departure(self) -> Departure:
        return self.life._running().departure

    def interruptible(self, work: Callable[[], Any]) -> Any:
        """
        Do something long in the main thread that a signal may break off: importing the app.

        Raises:
            Interrupted: A signal came.
        """
        if self._signals is None:
            return work()
        self._signals.interrupts(Interrupted)
        try:
            return work()
        finally:
            self._signals.interrupts(None)

    def run(
        self,
        main: Main,
        *,
        takes_life: bool,
        loop_factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
    ) -> int:
        """Run main to its end, and return the exit code of the process."""
        self._takes_life = takes_life
        loop = self._loop = loop_factory()
        asyncio.set_event_loop(loop)
        stubborn = False
        try:
            self._run_until_left(loop, self._host(main))
            stubborn = _tear_down(loop)
        finally:
            asyncio.set_event_loop(None)
            code = self.close()
        if stubborn or self._departure.report.stuck_at:
            self._leave_at_once(code)
        return code

    def abandon(self, code: int, cause: str, *, interrupted: bool = False) -> int:
        """Leave without ever having run main; returns the exit code."""
        self.life._end(Ending(code, interrupted), cause)
        loop = asyncio.new_event_loop()
        loop.run_until_complete(self.life._left.wait())
        loop.close()
        return self.close()

    def close(self) -> int:
        """Close the QOS port, give the signals back, and return the exit code."""
        self.life._close()
        self._release()
        return self._departure.exit_code

    def _release(self) -> None:
        if self._signals is None:
            return
        ending = self.life._conductor is not None and self._departure.signalled
        self._signals.give_back(self._once_more if ending else None)
        self._signals.close()

    def _once_more(self) -> None:
        if self._departure.pressed_again():
            self._leave_at_once(FORCED)

    def _leave_at_once(self, code: int) -> None:
        self._log.flush(0.1)
        _flush_streams()
        os._exit(code or CUT_OFF)

    def _on_signal(self, name: str) -> None:
        self._departure.signal(name, terminal=at_terminal())

    # On the app's loop

    def _run_until_left(self, loop: asyncio.AbstractEventLoop, work: Any) -> None:
        task = loop.create_task(work)
        while not task.done():
            try:
                loop.run_until_complete(task)
            except (SystemExit, KeyboardInterrupt) as leaving:
                # A task or a server's signal handler wants out, and has stopped the loop.
                self._someone_leaves(leaving)

    def _someone_leaves(self, leaving: BaseException) -> None:
        if self._loop is not None:
            _know_of(leaving, self._loop)
        if not self.life.draining:
            self._failed = code_of(leaving)
        self._cancel()

    async def _host(self, main: Main) -> None:
        life = self.life
        life._guest.attach(on_beat=self._hold_signals)
        self._hold_signals()
        if life.draining:
            life._end(Ending(interrupted=True), "a signal before main")
            await life._left.wait()
            return
        self._task = asyncio.create_task(self._main(main), name="main")
        helper = asyncio.create_task(self._ready()) if not self._takes_life else None
        await life._left.wait()
        if helper is not None:
            helper.cancel()

    def _hold_signals(self) -> None:
        if self._signals is not None:
            self._signals.hold()

    async def _main(self, main: Main) -> None:
        cause = "main returned"
        code: int = 0
        try:
            value = await _awaitable(main(self.life) if self._takes_life else main())
        except asyncio.CancelledError:
            cause = "main was cancelled"
            code = 0 if self._cancelled else 1
        except SystemExit as leaving:
            cause, code = "main left", code_of(leaving)
        except Draining:
            cause = "main gave up: the app is draining"
            code = 0 if self.life.draining else 1
        except BaseException as error:  # noqa: BLE001 - shown as the app's own, then exit code 1
            cause, code = f"main raised {type(error).__name__}", 1
            _show(error)
        else:
            if isinstance(value, int) and not isinstance(value, bool):
                code = value
        job = not self._takes_life and not self.life.services and self._cancelled
        self.life._end(Ending(code or self._failed, interrupted=job), cause)

    def _stop(self) -> None:
        """The drain is over: main is to end."""
        task, loop = self._task, self._loop
        if task is None or loop is None or task.done():
            return
        drain = self._departure.drain
        cause = drain.cause if drain is not None else ""
        if self._signals is not None and self._signals.call_kept(loop, cause):
            return
        if not self._takes_life:
            self._cancel()

    def _cancel(self) -> None:
        self._cancelled = True
        if self._task is not None:
            self._task.cancel()

    async def _ready(self) -> None:
        """Make an unmodified main ready: its services are found by looking at their ports."""
        life = self.life
        with suppress(Draining):
            await asyncio.sleep(0)  # main's first step
            if not self._config.services:
                self._log.warning(
                    "no services",
                    hint="READY as soon as main first waits; set LIFECYCLE_SERVICES=NAME:PORT "
                    "if it serves something",
                )
            for name, port in map(service_spec, self._config.services):
                if port is not None:
                    await until_listening(port)
                life.export(name, port=port)
            try:
                await life.ready()
            except RegistrationRefused as refused:
                self._failed = 1
                life.begin_drain(f"registration refused: {refused}")
                return
            if life.services and not life._traffic.in_use:
                self._log.warning(
                    "nothing counted",
                    hint="work in flight is waited for if it is counted: put "
                    "lifecycle.asgi.Middleware around the app, or use track()",
                )


def _awaitable(given: Any) -> Awaitable[Any]:
    if not inspect.isawaitable(given):
        raise TypeError(f"main must be an async function (`async def`): it returned {given!r}")
    return given


async def until_listening(port: int) -> None:
    """Wait until something listens on a port of this machine: the one thing found by looking."""

    async def look() -> None:
        if not is_listening(port):
            raise ConnectionError(f"nothing listens on port {port}")

    await until_done(look, first=0.02, longest=0.5)


class Watchdog:
    """
    Ends the process when its time is over, whatever hangs.

    Args:
        departure: Whose timetable and exit code count.
        config: For the time that threads get when nobody outside wants us gone.
        log: Told what hung.
    """

    def __init__(self, departure: Departure, config: Config, log: Log) -> None:
        self._departure = departure
        self._config = config
        self._log = log
        self._thread: threading.Thread | None = None
        self._timetable: Timetable | None = None
        self._planned = threading.Event()

    def plan(self, timetable: Timetable) -> None:
        """Take a new timetable; from any thread."""
        self._timetable = timetable
        self._planned.set()
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._watch, name="lifecycle-watchdog", daemon=True
            )
            self._thread.start()

    def _watch(self) -> None:
        if not self._departure.terminating:
            self._wait_until_wanted()
        self._wait()
        self._kill()

    def _wait_until_wanted(self) -> None:
        """Main ended by itself: what comes after run() has all the time it wants."""
        main = threading.main_thread()
        while main.is_alive() and not self._departure.terminating:
            self._planned.wait(1)
            self._planned.clear()
        if self._timetable is not None and not self._departure.terminating:
            late = time.monotonic() + self._config.stop_timeout
            self._timetable.exit_by = max(self._timetable.exit_by, late)

    def _wait(self) -> None:
        while self._timetable is not None:
            left = self._timetable.exit_by - time.monotonic()
            if left <= 0:
                return
            self._planned.wait(left)
            self._planned.clear()

    def _kill(self) -> None:
        frames = sys._current_frames()
        alive = [
            f"{thread.name}: {_where(frames.get(thread.ident or 0))}"
            for thread in threading.enumerate()
            if not thread.daemon
        ]
        self._log.error("killed", cause="the time is over", alive=alive)
        self._log.flush(0.1)
        _flush_streams()
        os._exit(self._departure.exit_code or CUT_OFF)


def _where(frame: Any) -> str:
    if frame is None:
        return "no longer in Python code"
    last = traceback.extract_stack(frame)[-1]
    return f"{last.filename}:{last.lineno} {last.name}"


def _tear_down(loop: asyncio.AbstractEventLoop) -> bool:
    """Cancel what main has left behind; True if something ignores it."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left, timeout=TEARDOWN))
    if any(not task.done() for task in left):
        return True
    with suppress(TimeoutError):
        loop.run_until_complete(asyncio.wait_for(loop.shutdown_asyncgens(), TEARDOWN))
    loop.close()
    return False


def _flush_streams() -> None:
    def flush() -> None:
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()

    # In a thread, because a full pipe would hold it for ever.
    thread = threading.Thread(target=flush, name="lifecycle-flush", daemon=True)
    thread.start()
    thread.join(0.1)


def code_of(leaving: BaseException) -> int:
    """Return the exit code of a SystemExit or KeyboardInterrupt; its message is shown."""
    code = getattr(leaving, "code", 1) if isinstance(leaving, SystemExit) else 130
    if code is None:
        return 0
    if isinstance(code, int):
        return code
    print(code, file=sys.stderr)
    return 1


def _know_of(leaving: BaseException, loop: asyncio.AbstractEventLoop) -> None:
    """Have the loop not complain that nobody retrieved it from the task that raised it."""
    handle = loop.get_exception_handler()

    def complain(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if context.get("exception") is leaving:
            return
        if handle is None:
            loop.default_exception_handler(context)
        else:
            handle(loop, context)

    loop.set_exception_handler(complain)


def _show(error: BaseException) -> None:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        link.__traceback__ = _without_ours(link.__traceback__)
        link = link.__cause__ or link.__context__
    sys.excepthook(type(error), error, error.__traceback__)


def _without_ours(frames: TracebackType | None) -> TracebackType | None:
    """Return a traceback without our frames, and those through which our threads hand errors on."""
    foreign = []
    while frames is not None:
        filename = frames.tb_frame.f_code.co_filename
        if not filename.startswith(_OUR_FOLDER) and filename != concurrent.futures._base.__file__:
            foreign.append(frames)
        frames = frames.tb_next
    kept: TracebackType | None = None
    for each in reversed(foreign):
        kept = TracebackType(kept, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return kept
