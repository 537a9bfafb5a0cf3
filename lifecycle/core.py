"""
The parts of one lifecycle, and how they start and end: its threads, its port, its plugins.

`open` and `close` block, for a main thread that has no loop yet. On somebody's loop it is
`embedded.py` that takes their steps one by one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from lifecycle import hookspecs
from lifecycle.calls.app_loop import AppLoop
from lifecycle.calls.control_thread import ControlThread
from lifecycle.calls.moment import Moment
from lifecycle.calls.plugins import Plugins
from lifecycle.config import Config
from lifecycle.control.builtin_plugins import builtins
from lifecycle.control.conductor import Conductor
from lifecycle.drain.exit_code import USAGE, Ending
from lifecycle.drain.host import Embedded, Host
from lifecycle.drain.in_flight import Traffic
from lifecycle.exceptions import LifecycleError, NotRunning, text_of
from lifecycle.log import Log, Renderer
from lifecycle.process_globals import PROCESS
from lifecycle.qos.bound_sockets import Sockets
from lifecycle.settings import Settings

if TYPE_CHECKING:
    from lifecycle.calls.plugin_types import AnyPlugin
    from lifecycle.qos.port import Port
    from lifecycle.status_records import Snapshot

PORT_TIME: Final = 1.0
"""Seconds that closing the QOS port takes at most."""
FLUSH_TIME: Final = 1.0
"""Seconds that the log's handlers have for the last events; only one that is stuck needs them."""


