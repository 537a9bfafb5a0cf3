"""
The stack of a thread, and the chain of awaits of a task.

Another thread reads them while the code may continue. A frame that has ended meanwhile is left
out, and nothing here raises.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import sys
import traceback
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any, Final, NamedTuple, TypeAlias

DEEPEST: Final = 100
"""The most frames of an await chain that are followed, because awaits may form a cycle."""


_Frame: TypeAlias = tuple[CodeType, int, FrameType | None]


class Straggler(NamedTuple):
    """
    Work that did not end, with its stack.

    Attributes:
        name: The name in the drain report.
        stack: Its frames, innermost last. Empty if they are not useful.
    """

    name: str
    stack: list[str]


def thread_stack(thread_id: int) -> list[str]:
    """Return the stack of a thread, innermost frame last. Empty if the thread has ended."""
    frame = sys._current_frames().get(thread_id)  # noqa: SLF001 - documented, in spite of its name
    if frame is None:
        return []
    return [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_stack(frame)]


def await_chain(task: asyncio.Task[Any]) -> list[str]:
    """
    Return the chain of awaits of a task, from its coroutine to the last await.

    If the task waits for another task (`await`, `gather`, `wait`, `wait_for`, `shield`, a
    TaskGroup of asyncio or anyio), the chain continues in this task.
    """
    lines: list[str] = []
    seen: set[int] = set()
    waiting: asyncio.Future[Any] | None = task
    while waiting is not None and id(waiting) not in seen:
        seen.add(id(waiting))
        frames: list[_Frame] = []
        if isinstance(waiting, asyncio.Task):
            frames = list(_frames(waiting.get_coro()))
            lines += [f"{code.co_filename}:{number} {code.co_name}" for code, number, _ in frames]
        found = [each for each in _awaited(waiting, frames) if not each.done()]
        waiting = next((each for each in found if isinstance(each, asyncio.Task)), None)
        waiting = waiting or next(iter(found), None)
    return lines


def _frames(awaitable: Any) -> Iterator[_Frame]:
    for _ in range(DEEPEST):
        kind = _kind(awaitable)
        if kind is None:
            # The awaitable of an async generator step is hidden in an object without attributes.
            awaitable = next(filter(_kind, gc.get_referents(awaitable)), None)
            kind = _kind(awaitable)
        frame: FrameType | None = getattr(awaitable, f"{kind}_frame", None)
        if kind is None or frame is None:
            return
        code: CodeType = getattr(awaitable, f"{kind}_code")
        yield code, frame.f_lineno or code.co_firstlineno, frame
        awaitable = getattr(awaitable, f"{kind}_{'yieldfrom' if kind == 'gi' else 'await'}", None)


def _kind(awaitable: Any) -> str | None:
    return next((kind for kind in ("cr", "gi", "ag") if hasattr(awaitable, f"{kind}_code")), None)


def _awaited(waiting: asyncio.Future[Any], frames: list[_Frame]) -> Iterator[asyncio.Future[Any]]:
    """Find the futures that a task or a future waits for."""
    if frames:
        yield from _in_frame(frames[-1])
    for each in (getattr(waiting, "_fut_waiter", None), *getattr(waiting, "_children", ())):
        if isinstance(each, asyncio.Future):
            yield each
    yield from _shielded(waiting)


def _in_frame(frame: _Frame) -> Iterator[asyncio.Future[Any]]:
    """Find the futures that a function of asyncio or anyio keeps in its own variables."""
    code, _, here = frame
    names = here.f_locals if here is not None else {}
    if code.co_filename == asyncio.tasks.__file__:  # of `wait`, and of `wait_for`
        held: list[object] = [*names.get("fs", ()), names.get("fut")]
    elif str(type(names.get("self")).__module__).partition(".")[0] in ("asyncio", "anyio"):
        held = list(getattr(names["self"], "_tasks", ()))  # of a TaskGroup
    else:
        return
    yield from (each for each in held if isinstance(each, asyncio.Future))


def _shielded(outer: asyncio.Future[Any]) -> Iterator[asyncio.Future[Any]]:
    """Find the future inside `shield`, which only its callback refers to."""
    for callback, _ in list(getattr(outer, "_callbacks", None) or ()):
        if (
            getattr(getattr(callback, "__code__", None), "co_filename", "")
            == asyncio.tasks.__file__
        ):
            inner = inspect.getclosurevars(callback).nonlocals.get("inner")
            if isinstance(inner, asyncio.Future):
                yield inner
