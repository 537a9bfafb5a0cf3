"""All exceptions of this package. The module imports no other module of the package."""

from __future__ import annotations

import errno


class LifecycleError(Exception):
    """Base class of all errors that pod-lifecycle raises."""


class IllegalTransition(LifecycleError):
    """An event is not allowed in the current state. The state has not changed."""


class ConfigError(LifecycleError, ValueError):
    """A setting has a wrong value, or there is no setting of this name."""


class PluginError(LifecycleError):
    """A plugin is written wrongly, for example with a misspelt hook or a wrong argument."""


class PortUnavailable(LifecycleError):
    """A port or a socket cannot be opened. The message contains its name and what to do."""


class NotRunning(LifecycleError, RuntimeError):
    """No `Lifecycle` runs here. Start the app with `lifecycle.run(main)` or `lifecycle run`."""


class Draining(LifecycleError):
    """The app is draining or has ended, so it cannot export a service or become READY."""


class AlreadyExported(LifecycleError, ValueError):
    """A service of this name is already exported with another port, host or protocol."""


class ServiceNotFound(LifecycleError, LookupError):
    """No exported service has this name or matches this pattern."""


class RegistrationRefused(LifecycleError):
    """
    A service registry has refused a registration permanently, so it is not tried again.

    Raise this error in `Registry.register`. The app gets the error from `Lifecycle.ready`.
    """


def text_of(error: BaseException | None) -> str:
    """Return the message of an error, even if its `__str__` raises."""
    try:
        return str(error)
    except BaseException:  # noqa: BLE001 - a __str__ of the app or of a plugin
        return "(its message cannot be shown)"


def reason(error: OSError) -> str:
    """Return in words why the system refused to open a socket."""
    if error.errno == errno.EADDRINUSE:
        return "the address is in use. Stop the process that uses it, or choose another address"
    return error.strerror or str(error)
