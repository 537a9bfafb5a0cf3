"""
How a lifecycle starts and ends: its threads, its port, its plugins.

`_open` and `_close` block, for a main thread that has no loop yet. Entered on somebody's loop
the parts that wait have a thread of their own, so that a slow registry holds up nothing else
there. Plugins are imported and constructed in the app's thread in either case.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from lifecycle import hookspecs
from lifecycle.calls.app_loop import AppLoop
from lifecycle.calls.control_thread import ControlThread
from lifecycle.calls.moment import Moment
from lifecycle.calls.plugins import Plugins
from lifecycle.calls.threads import in_thread
from lifecycle.config import Config
from lifecycle.control.builtins import builtins
from lifecycle.control.conductor import Conductor
from lifecycle.drain.ending import USAGE, Ending
from lifecycle.drain.traffic import Traffic
from lifecycle.exceptions import LifecycleError, NotRunning, text_of
from lifecycle.log import Log, Renderer
from lifecycle.process_globals import PROCESS
from lifecycle.qos.port import Port, Sockets

if TYPE_CHECKING:
    from lifecycle.calls.plugin_types import AnyPlugin
    from lifecycle.status import Snapshot

FORCED_TIME: Final = 2.0
"""Seconds that leaving takes at most once who waits for it has been cancelled."""
PORT_TIME: Final = 1.0
"""Seconds that closing the QOS port takes at most."""
FLUSH_TIME: Final = 1.0
"""Seconds that the log's handlers have for the last events; only one that is stuck needs them."""


