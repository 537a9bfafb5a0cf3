"""A plugin that is made of one function: what `@life.readiness` marks."""

from __future__ import annotations

import inspect
import reprlib
from collections.abc import Callable
from typing import Any

from lifecycle.calls.plugins import hookimpl
from lifecycle.calls.signatures import needed, one_or_none
from lifecycle.contracts import PROBE_MARK
from lifecycle.exceptions import PluginError


def plugin_of(hook: str, check: Callable[..., Any], life: object) -> Any:
    """
    Make a plugin of one function, which may take the lifecycle or nothing.

    Raises:
        PluginError: It is no such function.
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


def _takes_lifecycle(check: Any) -> bool:
    if inspect.iscoroutine(check):
        check.close()
        raise PluginError("a check is the function, not its coroutine: leave out the ()")
    if not callable(check):
        raise PluginError(f"a check is a function, not {reprlib.repr(check)}")
    try:
        parameters = needed(check)
    except ValueError:  # some that are written in C do not say
        return False
    if not one_or_none(parameters):
        name = getattr(check, "__name__", type(check).__name__)
        raise PluginError(
            f"the check {name!r} takes one argument (the Lifecycle) or none, not "
            f"{', '.join(map(str, parameters))}"
        )
    return bool(parameters)
