"""
Rolling updates without lost requests, for Python services on Kubernetes.

This package has the whole public API. Each name is imported when you first use it, so that
`lifecycle prestop` starts fast.
"""

from __future__ import annotations

import time

__began__ = time.monotonic()  # for the start report. `time` is a part of the interpreter

TYPE_CHECKING = False  # typing.TYPE_CHECKING, without the milliseconds of importing typing
if TYPE_CHECKING:
    from typing import Any

    from lifecycle.calls.plugins import Me
    from lifecycle.config import Config
    from lifecycle.contracts import (
        Command,
        Instance,
        Level,
        ProbeResult,
        Registry,
        Reply,
        Request,
        probe,
    )
    from lifecycle.drain.drain import Drain, Stop
    from lifecycle.drain.offline import Offline
    from lifecycle.exceptions import (
        ConfigError,
        Draining,
        IllegalTransition,
        LifecycleError,
        NotRunning,
        PluginError,
        PortUnavailable,
        RegistrationRefused,
        ServiceNotFound,
    )
    from lifecycle.hookspecs import hookimpl
    from lifecycle.plugin_handle import InstalledPlugin
    from lifecycle.process.run import run
    from lifecycle.runtime import Lifecycle, current
    from lifecycle.service import Service
    from lifecycle.states import State, Transition
    from lifecycle.status_records import Snapshot
    from lifecycle.version import VERSION as __version__  # noqa: N811 - the name tools look for

_HOME = {
    "__version__": "version",
    "Command": "contracts",
    "Config": "config",
    "ConfigError": "exceptions",
    "Drain": "drain.drain",
    "Draining": "exceptions",
    "IllegalTransition": "exceptions",
    "InstalledPlugin": "plugin_handle",
    "Instance": "contracts",
    "Level": "contracts",
    "Lifecycle": "runtime",
    "LifecycleError": "exceptions",
    "Me": "calls.plugins",
    "NotRunning": "exceptions",
    "Offline": "drain.offline",
    "PluginError": "exceptions",
    "PortUnavailable": "exceptions",
    "ProbeResult": "contracts",
    "Registry": "contracts",
    "RegistrationRefused": "exceptions",
    "Reply": "contracts",
    "Request": "contracts",
    "Service": "service",
    "ServiceNotFound": "exceptions",
    "Snapshot": "status_records",
    "State": "states",
    "Stop": "drain.drain",
    "Transition": "states",
    "current": "runtime",
    "hookimpl": "hookspecs",
    "probe": "contracts",
    "run": "process.run",
}

__all__ = [
    "Command",
    "Config",
    "ConfigError",
    "Drain",
    "Draining",
    "IllegalTransition",
    "InstalledPlugin",
    "Instance",
    "Level",
    "Lifecycle",
    "LifecycleError",
    "Me",
    "NotRunning",
    "Offline",
    "PluginError",
    "PortUnavailable",
    "ProbeResult",
    "RegistrationRefused",
    "Registry",
    "Reply",
    "Request",
    "Service",
    "ServiceNotFound",
    "Snapshot",
    "State",
    "Stop",
    "Transition",
    "__version__",
    "current",
    "hookimpl",
    "probe",
    "run",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'lifecycle' has no attribute {name!r}")
    from importlib import import_module  # `prestop` asks for no name

    module = import_module(f"lifecycle.{home}")
    value = getattr(module, "VERSION" if name == "__version__" else name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
