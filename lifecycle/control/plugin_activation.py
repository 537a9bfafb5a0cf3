"""
Putting plugins to work, all of what one brings or nothing; and taking them out again.

Rules of this file:

1. A hook that gives something (registries, commands) is called once, isolated like every
   other, and has `register_timeout`: the control loop goes on meanwhile.
2. Whatever can fail comes first; what is changed at the end cannot.
3. What was refused may take its time to clear up. A plugin of that name that comes meanwhile
   is another one, and waits for it: both may have the same registry.
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
from lifecycle.config import Config, core_variables
from lifecycle.contracts import INLINE_MARK, Command, ProbeOptions, Registry
from lifecycle.control.services import Services
from lifecycle.drain.timetable import CLOSE_TIME
from lifecycle.exceptions import LifecycleError, NotRunning, PluginError, text_of
from lifecycle.log import Log

GIVES_REGISTRIES: Final = "lifecycle_registries"
GIVES_COMMANDS: Final = "lifecycle_commands"
_ACTIVATED_HOOKS: Final = (
    "lifecycle_startup",
    "lifecycle_readiness",
    "lifecycle_liveness",
    "lifecycle_transition",
    "lifecycle_start",
    "lifecycle_drain",
    GIVES_REGISTRIES,
    GIVES_COMMANDS,
)
_COMMAND_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_PROBE_PATHS: Final = frozenset({"live", "ready", "startup", "livez", "readyz", "startupz"})


class PluginActivation:
    """
    Puts the plugins of one lifecycle to work. Lives on the control loop.

    Args:
        plugins: Whose hooks are put to work.
        services: The table that gets their registries.
        config: Which registries are optional, and how long one may take to open.
        app_loop: Where async commands run.
        log: Told what is wrong with a plugin.
        commands: The table that gets their commands, by name.
        life: Handed to the hooks.
        put_to_work: Takes what is called later: probes, and the hooks of a start, of
            transitions and of a drain.
        take_out: Takes those of a plugin out again; given its registrations.
    """

    def __init__(
        self,
        *,
        plugins: Plugins,
        services: Services,
        config: Config,
        app_loop: AppLoop,
        log: Log,
        commands: dict[str, tuple[Command, Own]],
        life: object,
        put_to_work: Callable[[Iterable[Implementation]], None],
        take_out: Callable[[Collection[object]], None],
    ) -> None:
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
        """What takes registries out, by their names."""
        self._active: set[object] = set()
        self._under_way: dict[str | None, asyncio.Future[None]] = {}
        self._registries: set[str] = set()

    async def activate(
        self, plugin: str | None = None, decides: Callable[[], bool] = lambda: True
    ) -> None:
        """
        Put to work what is new.

        Args:
            plugin: Of this one only, with which nothing may be wrong. Otherwise of all: the
                log names a plugin that fails to give its commands, and the app starts.
            decides: Asked once, before anything takes effect: False if nobody wants it any more.

        Raises:
            PluginError: A hook gave what it must not, or what is taken.
            LifecycleError: A required registry cannot be had. NotRunning: the registries have been
                closed meanwhile.
        """
        await self._until_cleared_up(plugin)
        with self._clearing_up(plugin):
            await self._activate(plugin, decides)

    async def deactivate(self, plugin: str, which: object) -> None:
        """
        Take a plugin out: it is called no more, its name is free, and its options are forgotten.

        Returns once its registries are closed. That goes on if the caller is cancelled.

        Args:
            plugin: Its name.
            which: The plugin itself. Nothing is done if another one has the name by now.
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
        try:
            given, commands = await self._given(fresh, strict=plugin is not None)
            self._refuse_taken([registry for _, registry in given], commands)
            for _, registry in given:
                await self._open(registry, opened)
            self._refuse_taken(opened, commands)  # by who was quicker meanwhile
            self._refuse_unwanted(decides)
        except BaseException:
            self._active -= keys
            await self._services.close_registries(opened, CLOSE_TIME)
            raise
        self._put_to_work(fresh)
        for owner, command in commands:
            self._commands[command.name] = command, self._call_of(owner, command)
        for owner, registry in given:
            if any(registry is each for each in opened):
                self._brought.setdefault(owner, []).append(registry)
        self._services.add_registries(opened)

    def _refuse_unwanted(self, decides: Callable[[], bool]) -> None:
        if self._services.closed:
            raise NotRunning("the lifecycle has ended")
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
        outcomes = await asyncio.gather(*map(self._ask, asked))  # a hang is everybody's, once
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
        return await Own(several, self._app_loop, timeout)(life=self._life)

    def _failed(self, each: Implementation, problem: str, *, strict: bool) -> None:
        failed = self._plugins.failed[each.plugin] = f"{each.hook} {problem}"
        self._log.warning("plugin", plugin=each.plugin, problem=failed)
        optional = each.plugin in self._config.optional_registries
        if each.hook == GIVES_REGISTRIES and not optional:
            # To go on would be to serve, and to be ready, where nobody finds us.
            raise LifecycleError(
                f"plugin {each.plugin!r}: {failed}; name the plugin in optional_registries if the "
                f"app may run without its registries, or leave it out with no:{each.plugin}"
            )
        if strict:
            raise PluginError(f"plugin {each.plugin!r}: {failed}")

    def _refuse_taken(
        self, registries: Iterable[Registry], commands: Iterable[tuple[str, Command]]
    ) -> None:
        """
        Refuse what has a name that is another's, or is no name.

        Raises:
            PluginError: It has.
        """
        taken = set(self._services.registries)
        for registry in registries:
            if registry.name in taken:
                raise PluginError(
                    f"two registries are called {registry.name!r}; leave one out with no:NAME"
                )
            taken.add(registry.name)
        paths = _PROBE_PATHS | self._commands.keys()
        for plugin, command in commands:
            if not _COMMAND_NAME.fullmatch(command.name):
                raise PluginError(
                    f"plugin {plugin!r}: the command name {command.name!r} must be of lower-case "
                    "letters, digits and dashes"
                )
            if command.name in paths:
                raise PluginError(
                    f"plugin {plugin!r}: the command name {command.name!r} is taken; "
                    "give it another"
                )
            paths |= {command.name}

    def unused_settings(self) -> list[str]:
        """Return a sentence about everything that is set, and names nothing there is."""
        plugins = self._plugins
        givers = {each.plugin for each in plugins.implementations(GIVES_REGISTRIES)}
        known = self._registries | givers | plugins.failed.keys() | set(plugins.off)
        there = ", ".join(sorted(self._registries)) or "none"
        return [
            *(
                f"no:{name} leaves nothing out: no such plugin"
                for name in plugins.unused_exclusions()
            ),
            *(
                f"optional_registries names {name!r}, which is no registry (there is: {there})"
                for name in self._config.optional_registries
                if name not in known
            ),
            *plugins.unknown_variables(core_variables()).values(),
        ]

    async def _open(self, registry: Registry, opened: list[Registry]) -> None:
        if (earlier := self._leaving.get(registry.name)) is not None:
            # Else what it deregisters late would be this one's.
            await asyncio.wait({earlier}, timeout=self._config.register_timeout)
        self._registries.add(registry.name)
        if registry.name in self._config.optional_registries:
            registry.required = False
        try:
            async with asyncio.timeout(self._config.register_timeout):
                await registry.__aenter__()
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            problem = f"did not open: {type(error).__name__}: {text_of(error)}"
            self._log.warning("plugin", plugin=registry.name, problem=problem)
            if registry.required:
                raise LifecycleError(
                    f"registry {registry.name!r} did not open: {text_of(error)}; name it in "
                    "optional_registries if the app may run without it"
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
    """Call a hook, and take what it gives: a generator too runs here, where it may take time."""
    value = function(**arguments)
    # A Command is a tuple.
    many = isinstance(value, Iterable) and not isinstance(value, (Registry, Command))
    return list(value) if many else [] if value is None else [value]


def checked(each: Implementation, given: list[Any], wanted: type[Any]) -> list[Any]:
    """
    Return what a hook gave.

    Raises:
        PluginError: Something of it is not what the hook is to give, or has no name.
    """
    for one in given:
        try:
            problem = _what_is_wrong(each.hook, one, wanted)
        except BaseException as error:  # noqa: BLE001 - a stranger's property, on the control loop
            said = f"{type(error).__name__}: {text_of(error)}"
            problem = f"what {each.hook} gave raised {said}"
        if problem:
            raise PluginError(f"plugin {each.plugin!r}: {problem}")
    return given


def _what_is_wrong(hook: str, one: Any, wanted: type[Any]) -> str:
    if inspect.iscoroutine(one):
        one.close()
        return f"{hook} must not be async"
    if not isinstance(one, wanted):
        return f"{hook} gave {one!r}, no {wanted.__name__}"
    if not isinstance(getattr(one, "name", None), str):
        return f"{type(one).__name__} has no name: set `name` in the class"
    return ""
