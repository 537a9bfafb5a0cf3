"""
`Lifecycle`: the handle an app holds. It starts the control thread and speaks to it.

`export`, `online`, `offline`, `begin_drain`, `snapshot` and `track` may be called from
any thread; what is awaited is awaited on the app's loop.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import os
import socket
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType, TracebackType
from typing import Any, Final, Self, TypeVar

from lifecycle.builtin import builtins
from lifecycle.conductor import Conductor
from lifecycle.conductor import Snapshot as Snapshot
from lifecycle.config import Config, core_variables
from lifecycle.contracts import PROBE_MARK, Command, Instance, Registry
from lifecycle.crossing import ControlThread, Moment
from lifecycle.departure import Ending
from lifecycle.exceptions import Draining, NotRunning, PluginError
from lifecycle.guest import Guest
from lifecycle.hookspecs import hookimpl
from lifecycle.log import Log, Renderer
from lifecycle.plugins import Implementation, Plugins
from lifecycle.qos.port import Port, Sockets
from lifecycle.services import APP, Entry
from lifecycle.states import State
from lifecycle.traffic import Traffic

T = TypeVar("T")
Check = TypeVar("Check", bound=Callable[..., Any])

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


class Service:
    """One exported service of this process."""

    def __init__(self, life: Lifecycle, entry: Entry) -> None:
        self._life = life
        self._entry = entry

    @property
    def name(self) -> str:
        """Its name."""
        return self._entry.instance.service

    @property
    def port(self) -> int | None:
        """Its port, if it has one."""
        return self._entry.instance.port

    @property
    def online(self) -> bool:
        """True if neither the operator nor the app holds it offline."""
        return self._entry.online

    @property
    def confirmed(self) -> bool:
        """True if every required registry has acknowledged it, as far as is known."""
        return self._entry.confirmed

    async def registered(self) -> None:
        """
        Wait until every required registry has acknowledged it.

        Raises:
            RegistrationRefused: One never will.
            Draining: It is too late.
        """
        conductor = self._life._running()
        refusal: list[Exception] = []

        def settled() -> bool:
            if conductor.machine.state.leaving:
                refusal.append(Draining("the app is leaving"))
            elif (refused := conductor.services.refusal()) is not None:
                refusal.append(refused)
            return bool(refusal) or self.confirmed

        await self._life._control.request(lambda: conductor.services.until(settled))
        if refusal:
            raise refusal[0]

    async def set_offline(self, reason: str = "") -> None:
        """Hold it offline, for the app; returns once it is deregistered. No-op while draining."""
        conductor = self._life._running()

        async def hold() -> None:
            if not conductor.machine.state.leaving:
                conductor.services.hold([self.name], APP, reason)
                await conductor.services.until(lambda: self._entry.out or self.online)

        await self._life._control.request(hold)

    async def set_online(self) -> None:
        """
        Release the app's own hold; the operator's stays.

        Raises:
            Draining: It is too late.
        """
        conductor = self._life._running()

        async def release() -> None:
            if conductor.machine.state.leaving:
                raise Draining("online: too late, the app is leaving")
            conductor.services.release([self.name], APP)

        await self._life._control.request(release)


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
        plugins: Iterable[object] = (),
        renderer: Renderer | None = None,
    ) -> None:
        self.config = config if config is not None else Config()
        self._given = tuple(plugins)
        self._log = Log(renderer)
        self._guest = Guest()
        self._traffic = Traffic(time.monotonic, self.config.quiet_ignore)
        self._plugins = Plugins(self.config, os.environ)
        self._control = ControlThread()
        self._conductor: Conductor | None = None
        self._sockets: Sockets | None = None
        self._installed: set[tuple[str, str]] = set()
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
        return self.state.leaving

    @property
    def services(self) -> Mapping[str, Service]:
        """The exported services by name."""
        if self._conductor is None:
            return MappingProxyType({})
        entries = list(self._conductor.services.entries.items())
        return MappingProxyType({name: Service(self, entry) for name, entry in entries})

    @property
    def qos_url(self) -> str:
        """Where the QOS port answers on this machine; empty if it is switched off."""
        return f"http://127.0.0.1:{self._sockets.port}" if self._sockets is not None else ""

    def snapshot(self) -> Snapshot:
        """Return everything there is to see: what `/status` shows. From any thread."""
        conductor = self._running()
        return self._control.call(conductor.snapshot)

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
            ValueError: The port is out of range.
        """
        if port is not None and not 0 < port <= 65535:
            raise ValueError(f"export({name!r}, port={port}): must be from 1 to 65535")
        conductor = self._running()
        instance = _instance(name, port, host, protocol, dict(metadata))
        return Service(self, self._control.call(lambda: conductor.export(instance)))

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
        """Wait until nobody can be lost any more; returns the seconds left to stop in."""
        return await self._running().departure.drained.wait()

    def begin_drain(self, cause: str) -> None:
        """Begin to leave, or join the drain under way. From any thread; returns at once."""
        departure = self._running().departure
        self._control.call(lambda: departure.begin(cause))

    def online(self, glob: str = "*") -> list[str]:
        """
        Release the operator's hold on the services that match. From any thread.

        Raises:
            ServiceNotFound: None matches.
            Draining: It is too late.
        """
        conductor = self._running()
        return self._control.call(lambda: conductor.set_online(glob))

    def offline(self, glob: str = "*", reason: str = "") -> list[str]:
        """
        Hold the services that match offline, as the operator. From any thread.

        Raises:
            ServiceNotFound: None matches.
        """
        conductor = self._running()
        return self._control.call(lambda: conductor.set_offline(glob, reason))

    def track(self) -> AbstractContextManager[None]:
        """Count one piece of work in flight while it is entered: the drain waits for it."""
        return self._traffic.track()

    async def until_draining(self, source: AsyncIterable[T]) -> AsyncIterator[T]:
        """
        Pass on what `source` yields until draining begins: a consumer's loop that ends.

        It ends between items: one that was yielded is counted in flight until the next
        is asked for. A wait for the next item is cancelled; what the source had fetched
        but not yielded is its own to give back.
        """
        draining = asyncio.ensure_future(self._running().reached[State.DRAINING].wait())
        iterator = aiter(source)
        try:
            while not self.draining:
                item = asyncio.ensure_future(_next(iterator))
                await asyncio.wait({item, draining}, return_when=asyncio.FIRST_COMPLETED)
                if not item.done():
                    item.cancel()
                    await asyncio.wait({item})
                if item.cancelled():
                    return
                try:
                    value = item.result()
                except StopAsyncIteration:
                    return
                with self.track():
                    yield value
        finally:
            draining.cancel()

    # Plugins

    def use(self, plugin: object, *, name: str | None = None) -> None:
        """
        Add a plugin to a lifecycle that runs. From any thread but the control thread.

        Raises:
            PluginError: It is written wrongly.
            ConfigError: Its options do not fit.
        """
        self._running()
        self._plugins.add(plugin, name)
        self._install()

    def readiness(self, check: Check) -> Check:
        """Make a function a readiness probe of its name: `@life.readiness`."""
        return self._use_check("lifecycle_readiness", check)

    def liveness(self, check: Check) -> Check:
        """Make a function a liveness probe of its name: `@life.liveness`."""
        return self._use_check("lifecycle_liveness", check)

    def _use_check(self, hook: str, check: Check) -> Check:
        plugin = type("Check", (), {})()
        setattr(plugin, hook, _as_hook(check, self))
        name = getattr(check, "__name__", type(check).__name__)
        if name in self._plugins.names:  # one function for both hooks, or an installed plugin's
            name += hook.removeprefix("lifecycle").replace("_", "-")
        self.use(plugin, name=name)
        return check

    def _install(self) -> None:
        conductor = self._running()
        registries = self._control.call(self._install_fresh)
        if registries:
            work = conductor.open_registries(registries)
            asyncio.run_coroutine_threadsafe(work, self._control.loop).result()

    def _install_fresh(self) -> list[Registry]:
        conductor = self._running()
        fresh = self._fresh()
        conductor.install(fresh)
        for each in fresh:
            if each.hook == "lifecycle_commands":
                for command in self._ask(each, Command):
                    conductor.add_command(each.plugin, command)
        return [
            registry
            for each in fresh
            if each.hook == "lifecycle_registries"
            for registry in self._ask(each, Registry)
        ]

    def _fresh(self) -> list[Implementation]:
        fresh = [
            each
            for hook in _INSTALLED_HOOKS
            for each in self._plugins.implementations(hook)
            if (each.plugin, hook) not in self._installed
        ]
        self._installed.update((each.plugin, each.hook) for each in fresh)
        return fresh

    def _ask(self, each: Implementation, wanted: type[Any]) -> list[Any]:
        try:
            value = each.function(**each.arguments({"life": self}))
            many = isinstance(value, Iterable) and not isinstance(value, wanted)
            several = list(value) if many else [] if value is None else [value]
        except Exception as error:  # noqa: BLE001 - a plugin's own; the others go on
            self._plugins.failed[each.plugin] = f"{each.hook} raised {error!r}"
            self._log.error("plugin", name=each.plugin, problem=f"{each.hook} raised {error!r}")
            return []
        for one in several:
            if inspect.iscoroutine(one):
                one.close()
                raise PluginError(f"plugin {each.plugin!r}: {each.hook} must not be async")
            if not isinstance(one, wanted):
                raise PluginError(
                    f"plugin {each.plugin!r}: {each.hook} gave {one!r}, no {wanted.__name__}"
                )
        return several

    # Start and end

    def _open(self) -> None:
        """Open the QOS port, start the control thread, load the plugins. Blocks."""
        if self._conductor is not None:
            raise NotRunning("a Lifecycle runs once; make another one")
        if self.config.qos_enabled:
            self._sockets = Sockets(self.config)
        self._control.start(self._conduct)
        self._up.result()
        _current.append(self)
        try:
            self._plugins.discover()
            for plugin in self._given:
                self._plugins.add(plugin)
            self._install()
        except BaseException:
            self._end(Ending(1), "a plugin is in the way")
            self._close()
            raise
        for name, problem in self._plugins.failed.items():
            self._log.error("plugin", name=name, problem=problem)
        for sentence in self._plugins.unknown_variables(core_variables()).values():
            self._log.warning("config", problem=sentence)

    async def _conduct(self) -> None:
        port = None
        try:
            conductor = Conductor(
                self, self.config, self._plugins, self._guest, self._traffic, self._log
            )
            self._conductor = conductor
            for builtin in builtins(conductor):
                self._plugins.add(builtin.plugin, builtin.name)
            await conductor.open_registries(self._install_fresh())
            if self._sockets is not None:
                port = Port(conductor, self._sockets)
                port.open()
            self._log.info("starting", qos=self.qos_url)
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
        self._log.flush(FLUSH_TIME)
        if self in _current:
            _current.remove(self)

    def _running(self) -> Conductor:
        if self._conductor is None:
            raise NotRunning("this Lifecycle has not been started: use `async with` or run()")
        return self._conductor

    async def __aenter__(self) -> Self:
        self._open()
        self._guest.attach()
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
        await self._left.wait()
        self._finish.set(None)
        await self._ended.wait()
        self._close()