class Running:
    """The start and the end of a `Lifecycle`, which is made of it."""

    def __init__(
        self,
        config: Config | None = None,
        *,
        plugins: Iterable[AnyPlugin] = (),
        renderer: Renderer | None = None,
    ) -> None:
        self.config = config.copy() if config is not None else Config()
        self._given = tuple(plugins)
        self.log = Log(renderer)  # a plugin's events too: from any thread, and nothing waits
        self._app_loop = AppLoop()
        self._traffic = Traffic(time.monotonic, self.config.quiet_ignore)
        self._plugins = Plugins(hookspecs, self.config, os.environ)
        self._control = ControlThread()
        self._conductor: Conductor | None = None
        self._asked_to_leave = False
        self._given_up = False
        self._in_child = False
        self._sockets: Sockets | None = None
        self._installing: asyncio.Task[Any] | None = None
        self._final: Snapshot | None = None
        self._up: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._left: Moment[None] = Moment()
        self._finish: Moment[None] = Moment()
        self._ended: Moment[None] = Moment()

    def _open(self, on_up: Callable[[], None] = lambda: None) -> None:
        """
        Open the QOS port, start the control thread, load the plugins. Blocks.

        Args:
            on_up: Called once the QOS port answers, before a plugin is imported.
        """
        self._open_port()
        with self._ends_if_it_fails():
            on_up()
            self._find_plugins()
            self._control.wait(lambda: self._install(None))
        self._say_what_failed()

    def _open_port(self) -> None:
        if self._conductor is not None:
            raise NotRunning("a Lifecycle runs once; make another one")
        if self.config.qos_enabled:
            self._sockets = Sockets(self.config)
        try:
            self._control.start(self._conduct)
            self._up.result()
        except BaseException:
            if self._sockets is not None:
                self._sockets.close()
            raise
        PROCESS.lifecycles.append(self)
        PROCESS.let_child_forget(self._let_child_go)
        with self._ends_if_it_fails():
            self._refuse_given_up()

    def _find_plugins(self) -> None:
        """Import and construct plugins: in the app's thread, and under its loop if it runs."""
        self._plugins.discover()
        for plugin in self._given:
            self._plugins.add(plugin)

    @contextlib.contextmanager
    def _ends_if_it_fails(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            code = USAGE if isinstance(error, LifecycleError) else 1  # as the process will say
            ending = Ending(code) if isinstance(error, Exception) else Ending(interrupted=True)
            self._end(ending, "it could not start")
            self._close()
            self.log.close(0)
            raise

    def _say_what_failed(self) -> None:
        for name, problem in self._plugins.failed.items():
            self.log.error("plugin", plugin=name, problem=problem)
        for sentence in self._running().activation.unused_settings():
            self.log.warning("config", problem=sentence)

    async def _install(
        self, plugin: str | None, decides: Callable[[], bool] = lambda: True
    ) -> None:
        """Put plugins to work; on the control loop."""
        self._installing = asyncio.current_task()
        await self._running().activation.activate(plugin, decides)

    def _give_up(self) -> None:
        """Have `_open` end, in the thread that it has: nobody waits for it any more."""
        self._given_up = True

        def cancel() -> None:
            if self._installing is not None:
                self._installing.cancel()

        if self._conductor is not None:
            self._control.post(cancel)

    def _refuse_given_up(self) -> None:
        if self._given_up:
            raise NotRunning("cancelled while it started")

    async def _conduct(self) -> None:
        try:
            await self._lead()
        finally:  # whatever has happened: who waits for the end must have it
            self._left.set(None)
            self._ended.set(None)

    async def _lead(self) -> None:
        port = None
        try:
            life: Any = self
            conductor = Conductor(
                life, self.config, self._plugins, self._app_loop, self._traffic, self.log
            )
            self._conductor = conductor
            for builtin in builtins(conductor):
                self._plugins.add(builtin.plugin, builtin.name)
            await conductor.activation.activate()
            if self._sockets is not None:
                port = Port(conductor, self._sockets)
                port.open()
            self.log.info("starting", qos=self._url)
        except BaseException as error:  # noqa: BLE001 - it belongs to who called _open
            self._up.set_exception(error)
            return
        self._up.set_result(None)
        try:
            await conductor.departure.run()
        except Exception as error:  # noqa: BLE001 - ours: it must not leave anybody waiting
            problem = f"{type(error).__name__}: {error}"
            self.log.error("drain", problem=problem)  # noqa: TRY400
        finally:
            conductor.over()
            self._left.set(None)
            await self._finish.wait()
            await self._close_port(port)
            self._keep_snapshot(conductor)

    def _keep_snapshot(self, conductor: Conductor) -> None:
        try:
            self._final = conductor.snapshot()
        except Exception as error:  # noqa: BLE001 - only what is shown afterwards depends on it
            problem = f"{type(error).__name__}: {text_of(error)}"
            self.log.error("snapshot", problem=problem)  # noqa: TRY400

    async def _close_port(self, port: Port | None) -> None:
        if port is None:
            return
        try:
            async with asyncio.timeout(PORT_TIME):
                await port.close()
        except Exception as error:  # noqa: BLE001 - whoever waits for the end must have it
            problem = f"it did not close: {type(error).__name__}: {error}"
            self.log.error("port", port="QOS", problem=problem)  # noqa: TRY400
            if self._sockets is not None:
                self._sockets.close()

    @property
    def _url(self) -> str:
        return f"http://127.0.0.1:{self._sockets.port}" if self._sockets is not None else ""

    def _end(self, ending: Ending, cause: str) -> None:
        if self._in_child:  # what ends is a copy, of which nothing is to be taken out
            return
        departure = self._running().departure
        self._control.post(lambda: departure.main_ended(ending, cause))

    def _close(self) -> None:
        """Close the QOS port and end the control thread, once `_left` has come. Blocks."""
        if self._in_child:
            self.log.flush(FLUSH_TIME)
            return
        self._let_go()
        self._await_end()

    def _let_go(self) -> None:
        """Take leave of the app's loop, on which this is called."""
        self._app_loop.detach()
        self._finish.set(None)

    def _await_end(self) -> None:
        self._control.join(timeout=2)
        self._traffic.end()
        self.log.flush(FLUSH_TIME)
        PROCESS.keep(self._let_child_go)
        if self in PROCESS.lifecycles:
            PROCESS.lifecycles.remove(self)

    def _let_child_go(self) -> None:
        """Take note that this is a forked child: it has no thread of ours, and no port."""
        self._in_child = True
        self._control.forget()
        self._app_loop.forget()
        self._traffic.end()
        self.log.forget()
        if self._sockets is not None:
            self._sockets.close()  # the file of the control socket stays: it is the parent's

    def _running(self) -> Conductor:
        if self._in_child:
            raise NotRunning(
                "this process was forked from one with a running Lifecycle, which is the parent's: "
                "start the child with the method 'spawn', or give it a Lifecycle of its own"
            )
        if self._conductor is None:
            raise NotRunning("this Lifecycle has not been started: use `async with` or run()")
        return self._conductor

    async def __aenter__(self) -> Self:
        await self._open_elsewhere()
        self._app_loop.attach()
        try:
            await self._control.request(self._running().start)
        except BaseException as error:
            await self.__aexit__(type(error), error, error.__traceback__)
            raise
        return self

    async def _open_elsewhere(self) -> None:
        """Open, with what has to wait in a thread of its own: a registry takes its time."""
        await self._in_thread_of_its_own(self._open_port)
        with self._ends_if_it_fails():
            self._find_plugins()
        try:
            await self._in_thread_of_its_own(self._install_all)
        except LifecycleError:
            if self in PROCESS.lifecycles:  # no thread was to be had, which would have ended it
                with self._ends_if_it_fails():
                    raise
            raise
        self._say_what_failed()

    def _install_all(self) -> None:
        with self._ends_if_it_fails():
            self._refuse_given_up()
            self._control.wait(lambda: self._install(None))
            self._refuse_given_up()

    async def _in_thread_of_its_own(self, work: Callable[[], None]) -> None:
        opening = asyncio.ensure_future(in_thread(work, name="lifecycle-open"))
        try:
            await asyncio.shield(opening)
        except asyncio.CancelledError as error:
            self._give_up()
            await asyncio.wait({opening}, timeout=FORCED_TIME)
            if not opening.done():  # an import that hangs: its thread clears up by itself
                opening.add_done_callback(lambda done: done.cancelled() or done.exception())
            elif not opening.exception():
                await self.__aexit__(type(error), error, error.__traceback__)
            raise

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._in_child:
            return
        failed = exc is not None and not isinstance(exc, asyncio.CancelledError)
        cause = f"{type(exc).__name__} raised" if failed else "the app's block ended"
        self._end(Ending(1 if failed else 0), cause)
        leaving = asyncio.ensure_future(self._leave())
        try:
            await asyncio.shield(leaving)
        except asyncio.CancelledError:
            departure = self._running().departure
            self._control.post(departure.force)
            await asyncio.wait({leaving}, timeout=FORCED_TIME)
            raise
        finally:
            leaving.cancel()
            self._let_go()
            try:
                await self._end_elsewhere()
            finally:
                self.log.close(0)

    async def _end_elsewhere(self) -> None:
        try:
            await in_thread(self._await_end, name="lifecycle-close")
        except LifecycleError:  # no thread to be had
            self._await_end()

    async def _leave(self) -> None:
        await self._left.wait()
        self._finish.set(None)
        await self._ended.wait()
