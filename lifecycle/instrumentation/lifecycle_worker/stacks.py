"""
The stack of a thread, and the chain of awaits of a task.

Another thread reads them while the code may continue. A frame that has ended meanwhile is left
out, and nothing here raises. Nothing is imported here, because the code may be inside an import.
"""

from __future__ import annotations

import gc
import os
import sys

TYPE_CHECKING = False  # importing typing costs as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import CodeType, FrameType
    from typing import Any

    Place = tuple[str, int, str]
    """The file, the line and the function of a frame."""
    _Frame = tuple[CodeType, int, "FrameType | None"]

DEEPEST = 100
"""The most frames that are followed, because awaits may form a cycle."""
LINES = 8
"""The lines of a stack that are shown at most."""
LONGEST = 100
"""The characters of a line that are shown at most, the last ones."""
MOST_FILES = 1000
_files: dict[str, tuple[str, bool]] = {}
_OURS = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))) + os.sep
"""The folder of pod-lifecycle, two above this one."""
_STANDARD = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
_HANDED_OVER = {
    ("anyio/_backends/_asyncio.py", "run_sync_in_worker_thread"): "future",
    ("asgiref/sync.py", "__call__"): "func",
}
"""
The functions that wait for a thread, by file and name, each with one of its variables. The
function at the beginning of the thread has the same object in a variable of this name.
"""
_INSTALLED = (os.sep + "site-packages" + os.sep, os.sep + "dist-packages" + os.sep)


def of_thread(frame: FrameType | None) -> list[Place]:
    """Return the stack of a thread, from its innermost frame. The innermost place is last."""
    places: list[Place] = []
    while frame is not None and len(places) < DEEPEST:
        code = frame.f_code
        places.append((code.co_filename, frame.f_lineno or code.co_firstlineno, code.co_name))
        frame = frame.f_back
    places.reverse()
    return places


def of_task(task: Any) -> list[Place]:
    """
    Return the chain of awaits of a task or of a coroutine, from the coroutine to the last await.

    If the task waits for another task (`await`, `gather`, `wait`, `wait_for`, `shield`, a
    TaskGroup of asyncio or anyio), the chain continues in this task. If it waits for a function
    that anyio or asgiref runs in a thread, such as a `def` endpoint, the stack continues there.
    """
    asyncio: Any = sys.modules["asyncio"]
    places: list[Place] = []
    seen: set[int] = set()
    waiting: Any = task
    while waiting is not None and id(waiting) not in seen:
        seen.add(id(waiting))
        coroutine = waiting.get_coro() if isinstance(waiting, asyncio.Task) else waiting
        awaits = list(_awaits(coroutine)) if _kind(coroutine) else []
        frames = list(_frames(awaits))
        places += [(code.co_filename, number, code.co_name) for code, number, _ in frames]
        places += _in_thread(frames)
        ends = _ends(awaits[-1]) if coroutine is waiting and awaits else []
        found = [each for each in _awaited(waiting, frames, ends, asyncio) if not each.done()]
        waiting = next((each for each in found if isinstance(each, asyncio.Task)), None)
        waiting = waiting or next(iter(found), None)
    return places


def of_coroutine(coroutine: Any) -> list[Place]:
    """Return where a coroutine stands: in its thread if it runs, or else what it awaits."""
    if getattr(coroutine, "cr_running", False):
        for innermost in sys._current_frames().values():  # noqa: SLF001 - documented
            if any(each is coroutine.cr_frame for each in chain(innermost)):
                return of_thread(innermost)
    return of_task(coroutine)


def chain(frame: FrameType | None) -> Iterator[FrameType]:
    """Yield a frame and its callers."""
    while frame is not None:
        yield frame
        frame = frame.f_back


def frames_of(awaitable: Any) -> Iterator[_Frame]:
    """Yield the frames of a coroutine and of everything that it awaits directly."""
    return _frames(_awaits(awaitable))


def _frames(awaits: Iterable[Any]) -> Iterator[_Frame]:
    for each in awaits:
        kind = _kind(each)
        frame: FrameType | None = getattr(each, f"{kind}_frame", None)
        if kind is None or frame is None:
            return
        code: CodeType = getattr(each, f"{kind}_code")
        yield code, frame.f_lineno or code.co_firstlineno, frame


def _awaits(awaitable: Any) -> Iterator[Any]:
    """Yield a coroutine, everything that it awaits directly, and what the last one waits for."""
    for _ in range(DEEPEST):
        if awaitable is None:
            return
        if _kind(awaitable) is None:
            # The awaitable of an async generator step is hidden in an object without attributes.
            awaitable = next(filter(_kind, gc.get_referents(awaitable)), awaitable)
        yield awaitable
        kind = _kind(awaitable)
        awaitable = getattr(awaitable, f"{kind}_{'yieldfrom' if kind == 'gi' else 'await'}", None)


def _kind(awaitable: Any) -> str | None:
    return next((kind for kind in ("cr", "gi", "ag") if hasattr(awaitable, f"{kind}_code")), None)


