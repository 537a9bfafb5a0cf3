"""
The settings of one `Lifecycle` object: a `Config`, and what is only known at run time.

You may pass one `Config` to several `Lifecycle` objects. Each object then has its own plugins,
the options of these plugins, and the grace period that a registry has read from the pod. It also has
the times that its registries need in a drain.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from lifecycle.config import KILL_MARGIN, Config, shown
from lifecycle.environment_variables import DEFAULT, variable
from lifecycle.exceptions import ConfigError

T = TypeVar("T")

POD: Final = "pod"
"""The source of a setting that a registry has read from the specification of the pod."""


class Settings(Config):
    """
    The settings of one `Lifecycle` object. Read them like those of a `Config`.

    The object stays equal to the `Config` that it was made from, even if `grace_period` changes.

    Args:
        config: The values. The default is `Config(**given)`.
        given: As for `Config`.
    """

    def __init__(self, config: Config | None = None, **given: Any) -> None:
        config = Config(**given) if config is None else config
        vars(self).update(vars(config))
        self.sources = dict(config.sources)
        self._given: Config = config._given if isinstance(config, Settings) else config  # noqa: SLF001 - an object of the same class
        self._options: dict[str, tuple[Any, Mapping[str, str]]] = {}
        self._registries: dict[str, tuple[float, float]] = {}

    def __eq__(self, other: object) -> bool:
        return self._given == (other._given if isinstance(other, Settings) else other)

    def __hash__(self) -> int:
        return hash(self._given)

    def take_grace_period(self, seconds: float) -> bool:
        """
        Use the grace period of the pod, unless one is set. For a registry that can read it.

        Args:
            seconds: The `terminationGracePeriodSeconds` of the pod.

        Returns:
            True if this grace period is now used.

        Raises:
            ConfigError: The other times together, or those of a registry, are longer than this
                grace period. The old grace period stays.
        """
        if self.sources["grace_period"] not in (DEFAULT, POD):
            return False
        values = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        Config(**values | {"grace_period": float(seconds)})
        for name, (settle, forget) in self._registries.items():
            self._refuse_registry(name, settle, forget, float(seconds))
        # The `Config` that was passed does not change. Only this object has the new value.
        vars(self)["grace_period"] = float(seconds)
        self.sources = {**self.sources, "grace_period": POD}
        return True

    def take_registry(self, name: str, *, settle: float, forget: float) -> None:
        """
        Store the times that a registry needs in a drain.

        Args:
            name: The name of the registry.
            settle: The seconds that its clients need to notice that an address is gone.
            forget: The seconds that are kept for `forget`. 0 if the registry does not have it.

        Raises:
            ConfigError: With these times, a drain is longer than the grace period.
        """
        self._refuse_registry(name, settle, forget, self.grace_period)
        self._registries[name] = settle, forget

    def drop_registry(self, name: str) -> None:
        """Remove the times of a registry that was removed, or did not open."""
        self._registries.pop(name, None)

    def _refuse_registry(self, name: str, settle: float, forget: float, grace: float) -> None:
        longest = max(settle, self.settle)
        needed = longest + self.quiet + forget + self.stop_timeout + KILL_MARGIN
        if needed <= grace:
            return
        its_own = " (the time that its clients need)" if settle > self.settle else ""
        extra = f" + {forget:g} (to forget the address)" if forget else ""
        raise ConfigError(
            f"the registry {name!r} does not fit into the grace period: settle {longest:g}{its_own} "
            f"+ quiet {self.quiet:g}{extra} + stop_timeout {self.stop_timeout:g} + "
            f"{KILL_MARGIN:g} = {needed:g} s, which is longer than grace_period={grace:g} s. Raise "
            "grace_period and the pod's terminationGracePeriodSeconds to at least "
            f"{math.ceil(needed)}, or lower one of the other settings.",
            see="grace-period-too-short",
        )

    def options(self, cls: type[T], plugin: str = "") -> T:
        """
        Return the options of a plugin, filled from the environment.

        Args:
            cls: The class that the plugin returned from `lifecycle_options`.
            plugin: The name of the plugin. In a hook, use `me.options(cls)` instead.

        Raises:
            ConfigError: No loaded plugin of this name has this class, or several plugins have
                it and `plugin` is empty.
        """
        filled = {
            name: options
            for name, (options, _) in self._options.items()
            if type(options) is cls and plugin in ("", name)
        }
        if not filled:
            of = f"the plugin {plugin!r}" if plugin else "a loaded plugin"
            raise ConfigError(
                f"{cls.__name__} is not the options class of {of}", see="plugin-written-wrongly"
            )
        if len(filled) > 1:
            raise ConfigError(
                f"the plugins {', '.join(filled)} all have options of the class {cls.__name__}. "
                f"Add the argument `me` to the hook, and use me.options({cls.__name__}).",
                see="plugin-written-wrongly",
            )
        return next(iter(filled.values()))

    def keep_options(self, options: object, plugin: str, sources: Mapping[str, str]) -> None:
        """Store the options of the plugin of this name, for `options` to return."""
        self._options[plugin] = options, sources

    def drop_options(self, plugin: str) -> None:
        """Forget the options of a plugin that was refused or removed."""
        self._options.pop(plugin, None)

    def public_options(self) -> dict[str, dict[str, object]]:
        """Return the options of the loaded plugins, in the same form as `public`."""
        return {
            f"{plugin}.{each.name}": {
                "value": shown(each, getattr(options, each.name)),
                "source": sources[each.name],
                "variable": variable(each.name, plugin),
                "help": each.metadata.get("describe", ""),
            }
            for plugin, (options, sources) in self._options.items()
            for each in dataclasses.fields(options)
            if each.init
        }
