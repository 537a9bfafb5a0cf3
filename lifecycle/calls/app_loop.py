"""The app's event loop, seen from the control thread. The loop may be blocked, or have ended."""

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
from typing import TYPE_CHECKING, Any, Final

from lifecycle.calls.stacks import (
    Straggler,
    await_chain,
    task_places,
    thread_places,
    thread_stack,
)
from lifecycle.calls.threads import run_soon

if TYPE_CHECKING:
    from lifecycle.instrumentation.lifecycle_worker.stacks import Place

BEAT: Final = 0.25
"""Seconds between two heartbeats."""
PAUSE: Final = 2 * BEAT
"""Seconds without a heartbeat after which the loop counts as blocked."""
LAG_TIME: Final = 30.0
"""Seconds for which a delay of the loop is shown at least, so that a scraper sees it."""
ROUNDS: Final = 20
"""Turns of the loop that a connection needs from the accept queue to the app, with a reserve."""


class AppLoop:
    """
    Watches the app's event loop by a heartbeat that runs on it.

    All methods except `attach` and `detach` may be called from any thread.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread_id = 0
        self.running_in = 0
        """The thread in which the loop runs, or 0 while there is no loop."""
        self._context: contextvars.Context | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._beat_at = 0.0
        self._last_gap = 0.0
        self._lags = 0.0, 0.0
        """The longest delay in the current period of `LAG_TIME`, and in the one before."""
        self._lags_since = 0.0
        self._awake_since = 0.0
        self._on_beat: Callable[[], None] | None = None
        self.in_child = False
        """True in a forked child, in which the loop does not run."""
        self.hooks: set[asyncio.Task[Any]] = set()
        """The tasks of plugins on the app's loop. Used on this loop only."""
        self.describe: Callable[[], Straggler] | None = None
        """Returns what of main has not ended, if pod-lifecycle runs main. From any thread."""

    def attach(self, on_beat: Callable[[], None] | None = None) -> None:
        """Start the heartbeat on the running loop. `on_beat` is called there each time."""
        self._loop = asyncio.get_running_loop()
        self._thread_id = self.running_in = threading.get_ident()
        self._context = contextvars.copy_context()
        self._on_beat = on_beat
        self._beat_at = self._awake_since = self._lags_since = self._clock()
        self._timer = self._loop.call_later(BEAT, self._beat)

    def detach(self) -> None:
        """Stop the heartbeat. Call this on the app's loop."""
        if self._timer is not None:
            self._timer.cancel()
        self._loop, self.running_in = None, 0

    def forget(self) -> None:
        """Give up the copy of the loop in a forked child."""
        loop, self._loop, self.in_child = self._loop, None, True
        self.running_in = 0
        if loop is not None:
            part_from_parent(loop)

    def _beat(self) -> None:
        now = self._clock()
        gap = now - self._beat_at
        if gap > PAUSE:
            self._awake_since = now  # set first, because a reader of the new beat needs it too
        self._last_gap, self._beat_at = gap, now
        if now - self._lags_since > LAG_TIME:
            self._lags, self._lags_since = (0.0, self._lags[0]), now
        self._lags = max(self._lags[0], gap - BEAT), self._lags[1]
        if self._loop is not None:
            self._timer = self._loop.call_later(BEAT, self._beat)
        if self._on_beat is not None:
            self._on_beat()

    def beat_soon(self, beaten: Callable[[], object]) -> bool:
        """
        Request a heartbeat as soon as the loop can run it, before the next one is due.

        Args:
            beaten: Called on the app's loop after this heartbeat.

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
        """The time of the last heartbeat, on the clock of this object."""
        return self._beat_at

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop, or None."""
        return self._loop

    @property
    def attached(self) -> bool:
        """True while there is a loop."""
        return self._loop is not None

    def post(self, function: Callable[[], object]) -> bool:
        """Run a function on the app's loop, in the app's context. Returns False without a loop."""
        loop = self._loop
        return loop is not None and run_soon(loop, function, self._context)

    def run_hook(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Start a task for a plugin. Call this on the app's loop."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self.hooks.add(task)
        task.add_done_callback(self.hooks.discard)
        return task

    def silent_for(self) -> float:
        """Return the age of the last heartbeat in seconds. 0 without a loop."""
        return max(0.0, self._clock() - self._beat_at) if self.attached else 0.0

    def lag(self) -> float:
        """Return the longest delay of the loop in the last 30 to 60 s, in seconds."""
        return max(*self._lags, self.silent_for() - BEAT, 0.0)

    def busy(self) -> bool:
        """Return True if the loop is too busy now to run a probe in time."""
        return max(self.silent_for(), self._last_gap if self.attached else 0.0) > PAUSE

    def awake_since(self) -> float:
        """
        Return the time since which the loop has run without a pause, on the clock of this object.

        Returns:
            Infinity while the loop is blocked, minus infinity without a loop.
        """
        if not self.attached:
            return float("-inf")
        return float("inf") if self.silent_for() > PAUSE else self._awake_since

    def come_round(self, done: Callable[[], object]) -> bool:
        """
        Wait for so many turns of the loop that it has handled what waits in its socket queues.

        Args:
            done: Called on the app's loop after these turns.

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
        """Return True if this task is running at this moment."""
        loop = self._loop
        return loop is not None and asyncio.current_task(loop) is task

    def stack(self) -> list[str]:
        """Return the stack of the loop's thread at this moment, innermost frame last."""
        return thread_stack(self._thread_id)

    def straggler(self, task: asyncio.Task[Any] | None) -> Straggler:
        """
        Return the name of main and its stack.

        Args:
            task: The task of main. The stack shows what it awaits, or, if the loop is blocked,
                the code that blocks the loop.
        """
        if self.describe is not None:
            name, stack = self.describe()
            return Straggler(name, self.stack() if self._blocked else stack)
        return Straggler("main", self.stack() if task is None else self.where(task))

    def where(self, task: asyncio.Task[Any]) -> list[str]:
        """Return what a task awaits or, if the loop is blocked, the stack of the loop's thread."""
        return self.stack() if self._blocked or self.runs(task) else await_chain(task)

    def places(self, task: asyncio.Task[Any]) -> list[Place]:
        """Return where a task stands: the stack of the loop's thread if it runs, or its awaits."""
        return thread_places(self._thread_id) if self.runs(task) else task_places(task)

    @property
    def _blocked(self) -> bool:
        return self.silent_for() > PAUSE


def part_from_parent(loop: asyncio.AbstractEventLoop) -> None:
    """
    Give the copy of a loop in a forked child its own epoll table, before the copy is closed.

    Without this, parent and child share the table of the kernel. Closing the copy would then
    remove the entries that wake the loop of the parent.
    """
    selector: Any = getattr(loop, "_selector", None)
    if type(selector).__name__ != "EpollSelector":
        return
    with select.epoll() as table:
        for key in selector.get_map().values():
            reads = select.EPOLLIN if key.events & selectors.EVENT_READ else 0
            writes = select.EPOLLOUT if key.events & selectors.EVENT_WRITE else 0
            with suppress(OSError):  # the descriptor is closed in the child
                table.register(key.fd, reads | writes)
        os.dup2(table.fileno(), selector.fileno(), inheritable=False)
