"""
The types of plugins, for type checkers.

Import this module for annotations only. At run time, an object is checked when it is added.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from types import ModuleType
from typing import Any, Protocol, TypeAlias

from lifecycle.contracts import ProbeResult

Answer: TypeAlias = bool | ProbeResult | Iterable[ProbeResult] | None
Asked: TypeAlias = Answer | Awaitable[Answer]

ProbeHook: TypeAlias = Callable[..., Asked]
Hook: TypeAlias = Callable[..., Any]


class HasLiveness(Protocol):
    """Has `lifecycle_liveness`."""

    @property
    def lifecycle_liveness(self) -> ProbeHook: ...


class HasReadiness(Protocol):
    """Has `lifecycle_readiness`."""

    @property
    def lifecycle_readiness(self) -> ProbeHook: ...


class HasStartup(Protocol):
    """Has `lifecycle_startup`."""

    @property
    def lifecycle_startup(self) -> ProbeHook: ...


class HasTransition(Protocol):
    """Has `lifecycle_transition`."""

    @property
    def lifecycle_transition(self) -> Hook: ...


class HasStart(Protocol):
    """Has `lifecycle_start`."""

    @property
    def lifecycle_start(self) -> Hook: ...


class HasOffline(Protocol):
    """Has `lifecycle_offline`."""

    @property
    def lifecycle_offline(self) -> Hook: ...


class HasDrain(Protocol):
    """Has `lifecycle_drain`."""

    @property
    def lifecycle_drain(self) -> Hook: ...


class HasStop(Protocol):
    """Has `lifecycle_stop`."""

    @property
    def lifecycle_stop(self) -> Hook: ...


class HasRegistries(Protocol):
    """Has `lifecycle_registries`."""

    @property
    def lifecycle_registries(self) -> Hook: ...


class HasCommands(Protocol):
    """Has `lifecycle_commands`."""

    @property
    def lifecycle_commands(self) -> Hook: ...


class HasOptions(Protocol):
    """Has `lifecycle_options`."""

    @property
    def lifecycle_options(self) -> Hook: ...


Plugin: TypeAlias = (
    HasLiveness
    | HasReadiness
    | HasStartup
    | HasTransition
    | HasStart
    | HasOffline
    | HasDrain
    | HasStop
    | HasRegistries
    | HasCommands
    | HasOptions
)

AnyPlugin: TypeAlias = Plugin | ModuleType | Callable[[], Plugin]
"""An object or a module with hooks, or a class that makes such an object without arguments."""
