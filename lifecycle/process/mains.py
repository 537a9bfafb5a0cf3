"""What may be a main, and what is shown and returned when it ends."""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import os
import sys
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from lifecycle.calls.signatures import needed, one_or_none

if TYPE_CHECKING:
    from lifecycle.runtime import Lifecycle

Main: TypeAlias = "Callable[[], Awaitable[object]] | Callable[[Lifecycle], Awaitable[object]]"

_ASGI: Final = ("scope", "receive", "send")
_NOT_THE_APPS: Final = (
    os.path.dirname(os.path.dirname(__file__)) + os.sep,
    os.path.dirname(concurrent.futures.__file__) + os.sep,  # our threads hand errors on by it
)


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


def awaited(given: Any) -> Awaitable[Any]:
    """
    Return what main gave, if it can be awaited.

    Raises:
        TypeError: It cannot; main is no async function.
    """
    if not inspect.isawaitable(given):
        raise TypeError(f"main must be an async function (`async def`): it returned {given!r}")
    return given


def code_of(leaving: BaseException) -> int:
    """Return the exit code of a SystemExit or KeyboardInterrupt; its message is shown."""
    code = getattr(leaving, "code", 1) if isinstance(leaving, SystemExit) else 130
    if code is None:
        return 0
    if isinstance(code, int):
        return status_of(code)
    say(code)
    return 1


def say(message: object) -> None:
    """Print a message on stderr; nowhere if that is closed, when `print` would take stdout."""
    if sys.stderr is not None:
        print(message, file=sys.stderr)


def status_of(code: int) -> int:
    """Return what the kernel would make of an exit code, but never a success of a failure."""
    return code & 0xFF or int(code != 0)


def know_of(leaving: BaseException, loop: asyncio.AbstractEventLoop) -> None:
    """Have the loop not complain that nobody retrieved it from the task that raised it."""
    handle = loop.get_exception_handler()

    def complain(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if context.get("exception") is leaving:
            return
        if handle is None:
            loop.default_exception_handler(context)
        else:
            handle(loop, context)

    loop.set_exception_handler(complain)


def show(error: BaseException) -> None:
    """Show an error as Python does, without our frames."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        link.__traceback__ = _without_ours(link.__traceback__)
        link = link.__cause__ or link.__context__
    sys.excepthook(type(error), error, error.__traceback__)


def _without_ours(frames: TracebackType | None) -> TracebackType | None:
    """Return a traceback without our frames, and those through which our threads hand errors on."""
    foreign = []
    while frames is not None:
        filename = frames.tb_frame.f_code.co_filename
        if not filename.startswith(_NOT_THE_APPS):
            foreign.append(frames)
        frames = frames.tb_next
    kept: TracebackType | None = None
    for each in reversed(foreign):
        kept = TracebackType(kept, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return kept
