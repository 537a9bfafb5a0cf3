"""
The stack of a thread, and the chain of awaits of a task.

Another thread reads them while the code may continue. A frame that has ended meanwhile is left
out, and nothing here raises. The workers of a command use the same code.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lifecycle.instrumentation.lifecycle_worker import stacks

if TYPE_CHECKING:
    from lifecycle.instrumentation.lifecycle_worker.stacks import Place

MOST_THREADS: Final = 100


class Straggler(NamedTuple):
    """
    Work that did not end, with its stack.

    Attributes:
        name: The name in the drain report.
        stack: Its frames, innermost last. Empty if they are not useful.
    """

    name: str
    stack: list[str]


def thread_places(thread_id: int) -> list[Place]:
    """Return the places of a thread, innermost last. Empty if the thread has ended."""
    return stacks.of_thread(_frames().get(thread_id))


def task_places(task: asyncio.Task[Any]) -> list[Place]:
    """Return the places of a task, from its coroutine to its last await."""
    return stacks.safely(stacks.of_task, task)


def thread_stack(thread_id: int) -> list[str]:
    """Return the stack of a thread, innermost frame last. Empty if the thread has ended."""
    return _written(thread_places(thread_id))


def await_chain(task: asyncio.Task[Any]) -> list[str]:
    """
    Return the chain of awaits of a task, from its coroutine to the last await.

    If the task waits for another task (`await`, `gather`, `wait`, `wait_for`, `shield`, a
    TaskGroup of asyncio or anyio), the chain continues in this task.
    """
    return _written(task_places(task))


def other_threads() -> list[tuple[str, list[str]]]:
    """Return the name and the innermost lines of each thread except the calling one."""
    names = {each.ident: each for each in threading.enumerate()}
    own, main = threading.get_ident(), threading.main_thread().ident
    others = [(number, frame) for number, frame in _frames().items() if number != own]
    others.sort(key=lambda each: each[0] != main)  # the newest comes first otherwise
    return stacks.of_threads(others[:MOST_THREADS], names)


def _frames() -> dict[int, Any]:
    return sys._current_frames()  # noqa: SLF001 - documented, in spite of its name


def _written(places: list[Place]) -> list[str]:
    return [f"{file}:{number} {function}" for file, number, function in places]
