"""
`Lifecycle`: the handle an app holds. It starts the control thread and speaks to it.

`export`, `online`, `offline`, `begin_drain`, `snapshot` and `track` may be called from
any thread; what is awaited is awaited on the app's loop.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import time
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Final, Self, TypeVar

from lifecycle.builtin import builtins
from lifecycle.conductor import Conductor
from lifecycle.conductor import Snapshot as Snapshot
from lifecycle.config import Config
from lifecycle.consuming import until_draining
from lifecycle.crossing import ControlThread, Moment
from lifecycle.departure import USAGE, Ending
from lifecycle.exceptions import LifecycleError, NotRunning
from lifecycle.guest import Guest
from lifecycle.log import Log, Renderer
from lifecycle.plugins import Plugins, plugin_of
from lifecycle.qos.port import Port, Sockets
from lifecycle.service import Exported, Service, check_same, instance_of
from lifecycle.states import State
from lifecycle.traffic import Tracker, Traffic

if TYPE_CHECKING:
    from lifecycle.pluggable import AnyPlugin, Check

T = TypeVar("T")

FORCED_TIME: Final = 2.0
"""Seconds that leaving takes at most once who waits for it has been cancelled."""
FLUSH_TIME: Final = 1.0
"""Seconds that the log's handlers have for the last events; only one that is stuck needs them."""

_current: list[Lifecycle] = []


def current() -> Lifecycle:
    """
    Return the lifecycle that runs in this process, from any thread.

    Raises:
        NotRunning: None does.
    """
    if not _current:
        raise NotRunning(
            "no lifecycle is running: start the app with lifecycle.run(main) or `lifecycle run`"
        )
    return _current[-1]


