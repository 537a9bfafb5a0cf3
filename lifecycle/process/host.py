"""The parts of this process that a drain uses: stopping main, cancelling it, cleaning up."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any, Final

from lifecycle.calls.app_loop import AppLoop
from lifecycle.calls.moment import Moment
from lifecycle.calls.stacks import Straggler
from lifecycle.drain.timetable import Timetable

OWN_FILES: Final = tuple(
    f"{os.path.join(os.path.dirname(__file__), name)}:" for name in ("run.py", "main_function.py")
)
"""Files that are in every traceback of a main, and explain nothing."""


class ProcessHost:
    """
    The host of a drain in a process that `run` owns: see `lifecycle.drain.host.Host`.

    Args:
        app_loop: The loop of main.
        planned: Receives each timetable. It ends the process when the time is over.
        stop: Asks main to end. Called on the app's loop.

    Attributes:
        task: The task of main, once it runs. Use it on the app's loop.
        own: Tasks on the app's loop that belong to pod-lifecycle. Use it on the app's loop.
        cancelled: True once pod-lifecycle has cancelled main.
    """

    cancels_main = True
    ends_in_time = True
    joining_is_the_signal = False

    def __init__(
        self,
        app_loop: AppLoop,
        planned: Callable[[Timetable], None],
        stop: Callable[[], object],
    ) -> None:
        self.task: asyncio.Task[None] | None = None
        self.own: set[asyncio.Task[Any] | None] = set()
        self.cancelled = False
        self._app_loop = app_loop
        self._planned = planned
        self._stop = stop
        self._left: set[asyncio.Task[Any]] = set()

    def planned(self, timetable: Timetable) -> None:
        """Pass a timetable on."""
        self._planned(timetable)

    def stop_main(self) -> None:
        """Ask main to end, on its own loop."""
        self._app_loop.post(self._stop)

    def cancel_main(self) -> None:
        """Cancel main, on its own loop."""
        self._app_loop.post(self.cancel)

    def cancel(self) -> None:
        """Cancel main. Called on the app's loop."""
        self.cancelled = True
        if self.task is not None:
            self.task.cancel()

    def straggler(self) -> Straggler:
        """Name main, and the line in the app's own files at which it stands."""
        name, stack = self._app_loop.straggler(self.task)
        return Straggler(name, [each for each in stack if not each.startswith(OWN_FILES)])

    async def clear_up(self) -> None:
        """Cancel the tasks that main has left, as asyncio.run does, and wait for their end."""
        gone: Moment[None] = Moment()

        def end(task: asyncio.Task[Any]) -> None:
            self._left.discard(task)
            if not self._left:
                gone.set(None)

        def begin() -> None:
            self._left.update(asyncio.all_tasks() - self.own - self._app_loop.hooks)
            for task in self._left:
                task.add_done_callback(end)
                task.cancel()
            if not self._left:
                gone.set(None)

        if self._app_loop.post(begin):
            await gone.wait()

    def left_behind(self) -> list[Straggler]:
        """Name the tasks that still run, and the lines at which they stand."""
        where = self._app_loop.where
        return [Straggler(task.get_name(), where(task)) for task in list(self._left)]
