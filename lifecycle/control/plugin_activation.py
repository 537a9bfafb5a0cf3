"""
Activates plugins, either completely or not at all, and removes them again.

Rules of this file:

1. A hook that returns something (registries, commands) is called once, isolated like every other
   hook, within `register_timeout`. The control loop is not blocked meanwhile.
2. All steps that can fail come first. The changes at the end cannot fail.
3. A refused plugin may take some time to clean up. A new plugin of the same name waits for it,
   because both may have the same registry.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from typing import Any, Final

from lifecycle.calls.app_loop import AppLoop
from lifecycle.calls.dispatch import InTurn, Own
from lifecycle.calls.plugins import Implementation, Plugins
from lifecycle.calls.runs import Outcome
from lifecycle.config import core_variables
from lifecycle.contracts import INLINE_MARK, Command, ProbeOptions, Registry
from lifecycle.control.registry_times import take_times
from lifecycle.control.services import Services
from lifecycle.drain.timetable import CLOSE_TIME
from lifecycle.exceptions import LifecycleError, NotRunning, PluginError, reason_of, text_of
from lifecycle.links import help_page
from lifecycle.log import Log
from lifecycle.settings import Settings

GIVES_REGISTRIES: Final = "lifecycle_registries"
GIVES_COMMANDS: Final = "lifecycle_commands"
_ACTIVATED_HOOKS: Final = (
    "lifecycle_startup",
    "lifecycle_readiness",
    "lifecycle_liveness",
    "lifecycle_transition",
    "lifecycle_start",
    "lifecycle_offline",
    "lifecycle_drain",
    "lifecycle_stop",
    GIVES_REGISTRIES,
    GIVES_COMMANDS,
)
_COMMAND_NAME: Final = re.compile(r"([a-z0-9]+(-[a-z0-9]+)*)?")
_PROBE_PATHS: Final = frozenset({"live", "ready", "startup", "livez", "readyz", "startupz"})


class PluginActivation:
    """
    Activates the plugins of one `Lifecycle`. For the control loop.

    Args:
        plugins: The plugins.
        services: The table of services, which gets the registries.
        config: The settings, for `optional_registries` and `register_timeout`.
        app_loop: The app's loop, for async commands.
        log: The log for problems with plugins.
        commands: The table that gets the commands, by name.
        life: The `Lifecycle`, which is passed to the hooks.
        put_to_work: Installs the hooks that are called later, for example probes and drain hooks.
        take_out: Removes such hooks of a plugin again, by its registrations.
        timed: Measures a step of the start, by its name.
    """

    def __init__(
        self,
        *,
        plugins: Plugins,
        services: Services,
        config: Settings,
        app_loop: AppLoop,
        log: Log,
        commands: dict[str, tuple[Command, Own]],
        life: object,
        put_to_work: Callable[[Iterable[Implementation]], None],
        take_out: Callable[[Collection[object]], None],
        timed: Callable[[str], contextlib.AbstractContextManager[object]] = contextlib.nullcontext,
    ) -> None:
        self._timed = timed
        self._plugins = plugins
        self._services = services
        self._config = config
        self._app_loop = app_loop
        self._log = log
        self._commands = commands
        self._life = life
        self._put_to_work = put_to_work
        self._take_out = take_out
        self._brought: dict[str, list[Registry]] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._leaving: dict[str, asyncio.Task[None]] = {}
        """The tasks that remove registries, by the name of the registry."""
        self._active: set[object] = set()
        self._under_way: dict[str | None, asyncio.Future[None]] = {}
        self._registries: set[str] = set()

    async def activate(
        self, plugin: str | None = None, decides: Callable[[], bool] = lambda: True
    ) -> None:
        """
        Activate plugins that are not active yet.

        Args:
            plugin: The name of one plugin, whose every problem is an error. None means all
                plugins. If one of them cannot return its commands, this is logged, and the app
                starts.
            decides: Called once, before the changes. False cancels them, because the caller no
                longer waits.

        Raises:
            PluginError: A hook returned a wrong value, or a name that is already used.
            LifecycleError: A required registry does not open.
            ConfigError: The settle time of a registry does not fit into the grace period.
            NotRunning: The registries have been closed meanwhile.
        """
        await self._until_cleared_up(plugin)
        with self._clearing_up(plugin):
            await self._activate(plugin, decides)

    async def deactivate(self, plugin: str, which: object) -> None:
        """
        Remove a plugin. Its hooks are no longer called, and its name can be used again.

        Returns when its registries are closed. If the caller is cancelled, the removal continues.

        Args:
            plugin: The name of the plugin.
            which: The plugin itself. If another plugin has this name by now, nothing happens.
        """
        if which is None or self._plugins.get(plugin) is not which:
            return
        gone = {
            each.registration
            for hook in _ACTIVATED_HOOKS
            for each in self._plugins.implementations(hook)
            if each.plugin == plugin
        }
        self._active -= gone
        self._take_out(gone)
        for name, (_, call) in list(self._commands.items()):
            if call.plugin == plugin:
                del self._commands[name]
        self._plugins.remove(plugin)
        registries = self._brought.pop(plugin, [])
        closing = asyncio.create_task(self._close(plugin, registries))
        self._closing.add(closing)
        self._leaving.update((each.name, closing) for each in registries)
        closing.add_done_callback(self._closing.discard)
        await asyncio.wait({closing})

    async def _close(self, plugin: str, registries: list[Registry]) -> None:
        self._registries -= {each.name for each in registries}
        self._drop_times(registries)
        with self._clearing_up(plugin):
            await self._services.remove_registries(registries, CLOSE_TIME)

    @contextlib.contextmanager
    def _clearing_up(self, plugin: str | None) -> Iterator[None]:
        ended = self._under_way[plugin] = asyncio.get_running_loop().create_future()
        try:
            yield
        finally:
            ended.set_result(None)
            if self._under_way.get(plugin) is ended:
                del self._under_way[plugin]

    async def _until_cleared_up(self, plugin: str | None) -> None:
        earlier = self._under_way.get(plugin)
        if earlier is not None:
            await asyncio.wait({earlier}, timeout=self._config.register_timeout)

    async def _activate(self, plugin: str | None, decides: Callable[[], bool]) -> None:
        fresh = self._fresh(plugin)
        keys = {each.registration for each in fresh}
        self._active |= keys
        opened: list[Registry] = []
        timed: list[Registry] = []
        try:
            given, commands = await self._given(fresh, strict=plugin is not None)
            self._refuse_taken([registry for _, registry in given], commands)
            for _, registry in given:
                await self._open(registry, opened)
            self._refuse_taken(opened, commands)  # another plugin may have been faster
            for registry in opened:
                take_times(registry, self._config)
                timed.append(registry)
            self._refuse_unwanted(decides)
        except BaseException:
            self._active -= keys
            self._drop_times(timed)
            await self._services.close_registries(opened, CLOSE_TIME)
            raise
        self._put_to_work(fresh)
        for owner, command in commands:
            self._commands[command.name] = command, self._call_of(owner, command)
        for owner, registry in given:
            if any(registry is each for each in opened):
                self._brought.setdefault(owner, []).append(registry)
        self._services.add_registries(opened)

    def _drop_times(self, registries: Iterable[Registry]) -> None:
        for each in registries:
            self._config.drop_registry(each.name)

    def _refuse_unwanted(self, decides: Callable[[], bool]) -> None:
        if self._services.closed:
            raise NotRunning("pod-lifecycle has ended", see="not-running")
        if not decides():
            raise asyncio.CancelledError

    def _fresh(self, plugin: str | None) -> list[Implementation]:
        return [
            each
            for hook in _ACTIVATED_HOOKS
            for each in self._plugins.implementations(hook)
            if plugin in (None, each.plugin) and each.registration not in self._active
        ]

    async def _given(
        self, fresh: Iterable[Implementation], *, strict: bool
    ) -> tuple[list[tuple[str, Registry]], list[tuple[str, Command]]]:
        asked = [each for each in fresh if each.hook in (GIVES_REGISTRIES, GIVES_COMMANDS)]
        outcomes = await asyncio.gather(*map(self._ask, asked))  # in parallel
        registries: list[tuple[str, Registry]] = []
        commands: list[tuple[str, Command]] = []
        for each, outcome in zip(asked, outcomes, strict=True):
            if problem := outcome.problem():
                self._failed(each, problem, strict=strict)
            elif each.hook == GIVES_REGISTRIES:
                found = checked(each, outcome.value, Registry)
                registries += ((each.plugin, one) for one in found)
            else:
                commands += ((each.plugin, one) for one in checked(each, outcome.value, Command))
        return registries, commands

    async def _ask(self, each: Implementation) -> Outcome:
        several = each._replace(function=partial(_several, each.function))
        timeout = self._config.register_timeout
        with self._timed(f"plugin {each.plugin}"):
            return await Own(several, self._app_loop, timeout)(life=self._life)

    def _failed(self, each: Implementation, problem: str, *, strict: bool) -> None:
        failed = self._plugins.failed[each.plugin] = f"{each.hook} {problem}"
        self._log.warning(
            "plugin", plugin=each.plugin, problem=failed, see=help_page("plugin-hook-failed")
        )
        optional = each.plugin in self._config.optional_registries
        if each.hook == GIVES_REGISTRIES and not optional:
            # Without the registry, the app would be ready, but clients would not find it.
            raise LifecycleError(
                f"plugin {each.plugin!r}: {failed}. If the app may run without its registries, add "
                f"the plugin to optional_registries, or turn the plugin off with no:{each.plugin}.",
                see="registry-did-not-open",
            )
        if strict:
            raise PluginError(f"plugin {each.plugin!r}: {failed}", see="plugin-written-wrongly")

    def _refuse_taken(
        self, registries: Iterable[Registry], commands: Iterable[tuple[str, Command]]
    ) -> None:
        """
        Check the names of registries and commands.

        Raises:
            PluginError: A name is already used, or is not valid.
        """
        taken = set(self._services.registries)
        for registry in registries:
            if registry.name in taken:
                raise PluginError(
                    f"two registries are named {registry.name!r}. Turn one plugin off with no:NAME.",
                    see="plugin-written-wrongly",
                )
            taken.add(registry.name)
        paths = _PROBE_PATHS | self._commands.keys()
        for plugin, command in commands:
            if not _COMMAND_NAME.fullmatch(command.name):
                raise PluginError(
                    f"plugin {plugin!r}: the command name {command.name!r} must have only "
                    "lower-case letters, digits and dashes",
                    see="plugin-written-wrongly",
                )
            if command.name in paths:
                raise PluginError(
                    f"plugin {plugin!r}: the command name {command.name!r} is already used. "
                    "Use another name.",
                    see="plugin-written-wrongly",
                )
            paths |= {command.name}

    def unused_settings(self) -> list[str]:
        """Return a message for each setting that names an unknown plugin or registry."""
        plugins = self._plugins
        givers = {each.plugin for each in plugins.implementations(GIVES_REGISTRIES)}
        known = self._registries | givers | plugins.failed.keys() | set(plugins.off)
        there = f"registries: {', '.join(sorted(self._registries)) or 'none'}"
        return [
            *(
                f"no:{name} has no effect, because there is no plugin {name!r}"
                for name in plugins.unused_exclusions()
            ),
            *(
                f"optional_registries contains {name!r}, which is not a registry ({there})"
                for name in self._config.optional_registries
                if name not in known
            ),
            *plugins.unknown_variables(core_variables()).values(),
        ]

    async def _open(self, registry: Registry, opened: list[Registry]) -> None:
        if (earlier := self._leaving.get(registry.name)) is not None:
            # Otherwise a late deregistration would affect the new registry.
            await asyncio.wait({earlier}, timeout=self._config.register_timeout)
        self._registries.add(registry.name)
        if registry.name in self._config.optional_registries:
            registry.required = False
        try:
            with self._timed(f"registry {registry.name}"):
                async with asyncio.timeout(self._config.register_timeout):
                    await registry.__aenter__()
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            problem = reason_of(error, self._config.register_timeout)
            self._log.warning(
                "plugin",
                plugin=registry.name,
                problem=f"did not open: {type(error).__name__}: {problem}",
                see=help_page("registry-did-not-open"),
            )
            if registry.required:
                raise LifecycleError(
                    f"registry {registry.name!r} did not open: {problem}. If the app may "
                    "run without this registry, add it to optional_registries.",
                    see="registry-did-not-open",
                ) from error
        else:
            opened.append(registry)

    def _call_of(self, plugin: str, command: Command) -> Own:
        handler = command.handler
        inline = getattr(handler, INLINE_MARK, False)
        implementation = Implementation(
            plugin, f"command {command.name}", handler, (), options=ProbeOptions(), inline=inline
        )
        own = Own(implementation, self._app_loop, command.timeout)
        return InTurn(implementation, self._app_loop, command.timeout) if own.threaded else own


def _several(function: Callable[..., Any], **arguments: Any) -> list[Any]:
    """Call a hook and collect its values. A generator runs here too, in the same thread."""
    value = function(**arguments)
    # A Command is a tuple.
    many = isinstance(value, Iterable) and not isinstance(value, (Registry, Command))
    return list(value) if many else [] if value is None else [value]


def checked(each: Implementation, given: list[Any], wanted: type[Any]) -> list[Any]:
    """
    Check the values that a hook returned.

    Raises:
        PluginError: A value has the wrong type, or no name.
    """
    for one in given:
        try:
            problem = _what_is_wrong(each.hook, one, wanted)
        except BaseException as error:  # noqa: BLE001 - a foreign property, on the control loop
            said = f"{type(error).__name__}: {text_of(error)}"
            problem = f"the value of {each.hook} raised {said}"
        if problem:
            raise PluginError(f"plugin {each.plugin!r}: {problem}", see="plugin-written-wrongly")
    return given


def _what_is_wrong(hook: str, one: Any, wanted: type[Any]) -> str:
    if inspect.iscoroutine(one):
        one.close()
        return f"{hook} must not be async"
    if not isinstance(one, wanted):
        return f"{hook} returned {one!r}, not a {wanted.__name__}"
    if not isinstance(getattr(one, "name", None), str):
        return f"{type(one).__name__} has no name. Set `name` in the class."
    return ""