class Lifecycle:
    """
    The lifecycle of one app.

    An async context manager, for a loop that somebody else runs: it takes no signals
    and ends no process. `lifecycle.run` and `Managed` stand on it.

    Args:
        config: The settings; `Config()` otherwise.
        plugins: More plugins: objects, modules, or classes to call without arguments.
    """

    def __init__(
        self,
        config: Config | None = None,
        *,
        plugins: Iterable[AnyPlugin] = (),
        renderer: Renderer | None = None,
    ) -> None:
        self.config = config if config is not None else Config()
        self._given = tuple(plugins)
        self.log = Log(renderer)  # a plugin's events too: from any thread, and nothing waits
        self._guest = Guest()
        self._traffic = Traffic(time.monotonic, self.config.quiet_ignore)
        self._plugins = Plugins(self.config, os.environ)
        self._control = ControlThread()
        self._conductor: Conductor | None = None
        self._asked_to_leave = False
        self._sockets: Sockets | None = None
        self._up: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._left: Moment[None] = Moment()
        self._finish: Moment[None] = Moment()
        self._ended: Moment[None] = Moment()

    # What is so

    @property
    def state(self) -> State:
        """The state of the machine; from any thread."""
        return State.STARTING if self._conductor is None else self._conductor.machine.state

    @property
    def draining(self) -> bool:
        """True from T0 on; from any thread."""
        return self._asked_to_leave or self.state.leaving

    @property
    def services(self) -> Mapping[str, Service]:
        """The exported services by name."""
        if self._conductor is None:
            return MappingProxyType({})
        return Exported(self, self._conductor.services.entries)

    @property
    def qos_url(self) -> str:
        """Where the QOS port answers on this machine; empty if it is switched off."""
        return f"http://127.0.0.1:{self._sockets.port}" if self._sockets is not None else ""

    def snapshot(self) -> Snapshot:
        """Return everything there is to see: what `/status` shows. From any thread."""
        return self._control.call(self._running().snapshot)

    # What the app does

    def export(
        self,
        name: str,
        *,
        port: int | None = None,
        host: str | None = None,
        protocol: str = "",
        metadata: Mapping[str, str] = MappingProxyType({}),
    ) -> Service:
        """
        Declare a service whose port is open. From any thread.

        Args:
            name: What consumers look for.
            port: 1 to 65535, or None for a service without one.
            host: What is advertised; the pod's own address (`POD_IP`) otherwise.
            protocol: For registries that want to know.
            metadata: For registries that carry it.

        Returns:
            The service; the one there is, if the name was exported before.

        Raises:
            Draining: It is too late.
            ValueError: The port is out of range, or the name was exported before with
                another port, host or protocol.
        """
        if port is not None and not 0 < port <= 65535:
            raise ValueError(f"export({name!r}, port={port}): must be from 1 to 65535")
        conductor = self._running()
        instance = instance_of(name, port, host, protocol, dict(metadata))
        entry = self._control.call(lambda: conductor.export(instance))
        check_same(entry.instance, port, host, protocol)
        return Service(self, entry)

    async def ready(self) -> None:
        """
        Say that everything is declared: registers, and returns once READY is reached.

        Raises:
            RegistrationRefused: A registry will never take a service.
            Draining: The app is on its way out.
        """
        conductor = self._running()
        self._control.call(conductor.make_ready)
        await conductor.became_ready.wait()

    async def reached(self, state: State) -> None:
        """
        Wait for a state.

        Raises:
            Draining: It can no longer come.
        """
        await self._running().reached[State(state)].wait()

    async def drained(self) -> float:
        """
        Wait until nobody can be lost any more.

        Returns:
            The seconds left to stop in, as they are at this moment. A later call returns less.
        """
        departure = self._running().departure
        await departure.drained.wait()
        return departure.drain.main_time_left() if departure.drain is not None else 0.0

    def begin_drain(self, cause: str) -> None:
        """
        Begin to leave, or join the drain under way. From any thread; waits for nobody.

        When it returns, `draining` is true. `state` and the probes follow as soon as the
        control thread comes to it, and before anything that is asked of it afterwards:
        `export` and `ready` raise `Draining` from here on.
        """
        conductor = self._running()
        self._asked_to_leave = True
        if self._control.here:
            conductor.departure.begin(cause)
        else:
            conductor.post(lambda: conductor.departure.begin(cause))

    def online(self, glob: str = "*") -> list[str]:
        """
        Release the operator's hold on the services that match. From any thread.

        Raises:
            ServiceNotFound: None matches.
            Draining: It is too late.
        """
        return self._control.call(lambda: self._running().set_online(glob))

    def offline(self, glob: str = "*", reason: str = "") -> list[str]:
        """
        Hold the services that match offline, as the operator. From any thread.

        Raises:
            ServiceNotFound: None matches.
        """
        return self._control.call(lambda: self._running().set_offline(glob, reason))

    def track(
        self, agent: str = "", path: str = "", method: str = ""
    ) -> AbstractContextManager[Tracker]:
        """
        Count one piece of work in flight while it is entered: the drain waits for it.

        The name of what holds a drain up is made of these words: `GET /orders from curl/8`.

        Args:
            agent: The user agent of who asks for it, so that a probe or a scraper does not
                keep a drain from being quiet.
            path: What it asks for, without the query; `quiet_ignore` may name it.
            method: How it asks for it.

        Returns:
            A context manager. Entered, it gives an object whose `sent_away()` says that the
            work was refused or ended at once because the app is draining: then it does not
            keep the drain from being quiet.
        """
        return self._traffic.track(agent, path, method)

    def until_draining(self, source: AsyncIterable[T]) -> AsyncGenerator[T, None]:
        """
        Pass on what `source` yields until draining begins: a consumer's loop that ends.

        The loop ends between two items. An item is counted in flight until you ask for the
        next one. In all else this is `async for item in source`: the source runs in your
        task, and an item is asked for only when you ask for it.

        If the drain begins while the source waits for its next item, that wait is cancelled:
        the source sees a `CancelledError`. If the source yields an item instead, you still get
        that item. If the drain begins while you work on an item, a source that is an async
        generator is closed after it, so that its `finally` blocks run. What a source has
        fetched and not yielded is its own to give back.
        """
        return until_draining(self, source)

    # Plugins

    def use(self, plugin: AnyPlugin, *, name: str | None = None) -> None:
        """
        Add a plugin to a lifecycle that runs: all of what it brings, or nothing.

        From any thread but the control thread, where registries and inline hooks run.

        Raises:
            PluginError: It is written wrongly, or what it brings is taken.
            ConfigError: Its options do not fit.
            LifecycleError: Its registry cannot be had, or this is the control thread.
        """
        self._running()
        if self._control.here:
            raise LifecycleError("use() on the control thread would wait for itself")
        name = self._plugins.add(plugin, name)
        try:
            self._install(name)
        except BaseException:
            self._plugins.remove(name)
            raise

    def readiness(self, check: Check) -> Check:
        """Make a function a readiness probe of its name: `@life.readiness`."""
        return self._use_check("lifecycle_readiness", check)

    def liveness(self, check: Check) -> Check:
        """Make a function a liveness probe of its name: `@life.liveness`."""
        return self._use_check("lifecycle_liveness", check)

    def _use_check(self, hook: str, check: Check) -> Check:
        name = getattr(check, "__name__", type(check).__name__)
        if name in self._plugins.names:  # one function for both hooks, or an installed plugin's
            name += hook.removeprefix("lifecycle").replace("_", "-")
        self.use(plugin_of(hook, check, self), name=name)
        return check

    def _install(self, plugin: str | None = None) -> None:
        self._control.wait(lambda: self._running().installer.install(plugin))

    # Start and end

    def _open(self, on_up: Callable[[], None] = lambda: None) -> None:
        """
        Open the QOS port, start the control thread, load the plugins. Blocks.

        Args:
            on_up: Called once the QOS port answers, before a plugin is imported.
        """
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
        _current.append(self)
        try:
            on_up()
            self._plugins.discover()
            for plugin in self._given:
                self._plugins.add(plugin)
            self._install()
        except BaseException as error:
            code = USAGE if isinstance(error, LifecycleError) else 1  # as the process will say
            ending = Ending(code) if isinstance(error, Exception) else Ending(interrupted=True)
            self._end(ending, "it could not start")
            self._close()
            raise
        for name, problem in self._plugins.failed.items():
            self.log.error("plugin", plugin=name, problem=problem)
        for sentence in self._running().installer.unused_settings():
            self.log.warning("config", problem=sentence)

    async def _conduct(self) -> None:
        port = None
        try:
            conductor = Conductor(
                self, self.config, self._plugins, self._guest, self._traffic, self.log
            )
            self._conductor = conductor
            for builtin in builtins(conductor):
                self._plugins.add(builtin.plugin, builtin.name)
            await conductor.installer.install()
            if self._sockets is not None:
                port = Port(conductor, self._sockets)
                port.open()
            self.log.info("starting", qos=self.qos_url)
        except BaseException as error:  # noqa: BLE001 - it belongs to who called _open
            self._up.set_exception(error)
            return
        self._up.set_result(None)
        try:
            await conductor.departure.run()
        finally:
            self._left.set(None)
            await self._finish.wait()
            if port is not None:
                await port.close()
            self._ended.set(None)

    def _end(self, ending: Ending, cause: str) -> None:
        departure = self._running().departure
        self._control.post(lambda: departure.main_ended(ending, cause))

    def _close(self) -> None:
        """Close the QOS port and end the control thread, once `_left` has come. Blocks."""
        self._guest.detach()
        self._finish.set(None)
        self._control.join(timeout=2)
        self._traffic.end()
        self.log.flush(FLUSH_TIME)
        if self in _current:
            _current.remove(self)

    def _running(self) -> Conductor:
        if self._conductor is None:
            raise NotRunning("this Lifecycle has not been started: use `async with` or run()")
        return self._conductor

    async def __aenter__(self) -> Self:
        self._open()
        self._guest.attach()
        try:
            await self._control.request(self._running().start)
        except BaseException as error:
            await self.__aexit__(type(error), error, error.__traceback__)
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
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
            self._close()
            self.log.close(0)

    async def _leave(self) -> None:
        await self._left.wait()
        self._finish.set(None)
        await self._ended.wait()
