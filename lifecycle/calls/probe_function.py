"""Makes a plugin from one function, for `@life.readiness` and `@life.liveness`."""

from __future__ import annotations

import inspect
import reprlib
from collections.abc import Callable, Container
from typing import Any

from lifecycle.calls.plugins import hookimpl
from lifecycle.calls.signatures import needed, one_or_none
from lifecycle.contracts import PROBE_MARK
from lifecycle.exceptions import PluginError


def plugin_of(hook: str, check: Callable[..., Any], life: object) -> Any:
    """
    Make a plugin from one function, which takes the `Lifecycle` or no argument.

    Raises:
        PluginError: The object is not such a function.
    """
    arguments = (life,) if _takes_lifecycle(check) else ()

    async def ask_async() -> Any:
        return await check(*arguments)

    def ask() -> Any:
        return check(*arguments)

    is_async = inspect.iscoroutinefunction(check)
    call: Callable[..., Any] = ask_async if is_async else ask
    if hasattr(check, PROBE_MARK):
        setattr(call, PROBE_MARK, getattr(check, PROBE_MARK))
    return type("Check", (), {hook: staticmethod(hookimpl(call))})()


def name_of(hook: str, check: object, taken: Container[str]) -> str:
    """Return the name of the plugin for a function. `taken` are the names of other plugins."""
    name: str = getattr(check, "__name__", type(check).__name__)
    if name in taken:  # used in both hooks, or the name of a plugin
        name += hook.removeprefix("lifecycle").replace("_", "-")
    return name


def _takes_lifecycle(check: Any) -> bool:
    if inspect.iscoroutine(check):
        check.close()
        raise PluginError(
            "pass the function of the check, without the ()", see="plugin-written-wrongly"
        )
    if not callable(check):
        raise PluginError(
            f"a check must be a function, not {reprlib.repr(check)}", see="plugin-written-wrongly"
        )
    try:
        parameters = needed(check)
    except ValueError:  # unknown for some functions in C
        return False
    if not one_or_none(parameters):
        name = getattr(check, "__name__", type(check).__name__)
        raise PluginError(
            f"the check {name!r} must take one argument (the Lifecycle) or none, not "
            f"{', '.join(map(str, parameters))}",
            see="plugin-written-wrongly",
        )
    return bool(parameters)
