"""
Where code stands: the frames a thread is in, and what a task awaits.

Both are read from another thread while the code may run on. So a frame that is gone
meanwhile is left out, and nothing here raises.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import traceback
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any, Final, NamedTuple

DEEPEST: Final = 100
"""Frames of an await chain that are followed: an await may form a circle."""


class Standing(NamedTuple):
    """
    What did not end, and where it stands.

    Attributes:
        name: How the report names it.
        stack: Its frames, innermost last; empty if they say nothing to anybody.
    """

    name: str
    stack: list[str]


def thread_stack(thread_id: int) -> list[str]:
    """Return where a thread is at this moment, innermost last; empty if it is gone."""
    frame = sys._current_frames().get(thread_id)
    if frame is None:
        return []
    return [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_stack(frame)]


def await_chain(task: asyncio.Task[Any]) -> list[str]:
    """
    Return what a task awaits at this moment, innermost last: from its coroutine to the last await.

    Where it waits for another task (`await`, `gather`, a TaskGroup), the chain goes on there.
    """
    lines: list[str] = []
    seen: set[int] = set()
    waiting: asyncio.Future[Any] | None = task
    while isinstance(waiting, asyncio.Task) and id(waiting) not in seen:
        seen.add(id(waiting))
        frames = list(_frames(waiting.get_coro()))
        lines += [_line(code, number) for code, number, _ in frames]
        waiting = _awaited(waiting, frames[-1][2] if frames else None)
    return lines


def _frames(awaitable: Any) -> Iterator[tuple[CodeType, int, FrameType | None]]:
    for _ in range(DEEPEST):
        kind = _kind(awaitable)
        if kind is None:
            # What a step of an async generator awaits is held by an object that shows nothing.
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


def _line(code: CodeType, number: int) -> str:
    return f"{code.co_filename}:{number} {code.co_name}"


def _awaited(task: asyncio.Task[Any], innermost: FrameType | None) -> asyncio.Future[Any] | None:
    future = getattr(task, "_fut_waiter", None)
    if isinstance(future, asyncio.Task):
        return future
    children = list(getattr(future, "_children", ()))
    group = innermost.f_locals.get("self") if innermost is not None else None
    if isinstance(group, asyncio.TaskGroup):
        children = list(getattr(group, "_tasks", ()))
    return next((child for child in children if not child.done()), None)