_INSTALLED_HOOKS = (
    "lifecycle_startup",
    "lifecycle_readiness",
    "lifecycle_liveness",
    "lifecycle_transition",
    "lifecycle_drain",
    "lifecycle_registries",
    "lifecycle_commands",
)


async def _next(iterator: AsyncIterator[T]) -> T:
    return await anext(iterator)


def _as_hook(check: Callable[..., Any], life: Lifecycle) -> Callable[..., Any]:
    arguments = (life,) if inspect.signature(check).parameters else ()

    async def ask_async() -> Any:
        return await check(*arguments)

    def ask() -> Any:
        return check(*arguments)

    is_async = inspect.iscoroutinefunction(check)
    hook: Callable[..., Any] = ask_async if is_async else ask
    if hasattr(check, PROBE_MARK):
        setattr(hook, PROBE_MARK, getattr(check, PROBE_MARK))
    return hookimpl(hook)


def _instance(
    name: str, port: int | None, host: str | None, protocol: str, metadata: dict[str, str]
) -> Instance:
    advertised = host or os.environ.get("POD_IP") or _own_address()
    pod = os.environ.get("POD_NAME") or os.environ.get("HOSTNAME") or socket.gethostname()
    return Instance(
        service=name,
        host=advertised,
        port=port,
        id=f"{pod}/{name}",
        protocol=protocol,
        namespace=os.environ.get("POD_NAMESPACE", "default"),
        version=metadata.get("version", ""),
        metadata=metadata,
    )


def _own_address() -> str:
    # Connecting a datagram socket sends nothing; it only asks the routing table.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(sock.getsockname()[0])
