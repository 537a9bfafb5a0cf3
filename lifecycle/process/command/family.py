"""
The processes that a command has started: found, reaped when they end, and ended at the end.

Rules of this file:

1. Orphans of the command (from a double fork, or a master process that was killed) become
   children of this process, which reaps them. PID 1 of a container gets orphans in any case.
2. A process that a plugin has started here belongs to the plugin. It is neither reaped nor ended.
3. A pid is used only while no other code can have reaped its process. The pid of the command is
   also the id of its group, so the command is reaped last.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from lifecycle.process.command.own_children import OwnChildren
from lifecycle.process.command.processes import (
    Process,
    children,
    descendants,
    everybody,
    variable,
)

PR_SET_CHILD_SUBREAPER: Final = 36
SUCCEEDS: Final = "GUNICORN_PID"


def adopt_orphans() -> None:
    """Make this process the new parent of its orphaned descendants (Linux)."""
    if os.getpid() == 1:
        return
    try:
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    except (ImportError, AttributeError, OSError):
        return  # they go to PID 1, as without this function


class Family:
    """
    A command and all its descendants. Used on the app's loop.

    Args:
        direct: The pid of the command itself. Other code waits for that process.
        group: The process group of the command, or 0 if it shares ours.
        own: The children that this process has started for itself.
    """

    def __init__(self, direct: int, group: int, own: OwnChildren) -> None:
        self.direct = direct
        self._group = group
        self._has_group = bool(group)
        self._own = own
        self._pid = os.getpid()
        self._our_group = os.getpgrp()

    def reap(self, again: Callable[[], object]) -> None:
        """
        Reap the orphans that have ended.

        Args:
            again: Called, in any thread, when another call is useful.
        """
        if not self._own.known(again):
            return
        for each in children():
            if each.ended and self._is_orphan(each):
                with suppress(ChildProcessError):
                    os.waitpid(each.pid, os.WNOHANG)
        self._own.forget_ended()

    def lose(self) -> None:
        """Forget the pid of the command, because other code has reaped it."""
        self.direct = self._group = 0

    def successor(self, ended: int) -> int:
        """
        Return the pid of the process that replaces the command, or 0 if there is none.

        At SIGUSR2, gunicorn starts a new master. A variable in its environment names the old one.

        Args:
            ended: The pid that the command had.
        """
        for each in everybody():
            if self._is_orphan(each) and variable(each.pid, SUCCEEDS) == str(ended):
                self.direct = each.pid
                if each.group != self._group:  # the group may end soon
                    self._group = 0
                return each.pid
        return 0

    def left(self) -> list[Process]:
        """Return all running processes of the command, including the command itself."""
        before: set[int] = set()
        while True:
            found = everybody()
            roots = [each.pid for each in found if self._is_root(each)]
            family = set(descendants(roots, found))
            running = [each for each in family if not each.ended]
            pids = {each.pid for each in family}
            # A process that has just ended may have started another one after this look.
            if running or pids <= before:
                return running
            before = pids

    def send(self, number: signal.Signals) -> list[Process]:
        """Send a signal to all running processes of the command, and return these processes."""
        if number == signal.SIGKILL and self._group:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._group, number)  # at once, and also without /proc
        left = self.left()
        for each in left:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(each.pid, number)
        return left

    def _is_root(self, process: Process) -> bool:
        of_group = bool(self._group) and process.group == self._group
        return process.pid == self.direct or of_group or self._is_orphan(process)

    def _is_orphan(self, process: Process) -> bool:
        if process.parent != self._pid or process.pid == self.direct or process.pid in self._own:
            return False
        # A child forked here without `subprocess` is still in our process group.
        return not (self._has_group and process.group == self._our_group)
