"""
The parts of one `Lifecycle` (its threads, its port, its plugins), and their start and end.

`open` and `close` block, for a main thread that does not run an event loop yet. If your event
loop already runs, `embedded.py` takes the same steps without blocking it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, TypeVar

from lifecycle import hookspecs
from lifecycle.calls.app_loop import AppLoop
from lifecycle.calls.control_thread import ControlThread
from lifecycle.calls.moment import Moment
from lifecycle.calls.plugins import Plugins
from lifecycle.calls.registry_variables import refuse_missing_registry
from lifecycle.config import Config, core_variables
from lifecycle.control.builtin_plugins import builtins
from lifecycle.control.conductor import Conductor
from lifecycle.drain.exit_code import USAGE, Ending
from lifecycle.drain.host import Embedded, Host
from lifecycle.drain.in_flight import Traffic
from lifecycle.exceptions import Draining, LifecycleError, NotRunning, text_of
from lifecycle.links import help_page
from lifecycle.log import Log, Renderer
from lifecycle.process_globals import PROCESS
from lifecycle.qos.bound_sockets import Sockets
from lifecycle.settings import Settings
from lifecycle.start_report import StartReport

if TYPE_CHECKING:
    from lifecycle.calls.plugin_types import AnyPlugin
    from lifecycle.qos.port import Port
    from lifecycle.status_records import Snapshot

T = TypeVar("T")

PORT_TIME: Final = 1.0
"""Seconds that closing the QOS port takes at most."""
FLUSH_TIME: Final = 1.0
"""Seconds that the log handlers have for the last events, in case that one of them is blocked."""
ACCESS_TIME: Final = 0.2
"""The same for the last events of the access log, which matter less."""


class Core:
    """
    The parts of one `Lifecycle`. For this package only. Apps use the `Lifecycle` object.

    Args:
        handle: The `Lifecycle` of the app. It is passed to plugins, and not used here.
        config: The settings. The default is `Config()`.
        plugins: More plugins.
        renderer: Writes log events, unless the app has its own configuration.
        host: Makes the object that runs main on the app's loop, for the drain.
        clock: Measures the app's loop and the work in flight.
        control: The control thread. The default is a new one.
        put_off: Seconds after which the QOS port starts to answer, unless `answer` is called
            before. Until then, requests wait. 0: it answers from the start.
        entry: The name of the step before this one in the start report.
    """

    def __init__(
        self,
        handle: object,
        config: Config | None = None,
        *,
        plugins: Iterable[AnyPlugin] = (),
        renderer: Renderer | None = None,
        host: Callable[[AppLoop], Host] = Embedded,
        clock: Callable[[], float] = time.monotonic,
        control: ControlThread | None = None,
        put_off: float = 0.0,
        entry: str = "program",
    ) -> None:
        self.config = Settings(config)
        self.log = Log(renderer)  # for plugins too, from any thread, without waiting
        self.access_log = Log(renderer)  # with its own queue, because requests may be many
        self.app_loop = AppLoop(clock)
        self.traffic = Traffic(clock, self.config.quiet_ignore, self.app_loop)
        self.start_report = StartReport(clock, entry)
        self.plugins = Plugins(
            hookspecs, self.config, os.environ, self.log, timed=self.start_report.step
        )
        self.control = control if control is not None else ControlThread()
        self.conductor: Conductor | None = None
        """Everything that runs on the control thread. None until the thread has started."""
        self.asked_to_leave = False
        """True once the app has asked for a drain, even before the control thread starts it."""
        self.in_child = False
        """True in a forked child, which has a copy of this object but not of its threads."""
        self.left: Moment[None] = Moment()
        """Set when the drain is over and the exit code is decided."""
        self.released: Moment[None] = Moment()
        """Set when the app's thread has finished, so that the port may close."""
        self.ended: Moment[None] = Moment()
        """Set when the port is closed and the control thread has finished."""
        self._handle = handle
        self.host = host(self.app_loop)
        self._given = tuple(plugins)
        self._sockets: Sockets | None = None
        self._port: Port | None = None
        self._put_off = put_off
        self._answering: asyncio.TimerHandle | None = None
        self._installing: asyncio.Task[Any] | None = None
        self._given_up = False
        self._final: Snapshot | None = None

    # What is so

    def running(self) -> Conductor:
        """
        Return the parts on the control thread, even after the end.

        Raises:
            NotRunning: The `Lifecycle` has not started, or this is a forked child.
        """
        if self.in_child:
            raise NotRunning(
                "this process was forked from a process with a running Lifecycle. The Lifecycle "
                "belongs to the parent. Start the child with the method 'spawn', or make a new "
                "Lifecycle in it.",
                see="in-a-forked-child",
            )
        if self.conductor is None:
            raise NotRunning(
                "this Lifecycle has not been started. Use `async with` or run().", see="not-running"
            )
        return self.conductor

    @property
    def is_up(self) -> bool:
        """True from the open port to the end. Then `current()` may return this `Lifecycle`."""
        return self._handle in PROCESS.lifecycles

    @property
    def url(self) -> str:
        """The URL of the QOS port on this machine. Empty if the port is off."""
        return f"http://127.0.0.1:{self._sockets.port}" if self._sockets is not None else ""

    def snapshot(self) -> Snapshot:
        """Return the content of `/status`. After the end, the last content."""
        conductor = self.running()
        try:
            return self.control.call(conductor.snapshot)
        except NotRunning:
            if self._final is None:
                raise
            return self._final

    def unless_ended(self, what: str, work: Callable[[], T]) -> T:
        """
        Run a function on the control loop, and wait for its result. From any thread.

        Raises:
            Draining: The app has ended. `what` is the name of the operation, for the message.
        """
        try:
            return self.control.call(work)
        except NotRunning:
            problem = f"{what} is not possible while the app is {self.running().transitions.state}"
            raise Draining(problem, see="draining") from None

    # The start, in a thread that may wait

    def open(self, on_up: Callable[[], None] = lambda: None) -> None:
        """
        Open the QOS port, start the control thread, load the plugins. Blocks.

        Args:
            on_up: Called when the control thread has started, before a plugin is imported.
        """
        self.open_port()
        with self.ends_if_it_fails():
            on_up()
            self.find_plugins()
            self.control.wait(lambda: self.install(None))
        self.say_what_failed()

    def open_port(self) -> None:
        """
        Open the QOS port, and start the control thread. Blocks.

        Raises:
            LifecycleError: The port or a thread is not available.
        """
        if self.conductor is not None:
            raise NotRunning(
                "a Lifecycle can be started only once. Make a new one.", see="not-running"
            )
        self.start_report.opened(first=not PROCESS.opened)
        PROCESS.opened = True
        with self.start_report.step("QOS port"):
            self._open_port()
        PROCESS.lifecycles.append(self._handle)
        PROCESS.let_child_forget(self._let_child_go)
        with self.ends_if_it_fails():
            self._refuse_given_up()

    def _open_port(self) -> None:
        if self.config.qos_enabled:
            self._sockets = Sockets(self.config)
        try:
            self.control.start(self._conduct, self._set_up)
        except BaseException:
            if self._sockets is not None:
                self._sockets.close()
            raise

    def answer(self) -> None:
        """Start to answer on the QOS port now. From any thread, without waiting."""
        self.control.post(self._answer)

    def find_plugins(self) -> None:
        """Import and construct plugins, in the thread of the app. A missing registry is an error."""
        self.plugins.discover()
        for plugin in self._given:
            name = getattr(plugin, "__name__", type(plugin).__name__)
            with self.start_report.step(f"plugin {name}"):
                self.plugins.add(plugin)
        refuse_missing_registry(self.plugins, self.config, os.environ, core_variables())

    def install_all(self) -> None:
        """Activate all plugins that were found, and wait until their registries are open."""
        with self.ends_if_it_fails():
            self._refuse_given_up()
            self.control.wait(lambda: self.install(None))
            self._refuse_given_up()

    @contextlib.contextmanager
    def ends_if_it_fails(self) -> Iterator[None]:
        """End everything if the block raises, and raise the same error."""
        try:
            yield
        except BaseException as error:
            code = USAGE if isinstance(error, LifecycleError) else 1  # the exit code of the process
            ending = Ending(code) if isinstance(error, Exception) else Ending(interrupted=True)
            self.end(ending, "the start failed")
            self.close()
            self.log.close(0)
            raise

    def say_what_failed(self) -> None:
        """Log the plugins that failed, and the variables that are not settings."""
        for name, problem in self.plugins.failed.items():
            self.log.error(
                "plugin", plugin=name, problem=problem, see=help_page("plugin-not-loaded")
            )
        for sentence in self.running().activation.unused_settings():
            self.log.warning("config", problem=sentence, see=help_page("setting-without-effect"))

    async def install(self, plugin: str | None, decides: Callable[[], bool] = lambda: True) -> None:
        """Activate one plugin, or all that were found. Runs on the control loop."""
        self._installing = asyncio.current_task()
        await self.running().activation.activate(plugin, decides)

    def give_up(self) -> None:
        """Cancel the start, in the thread in which it runs. The caller no longer waits for it."""
        self._given_up = True

        def cancel() -> None:
            if self._installing is not None:
                self._installing.cancel()

        if self.conductor is not None:
            self.control.post(cancel)

    def _refuse_given_up(self) -> None:
        if self._given_up:
            raise NotRunning("the start was cancelled", see="not-running")

    # On the control thread

    def compose(self) -> Conductor:
        """Make the parts on the control thread, with the built-in plugins. For the control loop."""
        conductor = self.conductor = Conductor(
            self._handle,
            self.host,
            self.config,
            self.plugins,
            self.app_loop,
            self.traffic,
            self.start_report,
            self.log,
        )
        for builtin in builtins(conductor):
            self.plugins.add(builtin.plugin, builtin.name)
        return conductor

    async def _set_up(self) -> None:
        conductor = self.compose()
        await conductor.activation.activate()
        if self._put_off:
            self._answering = self.control.loop.call_later(self._put_off, self._answer)
        else:
            self._answer()
        self.log.info("starting", qos=self.url)

    def _answer(self) -> None:
        if self._sockets is None or self._port is not None:
            return
        from lifecycle.qos.port import Port  # a third of all imports, so a command starts before it

        self._port = Port(self.running(), self._sockets)
        self._port.open()

    async def _conduct(self) -> None:
        try:
            await self._lead(self.running())
        finally:  # in any case, or a waiter would never return
            self.left.set(None)
            self.ended.set(None)

    async def _lead(self, conductor: Conductor) -> None:
        try:
            await conductor.departure.run()
        except Exception as error:  # noqa: BLE001 - even a bug here must not block the end
            problem = f"{type(error).__name__}: {error}"
            self.log.error("drain", problem=problem, see=help_page("error-inside-pod-lifecycle"))  # noqa: TRY400
        finally:
            conductor.over()
            self.left.set(None)
            await self.released.wait()
            await self._close_port()
            self._keep_snapshot(conductor)

    def _keep_snapshot(self, conductor: Conductor) -> None:
        try:
            self._final = conductor.snapshot()
        except Exception as error:  # noqa: BLE001 - only needed for showing the state after the end
            problem = f"{type(error).__name__}: {text_of(error)}"
            self.log.error("snapshot", problem=problem, see=help_page("error-inside-pod-lifecycle"))  # noqa: TRY400

    async def _close_port(self) -> None:
        if self._answering is not None:
            self._answering.cancel()
        if self._port is None:
            if self._sockets is not None:
                self._sockets.close()
            return
        try:
            async with asyncio.timeout(PORT_TIME):
                await self._port.close()
        except Exception as error:  # noqa: BLE001 - the end must come in any case
            problem = f"The QOS port did not close: {type(error).__name__}: {error}"
            self.log.error(  # noqa: TRY400
                "port", port="QOS", problem=problem, see=help_page("error-inside-pod-lifecycle")
            )
            if self._sockets is not None:
                self._sockets.close()

    # The end, in a thread that may wait

    def end(self, ending: Ending, cause: str) -> None:
        """Report that main has ended. The drain starts, or goes on without main."""
        if self.in_child:  # a copy, with nothing to deregister
            return
        self.start_report.main()
        departure = self.running().departure
        self.control.post(lambda: departure.main_ended(ending, cause))

    def close(self) -> None:
        """Close the QOS port and end the control thread, after `left` is set. Blocks."""
        if self.in_child:
            self.log.flush(FLUSH_TIME)
            return
        self.release()
        self.await_end()

    def release(self) -> None:
        """Detach from the app's loop. Called on this loop."""
        self.app_loop.detach()
        self.released.set(None)

    def await_end(self) -> None:
        """Wait until the control thread has ended and the log is written. Blocks 3 s at most."""
        self.control.join(timeout=2)
        self.traffic.end()
        self.access_log.close(ACCESS_TIME)
        self.log.flush(FLUSH_TIME)
        PROCESS.keep(self._let_child_go)
        if self.is_up:
            PROCESS.lifecycles.remove(self._handle)

    def _let_child_go(self) -> None:
        """Switch to a forked child, in which there are no threads and no port."""
        self.in_child = True
        self.control.forget()
        self.app_loop.forget()
        self.traffic.end()
        self.log.forget()
        self.access_log.forget()
        if self._sockets is not None:
            self._sockets.close()  # the file of the control socket belongs to the parent and stays
