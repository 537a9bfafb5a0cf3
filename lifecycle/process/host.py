"""What a drain needs of a process: its main is told, cancelled, named, and cleared up after."""

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
"""Where every main stands too: they say nothing."""


class ProcessHost:
    """
    The host of a drain in a process of our own: see `lifecycle.drain.host.Host`.

    Args:
        app_loop: The loop that main runs on.
        planned: Takes each timetable: what ends the process when its time is over.
        stop: Tells main to end; called on the app's loop.

    Attributes:
        task: Main's, once it runs. Touched on the app's loop, like what follows.
        own: Tasks on the app's loop that main has not left behind.
        cancelled: True once main has been cancelled by us.
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
        """Hand it on."""
        self._planned(timetable)

    def stop_main(self) -> None:
        """Have main told, in its own time."""
        self._app_loop.post(self._stop)

    def cancel_main(self) -> None:
        """Have main cancelled, in its own time."""
        self._app_loop.post(self.cancel)

    def cancel(self) -> None:
        """Cancel main; on the app's loop."""
        self.cancelled = True
        if self.task is not None:
            self.task.cancel()

    def straggler(self) -> Straggler:
        """Name main, and say where it stands in the app's own files."""
        name, stack = self._app_loop.straggler(self.task)
        return Straggler(name, [each for each in stack if not each.startswith(OWN_FILES)])

    async def clear_up(self) -> None:
        """Cancel what main has left behind, as asyncio.run would, and wait for its end."""
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
        """Name those that go on, and say where they stand."""
        where = self._app_loop.where
        return [Straggler(task.get_name(), where(task)) for task in list(self._left)]
