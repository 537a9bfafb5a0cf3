"""
`Lifecycle`: the handle an app holds. It starts the control thread and speaks to it.

`export`, `online`, `offline`, `begin_drain`, `snapshot` and `track` may be called from
any thread; what is awaited is awaited on the app's loop.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Self, TypeVar, cast

from lifecycle.calls.probe_function import plugin_of
from lifecycle.config import Config
from lifecycle.core import Core
from lifecycle.drain.drain import Drain
from lifecycle.drain.in_flight import Tracker
from lifecycle.drain.until_draining import until_draining
from lifecycle.environment_variables import is_of_a_command
from lifecycle.exceptions import Draining, NotRunning
from lifecycle.log import Log
from lifecycle.plugin_handle import InstalledPlugin, install, install_async
from lifecycle.process_globals import PROCESS
from lifecycle.service import Exported, Service, check_same, instance_of
from lifecycle.service_names import check_port, check_service_name
from lifecycle.settings import Settings
from lifecycle.states import State

if TYPE_CHECKING:
    from lifecycle.calls.plugin_types import AnyPlugin, Asked
    from lifecycle.status_records import Snapshot

T = TypeVar("T")
Check = TypeVar("Check", bound="Callable[[], Asked] | Callable[[Lifecycle], Asked]")
"""A readiness or liveness check: with the `Lifecycle` as its argument, or with none."""


def current() -> Lifecycle:
    """
    Return the lifecycle that runs in this process, from any thread.

    Raises:
        NotRunning: None does, for example in a worker of `lifecycle run -- COMMAND`.
    """
    if not PROCESS.lifecycles:
        if is_of_a_command():
            raise NotRunning(
                "this process belongs to the command of `lifecycle run -- COMMAND`, "
                "and the lifecycle runs in its parent process. "
                "The parent counts the requests by itself. "
                "Add probes to the parent with a plugin: `lifecycle run -p NAME -- COMMAND`. "
                "If the app needs the lifecycle itself, start it with `lifecycle run PKG.MOD:MAIN` "
                "or `lifecycle run --asgi PKG.MOD:APP`"
            )
        child = ", or this is a forked child of the process in which one runs"
        raise NotRunning(
            "no lifecycle is running: start the app with lifecycle.run(main) or `lifecycle run`"
            f"{child if PROCESS.is_child else ''}"
        )
    return cast("Lifecycle", PROCESS.lifecycles[-1])


def core_of(life: Lifecycle) -> Core:
    """Return a lifecycle's parts: for this package's own rooms, and not part of the public API."""
    return life._core  # noqa: SLF001 - who may have it asks here


def handle_of(make: Callable[[Lifecycle], Core]) -> Lifecycle:
    """Return a handle of other parts than usual; for this package's own rooms, like `core_of`."""
    life = Lifecycle.__new__(Lifecycle)
    life._core = make(life)  # noqa: SLF001 - in place of `__init__`, which is the public API
    return life


