"""
The hooks of pod-lifecycle.

A plugin is an object or a module with functions of these names, marked with
`@lifecycle.hookimpl`. A hook takes the arguments that it needs, by name: `life` is the
`Lifecycle` of the app, and `me` has the name, the options and the log of the plugin. Every call
has a time limit. If a hook raises or hangs, other plugins are not affected.
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
    from lifecycle.drain.drain import Drain, Stop
    from lifecycle.drain.offline import Offline
    from lifecycle.states import Transition

Lifecycle: TypeAlias = Any
"""`lifecycle.Lifecycle`, which this file must not import."""


@hookspec
def lifecycle_liveness(life: Lifecycle, me: Me) -> Answer:
    """
    Check whether this process still works, or needs a restart.

    An async function runs on the app's event loop, a plain function in a worker thread.
    Return True or False, a `ProbeResult`, or several of them. None means that the plugin has
    nothing to report. If the function raises, takes too long or returns anything else, the probe
    has failed, and the failure is shown under the plugin's name.

    Do not check a dependency here, for example a database. If the dependency fails, Kubernetes
    restarts every pod.
    """


@hookspec
def lifecycle_readiness(life: Lifecycle, me: Me) -> Answer:
    """Check whether this process can serve now. Called in the same way as `lifecycle_liveness`."""


@hookspec
def lifecycle_startup(life: Lifecycle, me: Me) -> Answer:
    """
    Check whether this process has finished starting. Called in the same way as liveness hooks.

    Once its answer has been true, the hook is not called again.
    """


@hookspec
def lifecycle_transition(life: Lifecycle, transition: Transition, me: Me) -> None:
    """
    Handle a transition from one state to the next. Called for every transition, in order.

    The function may be async. If it is slow, only its own next call is delayed.
    """


@hookspec
def lifecycle_start(life: Lifecycle, me: Me) -> None:
    """
    Prepare the plugin, for example open a connection pool. Return when the app may start.

    Your `main` starts when this hook of every plugin has returned. The hook is called once, when
    the QOS port (probe port) and the registries are open and the probes are answered. The hook is
    not called for a plugin that you add later.

    The function may be async, and has no time limit. Use your own deadline, shorter than that
    of your startupProbe. If the function raises, the app does not start. The message of a
    `LifecycleError` is then shown as it is. If a drain starts, pod-lifecycle no longer waits for
    the hook, and cancels an async hook.
    """


@hookspec
def lifecycle_offline(life: Lifecycle, offline: Offline, me: Me) -> None:
    """
    End your idle connections, because every app service is offline. For plugins that are servers.

    The hook is called each time that the last app service goes offline. Clients are then told to
    go, as in a drain, but your app continues to run. While `life.sends_clients_away` is true, tell
    clients with each response to close their connections. While `life.ends_idle_connections` is
    true, end new WebSockets and event streams at once.

    The function may be async: `await offline.settled()`, then close what is idle. It has no time
    limit. It is cancelled when a service is online again, and when the drain starts. In a drain,
    `lifecycle_drain` follows.
    """


@hookspec
def lifecycle_drain(life: Lifecycle, drain: Drain, me: Me) -> None:
    """
    Stop your own work when the drain starts. Return when this work is finished.

    For example, stop fetching messages, hand over leases, and finish the current item. The drain
    waits for this hook until the drain's deadline at the latest (`drain.time_left()` seconds). The
    function may be async, and is then cancelled at the deadline.
    """


@hookspec
def lifecycle_stop(life: Lifecycle, stop: Stop, me: Me) -> None:
    """
    Send what is left, for example the last spans and metrics. Return when it is sent.

    The hook is called once, when `main` has ended and nothing is in flight any more, or was cut
    off. So it sees everything that your app has recorded. Registries and the QOS port (probe port)
    are still open. The hooks of all plugins run at the same time.

    Pass `stop.seconds_left` to your exporter as its timeout. The hooks have `stop_timeout` seconds
    (3 by default, and at least 1), but less if `main` has used its time. If `main` was cut off,
    they have about 1 s. After a second signal, they have at most 1 s.

    The function may be async, and is then cancelled when the time is over. A plain function runs
    in a thread, which is then left behind. In both cases, the drain report names the plugin. The
    exit code does not change.
    """


@hookspec
def lifecycle_registries(life: Lifecycle, me: Me) -> Registry | Iterable[Registry] | None:
    """
    Return one or more service registries. Called once at start, in a thread.

    The function must not be async. Registries are required unless you declare otherwise. If this
    hook raises, or does not return within `register_timeout`, the app does not start. To start
    without the registry, add the plugin's name to `optional_registries`.
    """


@hookspec
def lifecycle_commands(life: Lifecycle, me: Me) -> Command | Iterable[Command] | None:
    """
    Return one or more commands for the QOS port. Called once at start, in a thread.

    The function must not be async. If this hook raises, or does not return within
    `register_timeout`, the app starts without the commands.
    """


@hookspec
def lifecycle_options() -> type[object]:  # type: ignore[empty-body]
    """
    Return a frozen dataclass. Each field is filled from `LIFECYCLE_<PLUGIN>_<FIELD>`.

    To refuse a wrong value, raise ValueError in `__post_init__`. If the instance has an attribute
    or property `enabled` that is false, the plugin is not loaded. So a plugin can be off until it
    is configured. Read the instance in a hook with `me.options(Cls)`.
    """
