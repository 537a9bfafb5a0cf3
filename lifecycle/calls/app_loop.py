"""The app's loop, seen from the control thread: a guest that may be busy, stuck or gone."""

from __future__ import annotations

import asyncio
import contextvars
import os
import select
import selectors
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

from lifecycle.calls.stacks import Straggler, await_chain, thread_stack
from lifecycle.calls.threads import run_soon

BEAT: Final = 0.25
"""Seconds between two heartbeats."""
PAUSE: Final = 2 * BEAT
"""Seconds without a heartbeat after which the loop does not come round."""
ROUNDS: Final = 20
"""Turns of the loop from a connection in the listener's queue to the app that is asked, and more."""


class AppLoop:
    """
    Attached to the app's loop while it runs; stamps a heartbeat there.

    Everything but `attach` and `detach` may be called from any thread.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread_id = 0
        self._context: contextvars.Context | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._beat_at = 0.0
        self._last_gap = 0.0
        self._awake_since = 0.0
        self._on_beat: Callable[[], None] | None = None
        self.in_child = False
        """True in a forked child, in which no such loop runs for us."""
        self.hooks: set[asyncio.Task[Any]] = set()
        """What runs on the app's loop for plugins; touched there only."""
        self.describe: Callable[[], Straggler] | None = None
        """Says what of main has not ended, where main is ours; from any thread."""

    def attach(self, on_beat: Callable[[], None] | None = None) -> None:
        """Begin to beat on the running loop; `on_beat` is called there each time."""
        self._loop = asyncio.get_running_loop()
        self._thread_id = threading.get_ident()
        self._context = contextvars.copy_context()
        self._on_beat = on_beat
        self._beat_at = self._awake_since = self._clock()
        self._timer = self._loop.call_later(BEAT, self._beat)

    def detach(self) -> None:
        """Stop beating; on the app's loop."""
        if self._timer is not None:
            self._timer.cancel()
        self._loop = None

    def forget(self) -> None:
        """Take note that this is a forked child; its copy of the loop is none of ours."""
        loop, self._loop, self.in_child = self._loop, None, True
        if loop is not None:
            part_from_parent(loop)

    def _beat(self) -> None:
        now = self._clock()
        gap = now - self._beat_at
        if gap > PAUSE:
            self._awake_since = now  # first: who sees the new beat must see this too
        self._last_gap, self._beat_at = gap, now
        if self._loop is not None:
            self._timer = self._loop.call_later(BEAT, self._beat)
        if self._on_beat is not None:
            self._on_beat()

    def beat_soon(self, beaten: Callable[[], object]) -> bool:
        """
        Have the loop beat as soon as it comes round, and not only when the next beat is due.

        Args:
            beaten: Called on the app's loop then.

        Returns:
            False if there is no loop.
        """

        def beat() -> None:
            if self._timer is not None:
                self._timer.cancel()
            self._beat()
            beaten()

        return self.post(beat)

    @property
    def beat_at(self) -> float:
        """When it was last seen, on its clock."""
        return self._beat_at

    @property
    def attached(self) -> bool:
        """True while there is a loop."""
        return self._loop is not None

    def post(self, function: Callable[[], object]) -> bool:
        """Run a function on the app's loop, in the app's context; False if there is none."""
        loop = self._loop
        return loop is not None and run_soon(loop, function, self._context)

    def run_hook(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Start what a plugin asks for; on the app's loop."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self.hooks.add(task)
        task.add_done_callback(self.hooks.discard)
        return task

    def silent_for(self) -> float:
        """Return the age of the last heartbeat in seconds; 0 without a loop."""
        return max(0.0, self._clock() - self._beat_at) if self.attached else 0.0

    def busy(self) -> bool:
        """Tell whether the loop is too busy just now to be asked anything."""
        return max(self.silent_for(), self._last_gap if self.attached else 0.0) > PAUSE

    def awake_since(self) -> float:
        """
        Return since when the loop has come round without a pause, on its clock.

        Returns:
            Infinity while it does not come round, minus infinity without a loop.
        """
        if not self.attached:
            return float("-inf")
        return float("inf") if self.silent_for() > PAUSE else self._awake_since

    def come_round(self, done: Callable[[], object]) -> bool:
        """
        Have the loop come round until what waits in its sockets' queues has been looked at.

        Args:
            done: Called on the app's loop then.

        Returns:
            False if there is no loop.
        """

        def turn(left: int) -> None:
            loop = self._loop
            if left and loop is not None:
                loop.call_soon(turn, left - 1)
            else:
                done()

        return self.post(lambda: turn(ROUNDS))

    def runs(self, task: asyncio.Task[object]) -> bool:
        """Tell whether this task is the one that is running at this moment."""
        loop = self._loop
        return loop is not None and asyncio.current_task(loop) is task

    def stack(self) -> list[str]:
        """Return where the loop's thread is at this moment, innermost last."""
        return thread_stack(self._thread_id)

    def straggler(self, task: asyncio.Task[Any] | None) -> Straggler:
        """
        Name what runs as main, and say where it stands.

        Args:
            task: Main's: what it awaits is named, unless the loop does not come round.
        """
        if self.describe is not None:
            name, stack = self.describe()
            return Straggler(name, self.stack() if self._blocked else stack)
        return Straggler("main", self.stack() if task is None else self.where(task))

    def where(self, task: asyncio.Task[Any]) -> list[str]:
        """Return what a task awaits, or where the loop's thread is if that does not come round."""
        return self.stack() if self._blocked or self.runs(task) else await_chain(task)

    @property
    def _blocked(self) -> bool:
        return self.silent_for() > PAUSE


def part_from_parent(loop: asyncio.AbstractEventLoop) -> None:
    """
    Have a forked child's copy of a loop watch for itself, before anything closes it.

    The kernel's table of what a loop watches is shared: who closes the copy takes away from the
    parent what wakes its own.
    """
    selector: Any = getattr(loop, "_selector", None)
    if type(selector).__name__ != "EpollSelector":
        return
    with select.epoll() as table:
        for key in selector.get_map().values():
            reads = select.EPOLLIN if key.events & selectors.EVENT_READ else 0
            writes = select.EPOLLOUT if key.events & selectors.EVENT_WRITE else 0
            with suppress(OSError):  # it is closed in the child
                table.register(key.fd, reads | writes)
        os.dup2(table.fileno(), selector.fileno(), inheritable=False)
