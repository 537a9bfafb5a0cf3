"""Checks the times of a registry: its attributes, and whether they fit into the grace period."""

from __future__ import annotations

from typing import Any, Final

from lifecycle.contracts import Registry
from lifecycle.control.registration import overrides_forget
from lifecycle.drain.timetable import FORGET_TIME
from lifecycle.exceptions import PluginError
from lifecycle.settings import Settings

LONGEST: Final = 3600.0
SHORTEST_RETRY: Final = 0.1


def take_times(registry: Registry, settings: Settings) -> None:
    """
    Check the times of an open registry, and store them in the settings.

    Raises:
        PluginError: `settle` or `retry` has a wrong value.
        ConfigError: The settle time does not fit into the grace period.
    """
    if registry.settle is not None:
        _refuse_wrong(registry, "settle", registry.settle, 0.0)
    _refuse_wrong(registry, "retry", registry.retry, SHORTEST_RETRY)
    forget = min(FORGET_TIME, settings.register_timeout / 2) if overrides_forget(registry) else 0.0
    settings.take_registry(registry.name, settle=registry.settle or 0.0, forget=forget)


def _refuse_wrong(registry: Registry, name: str, value: Any, low: float) -> None:
    good = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (good and low <= value <= LONGEST):  # not a NaN either
        raise PluginError(
            f"registry {registry.name!r}: {name}={value!r} must be a number of seconds from "
            f"{low:g} to {LONGEST:g}",
            see="plugin-written-wrongly",
        )
