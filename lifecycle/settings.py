"""
The settings of one lifecycle: a `Config`, and what the lifecycle itself learns.

A `Config` is a value, and may be given to several lifecycles. Which plugins there are, what
their options are, and how long the pod's own grace period is, each lifecycle knows for itself.
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
"""Where a setting came from that a registry has read in the pod's own specification."""


class Settings(Config):
    """
    The settings of one lifecycle, read like those of the `Config` it was made of.

    It stays equal to that `Config`, whatever the lifecycle learns.

    Args:
        config: The values; those of `Config(**given)` otherwise.
        given: As for `Config`.
    """

    def __init__(self, config: Config | None = None, **given: Any) -> None:
        config = Config(**given) if config is None else config
        vars(self).update(vars(config))
        self.sources = dict(config.sources)
        self._given: Config = config._given if isinstance(config, Settings) else config  # noqa: SLF001 - one of its own kind
        self._options: dict[str, tuple[Any, Mapping[str, str]]] = {}

    def __eq__(self, other: object) -> bool:
        return self._given == (other._given if isinstance(other, Settings) else other)

    def __hash__(self) -> int:
        return hash(self._given)

    def take_grace_period(self, seconds: float) -> bool:
        """
        Use the pod's own grace period, if none was set; for a registry that can read it.

        Returns:
            Whether it is used.

        Raises:
            ConfigError: The other times do not fit into it; the old one stays.
        """
        if self.sources["grace_period"] not in (DEFAULT, POD):
            return False
        values = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        Config(**values | {"grace_period": float(seconds)})
        # The value that was given stays as it is, and whoever asks this lifecycle sees the new one.
        vars(self)["grace_period"] = float(seconds)
        self.sources = {**self.sources, "grace_period": POD}
        return True

    def options(self, cls: type[T], plugin: str = "") -> T:
        """
        Return the options of a plugin, filled from the environment.

        Args:
            cls: What the plugin gave in `lifecycle_options`.
            plugin: Its name. A hook has it from its argument `me`: `me.options(cls)`.

        Raises:
            ConfigError: No loaded plugin of that name gave this class, or several did and none
                is named.
        """
        filled = {
            name: options
            for name, (options, _) in self._options.items()
            if type(options) is cls and plugin in ("", name)
        }
        if not filled:
            of = f"the plugin {plugin!r}" if plugin else "a loaded plugin"
            raise ConfigError(f"{cls.__name__} is not the options class of {of}")
        if len(filled) > 1:
            raise ConfigError(
                f"the plugins {', '.join(filled)} all have options of the class {cls.__name__}: "
                "take the argument `me` in the hook, and read me.options("
                f"{cls.__name__})"
            )
        return next(iter(filled.values()))

    def keep_options(self, options: object, plugin: str, sources: Mapping[str, str]) -> None:
        """Make `options` return this instance, for the plugin of that name."""
        self._options[plugin] = options, sources

    def drop_options(self, plugin: str) -> None:
        """Forget the options of a plugin that was refused, or has been taken out."""
        self._options.pop(plugin, None)

    def public_options(self) -> dict[str, dict[str, object]]:
        """Return the options of the loaded plugins in the form of `public`."""
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
