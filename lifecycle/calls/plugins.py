"""Finding plugins, checking them, and returning their hook implementations."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import reprlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import pluggy

from lifecycle.calls.entry_points import EntryPoint, entry_points
from lifecycle.contracts import INLINE_MARK, PROBE_MARK, ProbeOptions
from lifecycle.environment_variables import fill, unknown_variables, variable
from lifecycle.exceptions import PluginError, text_of
from lifecycle.log import Log, PluginLog
from lifecycle.settings import Settings

if TYPE_CHECKING:
    from lifecycle.status_records import PluginStatus

T = TypeVar("T")

ME: Final = "me"
PROJECT: Final = "lifecycle"

hookimpl = pluggy.HookimplMarker(PROJECT)
hookspec = pluggy.HookspecMarker(PROJECT)


class _Hookless(PluginError):
    """An object without any hook."""


class Me:
    """
    The name, the log and the options of a plugin. A hook gets it as the argument `me`.

    Attributes:
        name: The plugin's name, as in settings, in `/status` and in probe paths.
        log: The log of the plugin, for example `me.log.info("connected", host="db")`. It has the
            methods `debug`, `info`, `warning` and `error`. Use it from any thread. It never
            blocks. Each event has the plugin's name in the field `plugin`.
    """

    def __init__(self, name: str, settings: Settings, log: Log) -> None:
        self.name = name
        self.log = PluginLog(log, name)
        self._settings = settings

    def options(self, cls: type[T]) -> T:
        """
        Return this plugin's own options, filled from `LIFECYCLE_<PLUGIN>_<FIELD>`.

        Args:
            cls: The class that the plugin returned from `lifecycle_options`.

        Raises:
            ConfigError: The plugin returned another class, or none.
        """
        return self._settings.options(cls, self.name)

    def __repr__(self) -> str:
        return f"Me({self.name!r})"


class Implementation(NamedTuple):
    """One plugin's implementation of one hook."""

    plugin: str
    hook: str
    function: Callable[..., Any]
    argnames: tuple[str, ...]
    options: ProbeOptions
    inline: bool
    me: Me | None = None
    registration: object = None
    """Identifies the installation. A plugin of the same name that is added later has another."""

    def arguments(self, offered: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments that this implementation takes, by name."""
        return {name: self.me if name == ME else offered[name] for name in self.argnames}


class _Manager(pluggy.PluginManager):
    def parse_hookimpl_opts(self, plugin: object, name: str) -> Any:
        # Names that every object has are not hooks, but most of the names to check.
        return None if name.startswith("__") else super().parse_hookimpl_opts(plugin, name)


class Plugins:
    """
    The plugins of one `Lifecycle`.

    Args:
        specs: The module with the hook specifications.
        settings: The settings. `plugins` lists the plugins to load and to turn off.
        environ: The environment variables with the options of plugins.
        log: The log for plugins.
        timed: Measures the import of a plugin, by the name of the step.
    """

    def __init__(
        self,
        specs: ModuleType,
        settings: Settings,
        environ: Mapping[str, str],
        log: Log | None = None,
        timed: Callable[[str], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        self._timed = timed
        self._log = log if log is not None else Log()
        self._settings = settings
        self._environ = environ
        self._manager = _Manager(PROJECT)
        self._manager.add_hookspecs(specs)
        self.hooks = [name for name in vars(specs) if name.startswith(f"{PROJECT}_")]
        """The names of all hooks."""
        self._option_names: set[str] = set()
        self.failed: dict[str, str] = {}
        self._left_out: set[str] = set()
        self.off: list[str] = []
        """Plugins that are installed, but have an option `enabled` that is false."""
        self._disabled = {word[3:] for word in settings.plugins if word.startswith("no:")}

    @property
    def names(self) -> list[str]:
        """The names of all plugins, in the order of loading."""
        return [name for name, plugin in self._manager.list_name_plugin() if plugin is not None]

    def status(self) -> list[PluginStatus]:
        """Return all plugins as `/status` shows them: first the working, then the failed ones."""
        working: list[PluginStatus] = [_status_of(name) for name in self.names]
        return working + [_status_of(*each) for each in self.failed.items()]

    def discover(self) -> None:
        """
        Load the installed plugins (entry points) and those in the setting `plugins`.

        If an installed plugin cannot be imported or has no hook, it is put into `failed`, and the
        app starts without it.

        Raises:
            PluginError: A plugin in the setting `plugins` cannot be loaded, or a plugin is
                written wrongly.
        """
        with self._timed("finding plugins"):
            points = entry_points(PROJECT)
        for point in points:
            if point.name in self._disabled:
                self._left_out.add(point.name)
                continue
            if self._manager.has_plugin(point.name):
                self.failed[point.name] = f"{point.value}: another plugin has this name"
                continue
            with self._timed(f"plugin {point.name}"):
                self._add_installed(point)
        for word in self._settings.plugins:
            if not word.startswith("no:") and not self._manager.has_plugin(word):
                with self._timed(f"plugin {word}"):
                    self._add_module(word)

    def _add_installed(self, point: EntryPoint) -> None:
        try:
            plugin = point.load()
            plugin = plugin() if isinstance(plugin, type) else plugin
        except (Exception, SystemExit) as error:  # noqa: BLE001 - foreign code
            self.failed[point.name] = f"{point.value}: {type(error).__name__}: {error}"
            return
        try:
            self.add(plugin, point.name)
        except _Hookless as error:
            self.failed[point.name] = f"{point.value}: {error}"

    def _add_module(self, name: str) -> None:
        try:
            module = importlib.import_module(name)
        except (Exception, SystemExit) as error:
            raise PluginError(
                f"plugin {name!r} cannot be imported: {type(error).__name__}: {error}",
                see="plugin-not-loaded",
            ) from error
        self.add(module, name)

    def add(self, plugin: object, name: str | None = None) -> str:
        """
        Register one plugin and check how it is written.

        Args:
            plugin: An object or module with hooks, or a class, which is called without arguments.
            name: The plugin's name. The default is the name of the object.

        Returns:
            The name of the plugin.

        Raises:
            PluginError: The class raises, the plugin has no hook, a hook is not marked or is
                misspelt, an argument is unknown, or the name is already used.
            ConfigError: The plugin's options are wrong.
        """
        if isinstance(plugin, type):
            plugin = _constructed(plugin, name or plugin.__name__)
        name = name or getattr(plugin, "__name__", None) or type(plugin).__name__
        if name in self._disabled:
            self._left_out.add(name)
            return name
        if plugin is None:  # pluggy would ignore it
            raise _hookless(plugin, name)
        found = dir(plugin)
        self._refuse_what_is_never_asked(
            plugin, name, [each for each in self.hooks if each in found]
        )
        try:
            self._manager.register(plugin, name)
        except pluggy.PluginValidationError as error:
            if self._manager.is_registered(plugin):  # an older pluggy validates too late
                self._manager.unregister(plugin)
            raise PluginError(f"plugin {name!r}: {error}", see="plugin-written-wrongly") from None
        except ValueError:
            raise PluginError(self._taken(plugin, name), see="plugin-written-wrongly") from None
        try:
            self._check(plugin, name)
            enabled = self._fill_options(name)
        except BaseException:
            self._manager.unregister(plugin)
            raise
        if not enabled:
            self._manager.unregister(plugin)
            self.off.append(name)
        return name

    def _taken(self, plugin: object, name: str) -> str:
        known = self._manager.get_name(plugin)
        if known is not None:
            return f"plugin {name!r}: the same object is already registered, as {known!r}"
        return f"plugin {name!r} is already registered. Use another name for the second plugin."

    def get(self, name: str) -> object | None:
        """Return the plugin of this name. None if there is none."""
        plugin: object | None = self._manager.get_plugin(name)
        return plugin

    def remove(self, name: str) -> None:
        """Remove a plugin and its options."""
        if self._manager.has_plugin(name):
            self._manager.unregister(name=name)
        self._settings.drop_options(name)
        self.failed.pop(name, None)

    def _check(self, plugin: object, name: str) -> None:
        hooks = self._manager.get_hookcallers(plugin)
        if not hooks:
            misspelt = (each for each in dir(plugin) if each.startswith("lifecycle_"))
            self._refuse_what_is_never_asked(plugin, name, misspelt)
            raise _hookless(plugin, name)
        for hook in hooks:
            self._refuse_what_cannot_be_asked(hook, plugin, name)

    def _refuse_what_is_never_asked(
        self, plugin: object, name: str, like_hooks: Iterable[str]
    ) -> None:
        for each in like_hooks:
            value = inspect.getattr_static(plugin, each, None)
            if value is None or inspect.ismodule(value):
                continue
            if self._manager.parse_hookimpl_opts(plugin, each):
                continue
            if inspect.isroutine(value) and not hasattr(value, f"{PROJECT}_impl"):
                raise PluginError(
                    f"plugin {name!r}: {each!r} is not marked. Add @lifecycle.hookimpl above it.",
                    see="plugin-written-wrongly",
                )
            if each in self.hooks:
                raise PluginError(
                    f"plugin {name!r}: {each!r} must be a function or a method",
                    see="plugin-written-wrongly",
                )

    def _refuse_what_cannot_be_asked(
        self, hook: pluggy.HookCaller, plugin: object, name: str
    ) -> None:
        if not hook.has_spec():
            from difflib import get_close_matches  # imported only after a mistake

            near = get_close_matches(hook.name, self.hooks, n=1, cutoff=0.3)
            raise PluginError(
                f"plugin {name!r} has a hook {hook.name!r}, which does not exist"
                + (f". Did you mean {near[0]!r}?" if near else ""),
                see="plugin-written-wrongly",
            )
        mine = [impl for impl in hook.get_hookimpls() if impl.plugin is plugin]
        if any(impl.wrapper or impl.hookwrapper for impl in mine):
            raise PluginError(
                f"plugin {name!r}: {hook.name!r} is a wrapper. pod-lifecycle calls each hook "
                "separately, with its own deadline, so wrappers are not supported.",
                see="plugin-written-wrongly",
            )

    def _fill_options(self, name: str) -> bool:
        enabled = True
        for each in self.implementations("lifecycle_options"):
            if each.plugin != name:
                continue
            try:
                cls = each.function()
            except (Exception, SystemExit) as error:
                raise PluginError(
                    f"plugin {name!r}: lifecycle_options raised {error!r}", see="plugin-not-loaded"
                ) from error
            if not isinstance(cls, type) or not dataclasses.is_dataclass(cls):
                raise PluginError(
                    f"plugin {name!r}: lifecycle_options returned {cls!r}, not a dataclass",
                    see="plugin-not-loaded",
                )
            options, sources = fill(cls, self._environ, plugin=name)
            self._settings.keep_options(options, name, sources)
            self._option_names.update(variable(field, name) for field in cls.__dataclass_fields__)
            enabled = enabled and getattr(options, "enabled", True)
        return enabled

    def implementations(self, hook: str) -> list[Implementation]:
        """Return the implementations of a hook, in the order in which the plugins were loaded."""
        impls = getattr(self._manager.hook, hook).get_hookimpls()
        return [
            Implementation(
                impl.plugin_name,
                hook,
                impl.function,
                tuple(impl.argnames),
                getattr(impl.function, PROBE_MARK, ProbeOptions()),
                getattr(impl.function, INLINE_MARK, False),
                Me(impl.plugin_name, self._settings, self._log),
                impl,
            )
            for impl in impls
        ]

    def unused_exclusions(self) -> list[str]:
        """Return each NAME in `no:NAME` that is neither installed nor built in."""
        return sorted(self._disabled - self._left_out)

    def unknown_variables(self, known: Iterable[str]) -> dict[str, str]:
        """Return each unknown variable of the environment, with a message."""
        disabled = tuple(variable("", name) for name in (*self._disabled, *self.failed))
        theirs = {name for name in self._environ if disabled and name.startswith(disabled)}
        return unknown_variables(self._environ, {*known, *self._option_names, *theirs})


def _status_of(name: str, problem: str = "") -> PluginStatus:
    return {"name": name, "ok": not problem, "problem": problem}


def _constructed(cls: type[Any], name: str) -> Any:
    """
    Make a plugin from its class.

    Raises:
        PluginError: The class raises. The message contains the line in its constructor.
    """
    try:
        return cls()
    except (Exception, SystemExit) as error:
        said = ": ".join(filter(None, (type(error).__name__, text_of(error))))
        theirs = error.__traceback__ and error.__traceback__.tb_next
        place = f" ({theirs.tb_frame.f_code.co_filename}:{theirs.tb_lineno})" if theirs else ""
        raise PluginError(
            f"plugin {name!r}: its class raised {said}{place}", see="plugin-not-loaded"
        ) from error


def _hookless(plugin: object, name: str) -> _Hookless:
    """Make the error for an object without hooks, with the most likely fix."""
    if isinstance(plugin, str):
        instead = f"Pass the module {plugin!r} itself, or add it to the setting `plugins`."
    elif inspect.isroutine(plugin):
        instead = "The object is a function. Call it, and pass the object that it returns."
    else:
        instead = f"The object is {reprlib.repr(plugin)}."
    return _Hookless(f"plugin {name!r} has no hook. {instead}", see="plugin-written-wrongly")