class Core:
    """
    The parts of one lifecycle, for those who stand above it; `Lifecycle` is what an app sees.

    Args:
        handle: The app's `Lifecycle`: plugins are given it, and nothing here looks into it.
        config: The settings; `Config()` otherwise.
        plugins: More plugins.
        renderer: How events are written, unless the app has its own configuration.
        host: Makes who runs main on the app's loop, as a drain knows it.
        clock: What the app's loop and the work in flight are measured by.
        control: The control thread; one of its own otherwise.
        put_off: Seconds after which the QOS port answers, unless `answer` is called before: who
            asks meanwhile waits. 0: from the start.
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
    ) -> None:
        self.config = Settings(config)
        self.log = Log(renderer)  # a plugin's events too: from any thread, and nothing waits
        self.app_loop = AppLoop(clock)
        self.traffic = Traffic(clock, self.config.quiet_ignore)
        self.plugins = Plugins(hookspecs, self.config, os.environ, self.log)
        self.control = control if control is not None else ControlThread()
        self.conductor: Conductor | None = None
        """What runs on the control thread; None until that is up."""
        self.asked_to_leave = False
        """True once the app wants to leave, though the control thread may not know yet."""
        self.in_child = False
        """True in a forked child, which has a copy of all this and none of its threads."""
        self.left: Moment[None] = Moment()
        """The drain is over, and how it ended is decided."""
        self.released: Moment[None] = Moment()
        """The app's thread needs nothing more: the port may close."""
        self.ended: Moment[None] = Moment()
        """The port is closed, and the control thread has nothing left to do."""
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
        Return what runs on the control thread; once it has ended too.

        Raises:
            NotRunning: It was never started, or this is a forked child.
        """
        if self.in_child:
            raise NotRunning(
                "this process was forked from one with a running Lifecycle, which is the parent's: "
                "start the child with the method 'spawn', or give it a Lifecycle of its own"
            )
        if self.conductor is None:
            raise NotRunning("this Lifecycle has not been started: use `async with` or run()")
        return self.conductor

    @property
    def is_up(self) -> bool:
        """True from the open port to the end: `current()` may give its handle."""
        return self._handle in PROCESS.lifecycles

    @property
    def url(self) -> str:
        """Where the QOS port answers on this machine; empty if it is switched off."""
        return f"http://127.0.0.1:{self._sockets.port}" if self._sockets is not None else ""

    def snapshot(self) -> Snapshot:
        """Return what `/status` shows; once it has ended, what was to be seen then."""
        conductor = self.running()
        try:
            return self.control.call(conductor.snapshot)
        except NotRunning:
            if self._final is None:
                raise
            return self._final

    # The start, in a thread that may wait

    def open(self, on_up: Callable[[], None] = lambda: None) -> None:
        """
        Open the QOS port, start the control thread, load the plugins. Blocks.

        Args:
            on_up: Called once the control thread is up, before a plugin is imported.
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
            LifecycleError: The port is not to be had, or no thread is.
        """
        if self.conductor is not None:
            raise NotRunning("a Lifecycle runs once; make another one")
        if self.config.qos_enabled:
            self._sockets = Sockets(self.config)
        try:
            self.control.start(self._conduct, self._set_up)
        except BaseException:
            if self._sockets is not None:
                self._sockets.close()
            raise
        PROCESS.lifecycles.append(self._handle)
        PROCESS.let_child_forget(self._let_child_go)
        with self.ends_if_it_fails():
            self._refuse_given_up()

    def answer(self) -> None:
        """Put answers on the QOS port off no longer; does not wait. From any thread."""
        self.control.post(self._answer)

    def find_plugins(self) -> None:
        """Import and construct plugins: in the app's thread, and under its loop if it runs."""
        self.plugins.discover()
        for plugin in self._given:
            self.plugins.add(plugin)

    def install_all(self) -> None:
        """Put all plugins that were found to work, and wait until their registries are open."""
        with self.ends_if_it_fails():
            self._refuse_given_up()
            self.control.wait(lambda: self.install(None))
            self._refuse_given_up()

    @contextlib.contextmanager
    def ends_if_it_fails(self) -> Iterator[None]:
        """End everything if the start fails within, and raise why."""
        try:
            yield
        except BaseException as error:
            code = USAGE if isinstance(error, LifecycleError) else 1  # as the process will say
            ending = Ending(code) if isinstance(error, Exception) else Ending(interrupted=True)
            self.end(ending, "it could not start")
            self.close()
            self.log.close(0)
            raise

    def say_what_failed(self) -> None:
        """Log what was left out, and which settings nobody reads."""
        for name, problem in self.plugins.failed.items():
            self.log.error("plugin", plugin=name, problem=problem)
        for sentence in self.running().activation.unused_settings():
            self.log.warning("config", problem=sentence)

    async def install(self, plugin: str | None, decides: Callable[[], bool] = lambda: True) -> None:
        """Put a plugin to work, or all that were found; on the control loop."""
        self._installing = asyncio.current_task()
        await self.running().activation.activate(plugin, decides)

    def give_up(self) -> None:
        """Have the start end, in the thread that it has: nobody waits for it any more."""
        self._given_up = True

        def cancel() -> None:
            if self._installing is not None:
                self._installing.cancel()

        if self.conductor is not None:
            self.control.post(cancel)

    def _refuse_given_up(self) -> None:
        if self._given_up:
            raise NotRunning("cancelled while it started")

    # On the control thread

    def compose(self) -> Conductor:
        """Make what runs on the control thread, with the built-in plugins; on its loop."""
        conductor = self.conductor = Conductor(
            self._handle,
            self.host,
            self.config,
            self.plugins,
            self.app_loop,
            self.traffic,
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
        from lifecycle.qos.port import Port  # a third of all imports: a command starts before it

        self._port = Port(self.running(), self._sockets)
        self._port.open()

    async def _conduct(self) -> None:
        try:
            await self._lead(self.running())
        finally:  # whatever has happened: who waits for the end must have it
            self.left.set(None)
            self.ended.set(None)

    async def _lead(self, conductor: Conductor) -> None:
        try:
            await conductor.departure.run()
        except Exception as error:  # noqa: BLE001 - ours: it must not leave anybody waiting
            problem = f"{type(error).__name__}: {error}"
            self.log.error("drain", problem=problem)  # noqa: TRY400
        finally:
            conductor.over()
            self.left.set(None)
            await self.released.wait()
            await self._close_port()
            self._keep_snapshot(conductor)

    def _keep_snapshot(self, conductor: Conductor) -> None:
        try:
            self._final = conductor.snapshot()
        except Exception as error:  # noqa: BLE001 - only what is shown afterwards depends on it
            problem = f"{type(error).__name__}: {text_of(error)}"
            self.log.error("snapshot", problem=problem)  # noqa: TRY400

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
        except Exception as error:  # noqa: BLE001 - whoever waits for the end must have it
            problem = f"it did not close: {type(error).__name__}: {error}"
            self.log.error("port", port="QOS", problem=problem)  # noqa: TRY400
            if self._sockets is not None:
                self._sockets.close()

    # The end, in a thread that may wait

    def end(self, ending: Ending, cause: str) -> None:
        """Say that main is over: what is left to do begins, or goes on without it."""
        if self.in_child:  # what ends is a copy, of which nothing is to be taken out
            return
        departure = self.running().departure
        self.control.post(lambda: departure.main_ended(ending, cause))

    def close(self) -> None:
        """Close the QOS port and end the control thread, once `left` has come. Blocks."""
        if self.in_child:
            self.log.flush(FLUSH_TIME)
            return
        self.release()
        self.await_end()

    def release(self) -> None:
        """Take leave of the app's loop, on which this is called."""
        self.app_loop.detach()
        self.released.set(None)

    def await_end(self) -> None:
        """Wait until the control thread has ended, and all is written. Blocks, for 3 s at most."""
        self.control.join(timeout=2)
        self.traffic.end()
        self.log.flush(FLUSH_TIME)
        PROCESS.keep(self._let_child_go)
        if self.is_up:
            PROCESS.lifecycles.remove(self._handle)

    def _let_child_go(self) -> None:
        """Take note that this is a forked child: it has no thread of ours, and no port."""
        self.in_child = True
        self.control.forget()
        self.app_loop.forget()
        self.traffic.end()
        self.log.forget()
        if self._sockets is not None:
            self._sockets.close()  # the file of the control socket stays: it is the parent's
