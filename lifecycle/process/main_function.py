"""What may be a main, and how it ended."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple, TypeAlias

from lifecycle.calls.signatures import needed, one_or_none
from lifecycle.exceptions import Draining
from lifecycle.process.exit_status import code_of, status_of
from lifecycle.runtime import Lifecycle

Main: TypeAlias = Callable[[], Awaitable[object]] | Callable[[Lifecycle], Awaitable[object]]

_ASGI: Final = ("scope", "receive", "send")


def takes_lifecycle(main: Any) -> bool:
    """
    Tell whether main wants the handle.

    Raises:
        TypeError: It cannot be a main; the message says what to write instead.
    """
    if inspect.iscoroutine(main):
        main.close()
        raise TypeError("run() takes the function, not its coroutine: lifecycle.run(main)")
    if not callable(main):
        raise TypeError(f"run() takes an async function, not {main!r}")
    try:
        parameters = needed(main)
    except ValueError:  # some that are written in C have none
        raise TypeError(f"run() takes an async function, not {main!r}") from None
    if not one_or_none(parameters):
        asgi = len(parameters) == len(_ASGI) or parameters[0].name == _ASGI[0]
        hint = "; an ASGI app is served by `lifecycle run --asgi`" if asgi else ""
        raise TypeError(
            "main takes one argument (the Lifecycle) or none, not "
            f"{', '.join(map(str, parameters))}{hint}"
        )
    return bool(parameters)


class MainOutcome(NamedTuple):
    """
    How main ended.

    Attributes:
        cause: In the log's words.
        code: The exit code that it means.
        raised: What is to be shown as the app's own.
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
        main: It.
        given: Its argument, if it takes one.
        cancelled: Tells, once it has ended, whether it was cancelled by us.
        draining: Tells whether it was told to go.
    """
    try:
        value = await _awaitable(main(*given))
    except asyncio.CancelledError:
        return MainOutcome("main was cancelled", 0 if cancelled() else 1)
    except SystemExit as leaving:
        return MainOutcome("main left", code_of(leaving))
    except Draining:
        return MainOutcome("main gave up: the app is draining", 0 if draining() else 1)
    except BaseException as error:  # noqa: BLE001 - shown as the app's own, then exit code 1
        return MainOutcome(f"main raised {type(error).__name__}", 1, error)
    is_code = isinstance(value, int) and not isinstance(value, bool)
    return MainOutcome("main returned", status_of(value) if is_code else 0)


def _awaitable(given: Any) -> Awaitable[Any]:
    if not inspect.isawaitable(given):
        raise TypeError(f"main must be an async function (`async def`): it returned {given!r}")
    return given