def _awaited(waiting: Any, frames: list[_Frame], ends: list[Any], asyncio: Any) -> Iterator[Any]:
    """Find the futures that a task, a coroutine or a future waits for."""
    if frames:
        yield from _in_frame(frames[-1], asyncio)
    for each in (*ends, getattr(waiting, "_fut_waiter", None), *getattr(waiting, "_children", ())):
        if isinstance(each, asyncio.Future):
            yield each
    yield from _shielded(waiting, asyncio)


def _ends(last: Any) -> list[Any]:
    """Return what may be the future at the end of a coroutine's awaits, as its task knows it."""
    return [] if _kind(last) else [last, *gc.get_referents(last)]


def _in_frame(frame: _Frame, asyncio: Any) -> Iterator[Any]:
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


def _in_thread(frames: list[_Frame]) -> list[Place]:
    """Return the stack of the thread for which anyio or asgiref waits, or nothing."""
    code, _, here = frames[-1] if frames else (None, 0, None)
    if code is None or here is None:
        return []
    keys = (key for key in _HANDED_OVER if key[1] == code.co_name)
    found = next((key for key in keys if code.co_filename.endswith(key[0])), None)
    if found is None:
        return []
    name = _HANDED_OVER[found]
    handed = here.f_locals.get(name)
    for innermost in sys._current_frames().values():  # noqa: SLF001 - documented
        for frame in chain(innermost):
            its = frame.f_locals if frame.f_code.co_filename == code.co_filename else {}
            if handed is not None and its.get(name) is handed:
                return of_thread(innermost)
    return []


def _shielded(outer: Any, asyncio: Any) -> Iterator[Any]:
    """Find the future inside `shield`, which only its callback refers to."""
    for callback, _ in list(getattr(outer, "_callbacks", None) or ()):
        code = getattr(callback, "__code__", None)
        if code is None or code.co_filename != asyncio.tasks.__file__:
            continue
        inner = in_closure(callback, "inner")
        if isinstance(inner, asyncio.Future):
            yield inner


def in_closure(function: Any, name: str) -> Any:
    """Return a variable that a function has from an outer one, or None."""
    try:
        return function.__closure__[function.__code__.co_freevars.index(name)].cell_contents
    except (AttributeError, TypeError, ValueError):
        return None


def lines(places: Sequence[Place]) -> list[str]:
    """
    Return a stack as it is shown: the innermost lines, and one of the app's in any case.

    A library may have more frames than are shown. Then the last line of the app comes first.
    """
    ours = [each for each in places if not each[0].startswith(_OURS)]
    known = ours[-LINES:]
    own = own_place(ours)
    if own is not None and own not in known:
        known[:1] = [own]
    return [line(each) for each in known]


def own_place(places: Sequence[Place]) -> Place | None:
    """Return the innermost place that is neither in a library nor in Python itself, or None."""
    return next((each for each in reversed(places) if _is_own(each[0])), None)


def _is_own(file: str) -> bool:
    return _known(file)[1]


def line(place: Place) -> str:
    """Return a place as text, for example `shop/orders.py:41 fetch`."""
    file, number, function = place
    return f"{_short(file)}:{number} {function}"[-LONGEST:]


def _short(file: str) -> str:
    return _known(file)[0]


def _known(file: str) -> tuple[str, bool]:
    """Return the name of a file as an import finds it, and whether the file is the app's."""
    known = _files.get(file)
    if known is None:
        if len(_files) >= MOST_FILES:
            _files.clear()
        foreign = file.startswith(("<", _OURS, _STANDARD)) or any(
            each in file for each in _INSTALLED
        )
        known = _files[file] = (_imported(file), not foreign)
    return known


def _imported(file: str) -> str:
    roots = [each for each in sys.path if each and file.startswith(each.rstrip(os.sep) + os.sep)]
    root = max(roots, key=len, default="")
    return file[len(root) :].lstrip(os.sep) if root else os.path.basename(file)


def is_ours(frame: FrameType) -> bool:
    """Return whether a frame belongs to pod-lifecycle."""
    return frame.f_code.co_filename.startswith(_OURS)


def safely(find: Callable[..., list[Place]], *given: Any) -> list[Place]:
    """Return a stack, or nothing if it cannot be read."""
    try:
        return find(*given)
    except Exception:  # the code runs meanwhile, and its objects may be anything
        return []


def _name_of(thread: Any) -> str:
    try:
        return str(getattr(thread, "name", None) or "")
    except Exception:  # it may be a property of the app
        return ""


def of_threads(
    frames: Iterable[tuple[int, FrameType]], threads: Any, main: int = 0
) -> list[tuple[str, list[str]]]:
    """
    Return the name and the lines of each thread, the main thread first.

    Args:
        frames: The innermost frame of each thread, by its number.
        threads: The threads of `threading`, by their numbers.
        main: The number of the main thread, if `threading` may have another one.
    """
    found = []
    for number, frame in frames:
        name = "MainThread" if number == main else _name_of(threads.get(number))
        found.append((name or f"thread {number}", lines(safely(of_thread, frame))))
    return sorted(found, key=lambda each: each[0] != "MainThread")
