"""
The `Lifecycle` object of an app, which starts the control thread and calls it.

`export`, `online`, `offline`, `begin_drain`, `snapshot` and `track` may be called from any
thread. Await the async methods on the app's event loop.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Self, TypeVar, cast

from lifecycle.calls.probe_function import name_of, plugin_of
from lifecycle.config import Config
from lifecycle.core import Core
from lifecycle.drain.drain import Drain
from lifecycle.drain.until_draining import until_draining
from lifecycle.drain.work import Work
from lifecycle.environment_variables import is_of_a_command
from lifecycle.exceptions import NotRunning, not_running
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
"""A readiness or liveness check. It takes the `Lifecycle` as its argument, or no argument."""


def current() -> Lifecycle:
    """
    Return the `Lifecycle` that runs in this process. You can call it from any thread.

    Raises:
        NotRunning: None runs, for example in a worker of `lifecycle run -- COMMAND`.
    """
    if not PROCESS.lifecycles:
        raise not_running(in_worker=is_of_a_command(), in_child=PROCESS.is_child)
    return cast("Lifecycle", PROCESS.lifecycles[-1])


def core_of(life: Lifecycle) -> Core:
    """Return the parts of a `Lifecycle`. For this package only, not a part of the public API."""
    return life._core  # noqa: SLF001 - the only access


def handle_of(make: Callable[[Lifecycle], Core]) -> Lifecycle:
    """Make a `Lifecycle` with other parts than usual. For this package only, like `core_of`."""
    life = Lifecycle.__new__(Lifecycle)
    life._core = make(life)  # noqa: SLF001 - in place of `__init__`, which is the public API
    return life


class Lifecycle:
    """
    Runs one app with probes, registration and a drain. An async context manager.

    Use `async with Lifecycle()` in your own event loop. The object then does not handle signals
    and does not end the process. `lifecycle.run` and `Managed` make the object for you.

    `export`, `ready`, `online`, `offline` and `snapshot` wait for the control thread, 5 s at most.
    If a registry blocks this thread for longer, they raise `LifecycleError`.

    Args:
        config: The settings. The default is `Config()`.
        plugins: More plugins. Each one is an object, a module, or a class without arguments.
    """

    def __init__(
        self,
        config: Config | None = None,
        *,
        plugins: Iterable[AnyPlugin] = (),
    ) -> None:
        self._core = Core(self, config, plugins=plugins)

    async def __aenter__(self) -> Self:
        from lifecycle.embedded import enter  # not needed by run()

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
        """The settings, as a copy of the `Config` that was passed."""
        return self._core.config

    @property
    def log(self) -> Log:
        """The log. You and your plugins can use it from any thread, and it never blocks."""
        return self._core.log

    @property
    def state(self) -> State:
        """The current state. You can read it from any thread. In a forked child, it is STOPPED."""
        if self._core.in_child:
            return State.STOPPED
        conductor = self._core.conductor
        return State.STARTING if conductor is None else conductor.transitions.state

    @property
    def draining(self) -> bool:
        """True as soon as the drain has started. You can read it from any thread."""
        return self._core.asked_to_leave or self.state.leaving

    @property
    def sends_clients_away(self) -> bool:
        """True in a drain, and while every app service is offline. Read it from any thread."""
        return self._core.asked_to_leave or self._core.traffic.sends_away

    @property
    def ends_idle_connections(self) -> bool:
        """True once `settle` has passed since clients were told to go, while they still are."""
        return self._core.traffic.ends_idle

    @property
    def drain(self) -> Drain | None:
        """
        The drain, the same object as in `lifecycle_drain`. You can read it from any thread.

        Before the drain starts, and in a forked child, it is None.
        """
        conductor = None if self._core.in_child else self._core.conductor
        return conductor.departure.drain if conductor is not None else None

    @property
    def services(self) -> Mapping[str, Service]:
        """The exported services, by name."""
        conductor = self._core.conductor
        return Exported(self._core, conductor.services.entries if conductor is not None else {})

    @property
    def qos_url(self) -> str:
        """The URL of the QOS port (probe port) on this machine. Empty if the port is off."""
        return self._core.url

    def snapshot(self) -> Snapshot:
        """
        Return the complete state of the app, as `/status` shows it.

        You can call it from any thread. After the end, it returns the last state.
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
        Publish an app service. Call it when the port is open, from any thread.

        Args:
            name: The name that clients look for. 1 to 253 letters, digits, `.`, `_`, `-` or `/`.
                It starts and ends with a letter or a digit, also next to each `/`, and does not
                contain `..`.
            port: 1 to 65535, or None for a service without a port.
            host: The address to publish. The default is the address of the pod (`POD_IP`).
            protocol: A name for registries that store it.
            metadata: Values for registries that store them.

        Returns:
            The service. If the name is already exported, the existing service.

        Raises:
            Draining: The drain has started.
            ValueError: The name is not valid, the port is out of range, or the name is already
                exported with another port, host or protocol.
        """
        check_service_name(name)
        check_port(f"export({name!r}", port)
        conductor = self._core.running()
        instance = instance_of(name, port, host, protocol, dict(metadata))
        entry = self._core.unless_ended("export", lambda: conductor.export(instance))
        check_same(entry.instance, port, host, protocol)
        return Service(self._core, entry)

    async def ready(self) -> None:
        """
        Register all exported services. Call it when your app can serve. Returns in READY.

        Raises:
            RegistrationRefused: A registry has refused a service permanently.
            Draining: The drain has started.
        """
        conductor = self._core.running()
        self._core.unless_ended("ready", conductor.make_ready)
        await conductor.transitions.became_ready.wait()

    async def reached(self, state: State) -> None:
        """
        Wait until the app has reached a state.

        Raises:
            Draining: The app can no longer reach this state.
        """
        await self._core.running().transitions.reached[State(state)].wait()

    async def drained(self) -> float:
        """
        Wait until the drain is over. Stop your server when this method returns.

        The drain is over when no request is running or expected, or at its deadline. After a
        preStop call, the drain also waits for SIGTERM, because your app must serve until then.

        Returns:
            The seconds that are left for your own shutdown code. A later call returns less.
        """
        await self._core.running().departure.drained.wait()
        return self.drain.main_time_left() if self.drain is not None else 0.0

    def begin_drain(self, cause: str) -> None:
        """
        Start the drain, or join the drain that is running.

        You can call it from any thread. `draining` is then true, and `export` and `ready` raise
        `Draining`. `state` and the probes change shortly after. Log and `/status` show `cause`.
        """
        conductor = self._core.running()
        self._core.asked_to_leave = True
        if self._core.control.here:
            conductor.departure.begin(cause)
        else:
            conductor.post(lambda: conductor.departure.begin(cause))

    def online(self, glob: str = "*") -> list[str]:
        """
        Bring services online again that `offline` took offline. You can call it from any thread.

        Raises:
            ServiceNotFound: No service matches the pattern `glob`, for example `orders*`.
            Draining: The drain has started.
        """
        conductor = self._core.running()
        return self._core.unless_ended("online", lambda: conductor.set_online(glob))

    def offline(self, glob: str = "*", reason: str = "") -> list[str]:
        """
        Take services offline, as an administrator does. You can call it from any thread.

        Raises:
            ServiceNotFound: No service matches the pattern `glob`, for example `orders*`.
        """
        conductor = self._core.running()
        try:
            return self._core.control.call(lambda: conductor.set_offline(glob, reason))
        except NotRunning:  # as while draining, there is nothing to do
            return conductor.services.matching(glob)

    def track(
        self,
        agent: str = "",
        path: str = "",
        method: str = "",
        *,
        name: str = "",
        protocol: str = "",
    ) -> AbstractContextManager[Work]:
        """
        Count one piece of work, so that the drain waits for it: `with life.track(name="import 7"):`.

        `lifecycle inflight` and the drain report show its name, its age and its line of code.

        Args:
            agent: The user agent. Known probes and scrapers do not restart the quiet period.
            path: The path without the query. You can add paths to `quiet_ignore`.
            method: The HTTP method.
            name: The name to show. The default is the method and the path, as in `GET /orders`.
            protocol: The protocol to show, for example `grpc`. With a `name` alone, it is `task`.

        Returns:
            A context manager. It gives an object `work` with three methods. Call `sent_away()` if
            you refuse or end the work because the app is draining. Then the drain does not wait for
            the work, and the work does not restart the quiet period. Call `came_from(address)` with
            the client's `getpeername()`, so that `lifecycle tune` works. For metrics, call
            `told_to_go()` if you tell the client to close its connection.

        Raises:
            TypeError: An argument is not text.
        """
        traffic = self._core.traffic
        traffic.in_use = True
        named = agent or path or method or name or protocol
        return traffic.track(agent, path, method, name, protocol) if named else traffic.nameless()

    def until_draining(self, source: AsyncIterable[T]) -> AsyncGenerator[T, None]:
        """
        Iterate over `source` until the drain starts, for example over messages of a queue.

        The loop ends between two items. An item counts as work in flight until you request the
        next one. Otherwise this works like `async for item in source`. The source runs in your
        task, and is asked for an item only when your loop asks for one.

        If the drain starts while the source waits for its next item, the wait is cancelled with
        `CancelledError`. If the source yields an item instead, you still get this item. If the
        drain starts while you process an item, a source that is an async generator is closed
        afterwards, so that its `finally` blocks run. If the source has fetched items that it has
        not yielded, the source itself must return them, for example to the broker.

        Raises:
            NotRunning: This `Lifecycle` has not started.
        """
        self._core.running()
        return until_draining(self, source)

    # Plugins

    def use(self, plugin: AnyPlugin, *, name: str | None = None) -> InstalledPlugin:
        """
        Add a plugin while the app runs. If a part of the plugin fails, nothing is added.

        You can call this method from any thread except the control thread, where registries and
        inline hooks run. It waits until the plugin's registries are open. On an event loop, it
        blocks the loop and waits 5 s at most, or 1 s if the plugin has registries. Use
        `use_async` there for a registry that may take longer.

        Args:
            plugin: An object, a module, or a class without arguments.
            name: The plugin's name. The default is the name of its class or module.

        Returns:
            The installed plugin. To remove it again, call `remove()`.

        Raises:
            PluginError: The plugin is written wrongly, or a name in it is already used.
            ConfigError: The plugin's options are wrong.
            LifecycleError: A registry of the plugin does not open (on an event loop, within 1 s),
                or the caller is the control thread.
        """
        return install(self._core, plugin, name)

    async def use_async(self, plugin: AnyPlugin, *, name: str | None = None) -> InstalledPlugin:
        """
        Add a plugin while the app runs, like `use`, without blocking the event loop.

        Args:
            plugin: An object, a module, or a class without arguments.
            name: The plugin's name. The default is the name of its class or module.

        Returns:
            The installed plugin. To remove it again, await `remove_async()`.

        Raises:
            PluginError: The plugin is written wrongly, or a name in it is already used.
            ConfigError: The plugin's options are wrong.
            LifecycleError: A registry of the plugin does not open.
        """
        return await install_async(self._core, plugin, name)

    def readiness(self, check: Check) -> Check:
        """
        Add a function as a readiness probe, with the decorator `@life.readiness`.

        Raises:
            PluginError: `check` is not a function with one or no argument.
        """
        return self._use_check("lifecycle_readiness", check)

    def liveness(self, check: Check) -> Check:
        """
        Add a function as a liveness probe, with the decorator `@life.liveness`.

        Raises:
            PluginError: `check` is not a function with one or no argument.
        """
        return self._use_check("lifecycle_liveness", check)

    def _use_check(self, hook: str, check: Check) -> Check:
        name = name_of(hook, check, self._core.plugins.names)
        self.use(plugin_of(hook, check, self), name=name)
        return check
