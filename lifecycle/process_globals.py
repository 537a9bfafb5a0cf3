"""
The global state of this process, and how a forked child forgets it.

A child made by `os.fork` has a copy of everything except the threads. So the child must forget
the running `Lifecycle`, its port and its signal handlers.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Protocol


class Watch(Protocol):
    """The watchdog that ends this process in time."""

    def give_way(self) -> None:
        """Stop, because another watchdog has taken over."""

    def forget(self) -> None:
        """Stop in a forked child."""


class Process:
    """The only place for global state. Attributes are set and read in one step."""

    def __init__(self) -> None:
        self.lifecycles: list[object] = []
        """The running `Lifecycle` objects, the latest last."""
        self.watchdog: Watch | None = None
        """The current watchdog."""
        self.opened = False
        """True once pod-lifecycle has started in this process."""
        self.middleware_made = False
        """True if a middleware was made before pod-lifecycle started."""
        self.is_child = False
        """True in a child that was forked while pod-lifecycle ran."""
        self._forget: list[Callable[[], object]] = []

    def let_child_forget(self, forget: Callable[[], object]) -> None:
        """Call `forget` in each forked child, until `keep` is called with the same function."""
        self._forget.append(forget)

    def keep(self, forget: Callable[[], object]) -> None:
        """Undo `let_child_forget`. Does nothing if the function was not registered."""
        with contextlib.suppress(ValueError):
            self._forget.remove(forget)

    def in_child(self) -> None:
        """Forget everything. Called in a forked child before any other code of this package."""
        forget, self._forget = self._forget, []
        self.is_child = self.is_child or bool(forget)
        self.lifecycles.clear()
        if self.watchdog is not None:
            self.watchdog.forget()
            self.watchdog = None
        for each in forget:
            with contextlib.suppress(Exception):  # an error must not stop the child
                each()


PROCESS = Process()

os.register_at_fork(after_in_child=PROCESS.in_child)