class Lifecycle:
    """
    The lifecycle of one app.

    An async context manager, for a loop that somebody else runs: it takes no signals
    and ends no process. `lifecycle.run` and `Managed` stand on it.

    What asks the control thread (`export`, `ready`, `online`, `offline`, `snapshot`) waits for it
    5 s at most. If a registry blocks it for longer, that is a `LifecycleError`.

    Args:
        config: The settings; `Config()` otherwise.
        plugins: More plugins: objects, modules, or classes to call without arguments.
    """

    def __init__(
        self,
        config: Config | None = None,
        *,
        plugins: Iterable[AnyPlugin] = (),
    ) -> None:
        self._core = Core(self, config, plugins=plugins)

    async def __aenter__(self) -> Self:
        from lifecycle.embedded import enter  # run() needs nothing of it

        await enter(self._core)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        from lifecycle.embedded import leave

        await leave(self._core, exc)

    # What is so

    @property
    def config(self) -> Settings:
        """The settings: a copy of those that were given."""
        return self._core.config

    @property
    def log(self) -> Log:
        """Where events go, a plugin's too; from any thread, and nothing waits."""
        return self._core.log

    @property
    def state(self) -> State:
        """The state of the machine; from any thread. STOPPED in a forked child."""
        if self._core.in_child:
            return State.STOPPED
        conductor = self._core.conductor
        return State.STARTING if conductor is None else conductor.transitions.state

    @property
    def draining(self) -> bool:
        """True from T0 on; from any thread."""
        return self._core.asked_to_leave or self.state.leaving

    @property
    def drain(self) -> Drain | None:
        """
        The drain, as `lifecycle_drain` is given it; from any thread.

        None before T0, and in a forked child.
        """
        conductor = None if self._core.in_child else self._core.conductor
        return conductor.departure.drain if conductor is not None else None

    @property
    def services(self) -> Mapping[str, Service]:
        """The exported services by name."""
        conductor = self._core.conductor
        if conductor is None:
            return MappingProxyType({})
        return Exported(self._core, conductor.services.entries)

    @property
    def qos_url(self) -> str:
        """Where the QOS port answers on this machine; empty if it is switched off."""
        return self._core.url

    def snapshot(self) -> Snapshot:
        """
        Return everything there is to see: what `/status` shows. From any thread.

        Once the lifecycle has ended: what was to be seen then.
        """
        return self._core.snapshot()

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
            name: What consumers look for: 1 to 253 letters, digits, `.`, `_`, `-` or `/`. It
                starts and ends with a letter or a digit, before and after each `/` too, and has
                no `..`.
            port: 1 to 65535, or None for a service without one.
            host: What is advertised; the pod's own address (`POD_IP`) otherwise.
            protocol: For registries that want to know.
            metadata: For registries that carry it.

        Returns:
            The service; the one there is, if the name was exported before.

        Raises:
            Draining: It is too late.
            ValueError: The name breaks the rule for names, the port is out of range, or the name
                was exported before with another port, host or protocol.
        """
        check_service_name(name)
        check_port(f"export({name!r}", port)
        conductor = self._core.running()
        instance = instance_of(name, port, host, protocol, dict(metadata))
        entry = self._unless_ended("export", lambda: conductor.export(instance))
        check_same(entry.instance, port, host, protocol)
        return Service(self._core, entry)

    async def ready(self) -> None:
        """
        Say that everything is declared: registers, and returns once READY is reached.

        Raises:
            RegistrationRefused: A registry will never take a service.
            Draining: The app is on its way out.
        """
        conductor = self._core.running()
        self._unless_ended("ready", conductor.make_ready)
        await conductor.transitions.became_ready.wait()

    async def reached(self, state: State) -> None:
        """
        Wait for a state.

        Raises:
            Draining: It can no longer come.
        """
        await self._core.running().transitions.reached[State(state)].wait()

    async def drained(self) -> float:
        """
        Wait until nobody can be lost any more.

        Returns:
            The seconds left to stop in, as they are at this moment. A later call returns less.
        """
        await self._core.running().departure.drained.wait()
        return self.drain.main_time_left() if self.drain is not None else 0.0

    def begin_drain(self, cause: str) -> None:
        """
        Begin to leave, or join the drain under way. From any thread; waits for nobody.

        When it returns, `draining` is true. `state` and the probes follow as soon as the
        control thread comes to it, and before anything that is asked of it afterwards:
        `export` and `ready` raise `Draining` from here on.
        """
        conductor = self._core.running()
        self._core.asked_to_leave = True
        if self._core.control.here:
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
        conductor = self._core.running()
        return self._unless_ended("online", lambda: conductor.set_online(glob))

    def offline(self, glob: str = "*", reason: str = "") -> list[str]:
        """
        Hold the services that match offline, as the operator. From any thread.

        Raises:
            ServiceNotFound: None matches.
        """
        conductor = self._core.running()
        try:
            return self._core.control.call(lambda: conductor.set_offline(glob, reason))
        except NotRunning:  # as from DRAINING on: nothing is left to do
            return conductor.services.matching(glob)

    def _unless_ended(self, what: str, work: Callable[[], T]) -> T:
        try:
            return self._core.control.call(work)
        except NotRunning:
            raise Draining(f"{what}: too late, the app is {self.state}") from None

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
            keep the drain from being quiet. Work without a name that began before the drain
            is waited for all the same.

        Raises:
            TypeError: One of these words is no text.
        """
        return self._core.traffic.track(agent, path, method)

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

        Raises:
            NotRunning: The lifecycle has not been started.
        """
        self._core.running()
        return until_draining(self, source)

    # Plugins

    def use(self, plugin: AnyPlugin, *, name: str | None = None) -> InstalledPlugin:
        """
        Add a plugin to a lifecycle that runs: all of what it brings, or nothing.

        From any thread but the control thread, where registries and inline hooks run. Waits until
        the plugin's registries are open. On an event loop, which stands still meanwhile, it waits
        5 s at most, and 1 s for a registry: one that may take longer needs `use_async`.

        Args:
            plugin: An object, a module, or a class to call without arguments.
            name: Its name; its class's or module's otherwise.

        Returns:
            The installed plugin. Its `remove()` takes it out again.

        Raises:
            PluginError: It is written wrongly, or what it brings is taken.
            ConfigError: Its options do not fit.
            LifecycleError: Its registry cannot be had, or takes longer than an event loop may
                stand still, or this is the control thread.
        """
        return install(self._core, plugin, name)

    async def use_async(self, plugin: AnyPlugin, *, name: str | None = None) -> InstalledPlugin:
        """
        Add a plugin to a lifecycle that runs, like `use`, without holding up the event loop.

        Args:
            plugin: An object, a module, or a class to call without arguments.
            name: Its name; its class's or module's otherwise.

        Returns:
            The installed plugin. Its `remove_async()` takes it out again.

        Raises:
            PluginError: It is written wrongly, or what it brings is taken.
            ConfigError: Its options do not fit.
            LifecycleError: Its registry cannot be had.
        """
        return await install_async(self._core, plugin, name)

    def readiness(self, check: Check) -> Check:
        """
        Make a function a readiness probe of its name: `@life.readiness`.

        Raises:
            PluginError: It needs more than the lifecycle, or is no function.
        """
        return self._use_check("lifecycle_readiness", check)

    def liveness(self, check: Check) -> Check:
        """
        Make a function a liveness probe of its name: `@life.liveness`.

        Raises:
            PluginError: It needs more than the lifecycle, or is no function.
        """
        return self._use_check("lifecycle_liveness", check)

    def _use_check(self, hook: str, check: Check) -> Check:
        name = getattr(check, "__name__", type(check).__name__)
        if (
            name in self._core.plugins.names
        ):  # one function for both hooks, or an installed plugin's
            name += hook.removeprefix("lifecycle").replace("_", "-")
        self.use(plugin_of(hook, check, self), name=name)
        return check
