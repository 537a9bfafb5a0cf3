"""Every error this package raises: a leaf, so that any module may import it."""

from __future__ import annotations

import errno


class LifecycleError(Exception):
    """The base of every error raised by this package."""


class IllegalTransition(LifecycleError):
    """The machine got an event that has no row for its state; nothing has changed."""


class ConfigError(LifecycleError, ValueError):
    """A setting has a bad value, or a name that does not exist."""


class PluginError(LifecycleError):
    """A plugin cannot be used as it is written: a misspelt hook, a wrong argument."""


class PortUnavailable(LifecycleError):
    """A port or a socket could not be opened; the message says which, and what to do."""


class NotRunning(LifecycleError, RuntimeError):
    """There is no running lifecycle where one is needed."""


class Draining(LifecycleError):
    """The app is on its way out: nothing can be exported or made ready any more."""


class AlreadyExported(LifecycleError, ValueError):
    """A service of this name was exported before, with another port, host or protocol."""


class ServiceNotFound(LifecycleError, LookupError):
    """No exported service has this name, or matches this glob."""


class RegistrationRefused(LifecycleError):
    """
    A registry has refused a registration for good: trying again cannot help.

    Raised by a `Registry` from `register`; raised to the app by `Lifecycle.ready`.
    """


def text_of(error: BaseException | None) -> str:
    """Return an error's message, whatever its class makes of being asked for it."""
    try:
        return str(error)
    except BaseException:  # noqa: BLE001 - a stranger's __str__
        return "(its message cannot be shown)"


def reason(error: OSError) -> str:
    """Say what the system has refused for a socket, in words."""
    if error.errno == errno.EADDRINUSE:
        return "it is in use: stop what has it, or choose another"
    return error.strerror or str(error)
