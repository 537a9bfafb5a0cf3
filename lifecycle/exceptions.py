"""All exceptions of this package. The module imports nothing of the package but the addresses."""

from __future__ import annotations

import errno

from lifecycle.links import help_page

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`
if TYPE_CHECKING:
    from typing import TypeVar

    E = TypeVar("E", bound=BaseException)


class Explained(Exception):
    """
    Base class of errors that name the page on which they are explained.

    A traceback shows the address below the message. `str(error)` is the message alone.

    Args:
        args: The message.
        see: The page, as `help_page` takes it. May be empty.

    Attributes:
        see: The address of the page. Empty if there is none.
    """

    see = ""
    help_entry = ""
    """The page of errors of a class that are all explained in one place."""

    def __init__(self, *args: object, see: str = "", **others: object) -> None:
        super().__init__(*args, **others)
        if see or self.help_entry:
            explained(self, see or self.help_entry)


class LifecycleError(Explained):
    """
    Base class of all errors that pod-lifecycle raises.

    Args:
        args: The message.
        see: Where the error is explained: an address, or an entry of the page Troubleshooting.

    Attributes:
        see: The address where the error is explained. Empty if there is none.
    """


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


class StillServing(LifecycleError):
    """The time of `lifecycle offline --wait` is over, and clients are still served."""


class OnlineAgain(LifecycleError):
    """An app service is online again, so `lifecycle offline --wait` ends."""


class RegistrationRefused(LifecycleError):
    """
    A service registry has refused a registration permanently, so it is not tried again.

    Raise this error in `Registry.register`. The app gets the error from `Lifecycle.ready`.
    """


def not_running(*, in_worker: bool, in_child: bool) -> NotRunning:
    """
    Return the error of a process without a `Lifecycle`.

    Args:
        in_worker: This process belongs to the command of `lifecycle run -- COMMAND`.
        in_child: This process was forked from one in which pod-lifecycle runs.
    """
    if in_worker:
        return NotRunning(
            "this process belongs to the command of `lifecycle run -- COMMAND`, "
            "and pod-lifecycle runs in its parent process. The parent counts the requests. "
            "Add probes to the parent with a plugin: `lifecycle run -p NAME -- COMMAND`. "
            "If the app needs the `Lifecycle` object, start the app with "
            "`lifecycle run PKG.MOD:MAIN` or `lifecycle run --asgi PKG.MOD:APP`.",
            see="in-a-worker-of-a-command",
        )
    child = " This process may be a forked child of a process in which it runs." if in_child else ""
    return NotRunning(
        "pod-lifecycle is not running. Start the app with lifecycle.run(main) or "
        f"`lifecycle run`.{child}",
        see="not-running",
    )


def explained(error: E, see: str) -> E:
    """Add the address of a page to any error, for example a TypeError, and return the error."""
    address = help_page(see)
    error.add_note(f"See {address}")
    if not isinstance(getattr(type(error), "see", None), property):  # an app's own
        error.see = address  # type: ignore[attr-defined]
    return error


def page_of(error: object) -> str:
    """Return the address of the page that explains an error. Empty if there is none."""
    try:
        see = getattr(error, "see", "")
    except Exception:  # noqa: BLE001 - a property of a foreign error
        return ""
    return see if isinstance(see, str) and "://" in see else ""


def text_of(error: BaseException | None) -> str:
    """Return the message of an error, even if its `__str__` raises."""
    try:
        return str(error)
    except BaseException:  # noqa: BLE001 - a __str__ of the app or of a plugin
        return "(its message cannot be shown)"


def reason_of(error: BaseException, timeout: float | None = None) -> str:
    """
    Return the message of an error, which is never empty.

    Args:
        error: The error.
        timeout: The seconds after which a `TimeoutError` without a message was raised.
    """
    said = text_of(error)
    if not said and timeout is not None and isinstance(error, TimeoutError):
        return f"no answer for {timeout:g} s"
    return said or type(error).__name__


def reason(error: OSError) -> str:
    """Return in words why the system refused to open a socket."""
    if error.errno == errno.EADDRINUSE:
        return "the address is in use. Stop the process that uses it, or choose another address"
    return error.strerror or str(error)
