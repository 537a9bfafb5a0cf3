"""
The settings of one `Lifecycle` object: a `Config`, and what is only known at run time.

You may pass one `Config` to several `Lifecycle` objects. Each object then has its own plugins,
the options of these plugins, and the grace period that a registry has read from the pod.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from lifecycle.config import Config, shown
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
            ConfigError: The other times together are longer than this grace period. The old
                grace period stays.
        """
        if self.sources["grace_period"] not in (DEFAULT, POD):
            return False
        values = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        Config(**values | {"grace_period": float(seconds)})
        # The `Config` that was passed does not change. Only this object has the new value.
        vars(self)["grace_period"] = float(seconds)
        self.sources = {**self.sources, "grace_period": POD}
        return True

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
