"""
What is global to this process, and what a forked child forgets of it.

A child made by `os.fork` has a copy of everything but the threads. What only looks alive
there is forgotten: the lifecycle that runs, its port, its signals.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Protocol


class Watch(Protocol):
    """What watches over the end of this process."""

    def give_way(self) -> None:
        """Take note that another one watches now."""

    def forget(self) -> None:
        """Take note that this is a forked child."""


class Process:
    """The one place for what is global to a process. Attributes are set and read at once."""

    def __init__(self) -> None:
        self.lifecycles: list[object] = []
        """The handles of those that run, the latest last."""
        self.watchdog: Watch | None = None
        """The one that watches."""
        self.middleware_made = False
        """True if a middleware was made while no lifecycle ran: it is the next one's."""
        self.is_child = False
        """True in a child forked while a lifecycle ran."""
        self._forget: list[Callable[[], object]] = []

    def let_child_forget(self, forget: Callable[[], object]) -> None:
        """Have a forked child call this, in the child; until `keep` is called with the same."""
        self._forget.append(forget)

    def keep(self, forget: Callable[[], object]) -> None:
        """Take back what `let_child_forget` was given; nothing happens if it was not."""
        with contextlib.suppress(ValueError):
            self._forget.remove(forget)

    def in_child(self) -> None:
        """Forget; called in a forked child before anything else of ours."""
        forget, self._forget = self._forget, []
        self.is_child = self.is_child or bool(forget)
        self.lifecycles.clear()
        if self.watchdog is not None:
            self.watchdog.forget()
            self.watchdog = None
        for each in forget:
            with contextlib.suppress(Exception):  # a child must come up, whatever is left over
                each()


PROCESS = Process()

os.register_at_fork(after_in_child=PROCESS.in_child)
