"""
The requests in flight in this worker, with the lines at which they stand, as an answer.

The code runs in a separate thread, while the worker may be blocked. A thread, a task or a greenlet
serves a request. It is found by a frame of this folder that has the key of the request in its
variables, or by its server's file. An answer has one line for each request and each thread:

    ok NUMBER
    r <TAB> time <TAB> method <TAB> path <TAB> agent <TAB> protocol <TAB> own line <TAB> lines ...
    t <TAB> name <TAB> lines ...
"""

from __future__ import annotations

import sys
from functools import partial
from time import monotonic

from . import stacks
from .words import words_of

TYPE_CHECKING = False  # importing typing costs as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import FrameType
    from typing import Any

    from .stacks import Place

PATIENCE = 0.25
"""Seconds for finding where requests stand. Later ones have no lines."""
MOST = 1000
MOST_THREADS = 100
MOST_BYTES = 1 << 20
"""Bytes of an answer."""

OK = b"ok"
"""The beginning of the first line, before the number of requests. Else there is no answer."""
greenlets: list[Callable[[], Iterable[Any]]] = []
"""Functions that return the greenlets that serve."""
tasks: list[Callable[[], Iterable[tuple[object, Any]]]] = []
"""Functions that return keys of requests, each with the task that serves it."""


def answer(
    since: dict[object, float],
    limit: int,
    *,
    with_stacks: bool,
    loops: Iterable[Any],
    main: int,
    own: int,
) -> bytes:
    """
    Return the answer.

    Args:
        since: The requests in flight, and when each one has started.
        limit: The most requests, the oldest first.
        with_stacks: Whether to find where requests and threads stand.
        loops: The loops that serve, each with a task for a request.
        main: The main thread.
        own: The calling thread.
    """
    keys = sorted(since, key=since.__getitem__)[: min(limit, MOST)]
    frames = sys._current_frames() if with_stacks else {}  # noqa: SLF001 - documented
    frames.pop(own, None)
    found = _places(keys, frames, loops) if keys and with_stacks else {}
    rows = [b"%b %d" % (OK, len(since))]
    rows += [_request(key, since[key], found.get(id(key), ())) for key in keys]
    if with_stacks:
        rows += _all_of(_threads, frames, main)
    size, kept = 0, []
    for row in rows:
        size += len(row) + 1
        if size > MOST_BYTES:
            break
        kept.append(row)
    return b"".join(row + b"\n" for row in kept)


def _request(key: object, at: float, places: Iterable[Place]) -> bytes:
    places = list(places)
    own = stacks.own_place(places) or (places[-1] if places else None)
    line = stacks.line(own) if own else ""
    return _row("r", repr(at), *words_of(key), line, *stacks.lines(places))


def _threads(frames: dict[int, Any], main: int) -> list[bytes]:
    threads = dict(getattr(sys.modules.get("threading"), "_active", {}))
    several = sorted(frames.items(), key=lambda each: each[0] != main)[:MOST_THREADS]
    told = stacks.of_threads(several, threads, main)
    return [_row("t", name, *lines) for name, lines in told]


def _row(*fields: str) -> bytes:
    flat = (each.replace("\t", " ").replace("\n", " ") for each in fields)
    return "\t".join(flat).encode("utf-8", "backslashreplace")


def _places(
    keys: list[object], frames: dict[int, Any], loops: Iterable[Any]
) -> dict[int, list[Place]]:
    """Return where requests stand, by the id of their keys."""
    until = monotonic() + PATIENCE
    left = {id(key) for key in keys}
    found: dict[int, list[Place]] = {}
    for hold, find in _everything(frames, loops):
        here = left.intersection(_all_of(hold))
        if here:
            found.update(dict.fromkeys(here, stacks.safely(find)))
            left -= here
        if not left or monotonic() > until:
            break
    return found


def _all_of(find: Callable[..., Iterable[Any]], *given: Any) -> list[Any]:
    """Return what a function finds. If it raises, only the rest is missing in the answer."""
    found = []
    try:
        for each in find(*given):
            found.append(each)  # noqa: PERF402 - keep those before an error
    except Exception:  # noqa: S110 - the objects are those of the app and of the server
        pass
    return found


def _everything(
    frames: dict[int, Any], loops: Iterable[Any]
) -> Iterator[tuple[Callable[[], Iterable[int]], Callable[[], list[Place]]]]:
    """
    Yield what may serve, as two functions that may raise.

    The first one returns the ids of the objects that it holds, and the second one where it stands.
    """
    for frame in frames.values():
        yield partial(_held_by, frame), partial(stacks.of_thread, frame)
    for key, task in [each for find in tuple(tasks) for each in _all_of(find)]:
        yield partial(_only, key), partial(_of_task, task, frames)
    asyncio: Any = sys.modules.get("asyncio")
    for loop in tuple(loops):
        for task in _all_of(asyncio.all_tasks, loop):
            yield partial(_held_by_task, task), partial(_of_task, task, frames)
    for greenlet in [each for find in tuple(greenlets) for each in _all_of(find)]:
        yield partial(_held_by_greenlet, greenlet), partial(_of_greenlet, greenlet)


def _only(key: object) -> set[int]:
    return {id(key)}


def _held_by(frame: FrameType | None) -> set[int]:
    return _held(stacks.chain(frame))


def _held_by_task(task: Any) -> set[int]:
    return {id(task), *_held(frame for _, _, frame in stacks.frames_of(task.get_coro()))}


def _held_by_greenlet(greenlet: Any) -> set[int]:
    return _held_by(greenlet.gr_frame)


def _of_greenlet(greenlet: Any) -> list[Place]:
    return stacks.of_thread(greenlet.gr_frame)


def _held(frames: Iterable[FrameType | None]) -> set[int]:
    """Return the ids of the variables in frames of this folder."""
    ours = [each for each in frames if each is not None and stacks.is_ours(each)]
    return {id(value) for frame in ours for value in tuple(frame.f_locals.values())}


def _of_task(task: Any, frames: dict[int, Any]) -> list[Place]:
    """Return where a task stands: in its thread if it runs, or else what it awaits."""
    coroutine = task.get_coro()
    if getattr(coroutine, "cr_running", False):
        for frame in frames.values():
            if any(each is coroutine.cr_frame for each in stacks.chain(frame)):
                return stacks.of_thread(frame)
    return stacks.of_task(task)
