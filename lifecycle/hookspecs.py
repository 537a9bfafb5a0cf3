"""
The hooks of pod-lifecycle.

A plugin is any object or module with functions of these names, marked with
`@lifecycle.hookimpl`. It takes the arguments it wants, by name: `life` is the app's
lifecycle, `me` the plugin itself, with its name and its options. Every call is
isolated and bounded: what raises or hangs harms nobody else.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

from lifecycle.calls.plugins import hookimpl as hookimpl
from lifecycle.calls.plugins import hookspec

if TYPE_CHECKING:
    from lifecycle.calls.plugin_types import Answer
    from lifecycle.calls.plugins import Me
    from lifecycle.contracts import Command, Registry
    from lifecycle.drain.drain import Drain
    from lifecycle.states import Transition

Lifecycle: TypeAlias = Any
"""The app's own: `lifecycle.Lifecycle`, which stands above this file."""


@hookspec
def lifecycle_liveness(life: Lifecycle, me: Me) -> Answer:
    """
    Is this process broken in a way that only a restart mends?

    May be async (then it runs on the app's loop); a plain function runs in a worker
    thread. None is "nothing to say". Anything but an answer, raising, or being late
    is a failure under the plugin's name. Never ask a dependency here: when it is
    away, every pod would be restarted.
    """


@hookspec
def lifecycle_readiness(life: Lifecycle, me: Me) -> Answer:
    """Can this process serve now? Called as `lifecycle_liveness` is."""


@hookspec
def lifecycle_startup(life: Lifecycle, me: Me) -> Answer:
    """Has this process finished starting? Asked until it was true once, then never again."""


@hookspec
def lifecycle_transition(life: Lifecycle, transition: Transition, me: Me) -> None:
    """
    Be told of every transition, in order. May be async.

    A slow implementation delays its own next call and nobody else's.
    """


@hookspec
def lifecycle_start(life: Lifecycle, me: Me) -> None:
    """
    Return when the app may start: main begins once every plugin has returned.

    Called once, with the QOS port open, the probes asked and the registries open; not of
    a plugin that is added later. May be async. It has all the time there is: give it a
    deadline of its own, under the startupProbe's. If it raises, the app does not start,
    and a `LifecycleError`'s sentence is what is shown. Once a drain begins it is waited
    for no longer, and cancelled if it is async.
    """


@hookspec
def lifecycle_drain(life: Lifecycle, drain: Drain, me: Me) -> None:
    """
    Return when your own work is out of the way: stop fetching, hand over, finish.

    Called at T0; the drain waits for it, at most until its deadline
    (`drain.time_left()` seconds). May be async; then it is cancelled at the deadline.
    """


@hookspec
def lifecycle_registries(life: Lifecycle, me: Me) -> Registry | Iterable[Registry] | None:
    """
    Give registries. Called once, at start, in a thread; never async.

    A registry is not done without unasked: if this raises, or gives nothing within
    `register_timeout`, the start fails, unless `optional_registries` names the plugin.
    """


@hookspec
def lifecycle_commands(life: Lifecycle, me: Me) -> Command | Iterable[Command] | None:
    """
    Give commands for the QOS port. Called once, at start, in a thread; never async.

    If this raises, or gives nothing within `register_timeout`, the app starts without.
    """


@hookspec
def lifecycle_options() -> type[object]:  # type: ignore[empty-body]
    """
    Give a frozen dataclass: each field is filled from `LIFECYCLE_<PLUGIN>_<FIELD>`.

    It refuses a bad value by raising ValueError in `__post_init__`. If it has an
    attribute or property `enabled` and that is false, the plugin is left out: it is
    off until it is configured. A hook reads the filled instance with `me.options(Cls)`.
    """
