"""The main function: which functions are accepted, and how main ended."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple, TypeAlias

from lifecycle.calls.signatures import needed, one_or_none
from lifecycle.exceptions import Draining, explained
from lifecycle.links import help_page
from lifecycle.process.exit_status import code_of, status_of
from lifecycle.runtime import Lifecycle
from lifecycle.service_names import service_spec

Main: TypeAlias = Callable[[], Awaitable[object]] | Callable[[Lifecycle], Awaitable[object]]

RETURNED: Final = "main returned"
AT_ONCE: Final = 5.0
"""Seconds after its start within which the main of a service hardly returns on purpose."""
_ASGI: Final = ("scope", "receive", "send")


def takes_lifecycle(main: Any) -> bool:
    """
    Return whether main takes the `Lifecycle` argument.

    Raises:
        TypeError: The object cannot be a main. The message contains what to write instead.
    """
    if inspect.iscoroutine(main):
        main.close()
        raise explained(
            TypeError("run() takes the function, not its coroutine: write lifecycle.run(main)"),
            see="main-function",
        )
    if not callable(main):
        raise explained(
            TypeError(f"run() takes an async function, not {main!r}"), see="main-function"
        )
    try:
        parameters = needed(main)
    except ValueError:  # some that are written in C have none
        raise explained(
            TypeError(f"run() takes an async function, not {main!r}"), see="main-function"
        ) from None
    if not one_or_none(parameters):
        asgi = len(parameters) == len(_ASGI) or parameters[0].name == _ASGI[0]
        wsgi = [each.name for each in parameters[1:]] == ["start_response"]
        hint = ". To serve an ASGI app, use `lifecycle run --asgi`" if asgi else ""
        hint = ". To serve a WSGI app, use `lifecycle run -- gunicorn …`" if wsgi else hint
        raise explained(
            TypeError(
                "main takes one argument (the Lifecycle) or none, not "
                f"{', '.join(each.name for each in parameters)}{hint}"
            ),
            see="main-function",
        )
    return bool(parameters)


class MainOutcome(NamedTuple):
    """
    How main ended.

    Attributes:
        cause: The words for the log.
        code: The exit code.
        raised: An exception of the app that must be shown, or None if there is none.
    """

    cause: str
    code: int
    raised: BaseException | None = None


async def outcome_of(
    main: Callable[..., object],
    *given: Lifecycle,
    cancelled: Callable[[], bool],
    draining: Callable[[], bool],
) -> MainOutcome:
    """
    Run main to its end.

    Args:
        main: The main function.
        given: Its argument, if it takes one.
        cancelled: Returns, after the end of main, whether pod-lifecycle has cancelled it.
        draining: Returns whether the app is draining.
    """
    try:
        value = await _awaitable(main(*given))
    except asyncio.CancelledError:
        return MainOutcome("main was cancelled", 0 if cancelled() else 1)
    except SystemExit as leaving:
        return MainOutcome("main raised SystemExit", code_of(leaving))
    except Draining:
        return MainOutcome("main stopped because the app is draining", 0 if draining() else 1)
    except BaseException as error:  # noqa: BLE001 - shown as the app's own, then exit code 1
        return MainOutcome(f"main raised {type(error).__name__}", 1, error)
    is_code = isinstance(value, int) and not isinstance(value, bool)
    return MainOutcome(RETURNED, status_of(value) if is_code else 0)


def _awaitable(given: Any) -> Awaitable[Any]:
    if not inspect.isawaitable(given):
        raise explained(
            TypeError(f"main must be an async function (`async def`), but it returned {given!r}"),
            see="main-function",
        )
    return given


def warn_if_early(life: Lifecycle, outcome: MainOutcome, seconds: float) -> None:
    """
    Log a warning if main has returned at once by itself, though the app has services.

    A job has no services, so it returns without a warning. Call this before the drain starts.

    Args:
        life: The `Lifecycle` object.
        outcome: How main ended.
        seconds: Seconds for which main ran.
    """
    services = [*life.services] or [service_spec(each)[0] for each in life.config.services]
    if not services or life.draining or outcome.code or seconds > AT_ONCE:
        return
    if outcome.cause != RETURNED:
        return
    life.log.warning(
        "main returned",
        after=round(seconds, 3),
        services=services,
        hint="main returned by itself, so the app ends, although it has services. Let main wait for "
        "the drain: await life.drained()",
        see=help_page("main-returned"),
    )
