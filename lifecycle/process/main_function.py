"""The main function: which functions are accepted, and how main ended."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple, TypeAlias

from lifecycle.calls.signatures import needed, one_or_none
from lifecycle.exceptions import Draining, explained
from lifecycle.process.exit_status import code_of, status_of
from lifecycle.runtime import Lifecycle

Main: TypeAlias = Callable[[], Awaitable[object]] | Callable[[Lifecycle], Awaitable[object]]

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
    return MainOutcome("main returned", status_of(value) if is_code else 0)


def _awaitable(given: Any) -> Awaitable[Any]:
    if not inspect.isawaitable(given):
        raise explained(
            TypeError(f"main must be an async function (`async def`), but it returned {given!r}"),
            see="main-function",
        )
    return given
