"""
The children that this process itself has started, for example for a plugin.

These children look exactly like orphans of the command, but must be left to the code that started
them. `Popen.__init__` is therefore wrapped, so that each start by `subprocess` or asyncio is seen.
"""

from __future__ import annotations

import functools
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lifecycle.process.command.processes import look_at


class OwnChildren:
    """
    The pids of the children that this process has started.

    Children may be started in any thread. Use everything else in one thread.

    Args:
        parent: The pid of this process.
    """

    def __init__(self, parent: int) -> None:
        self._parent = parent
        self._pids: set[int] = set()
        self._lock = threading.Lock()
        self._starting = 0
        self._owed: Callable[[], object] | None = None

    def __contains__(self, pid: int) -> bool:
        return pid in self._pids

    def known(self, otherwise: Callable[[], object]) -> bool:
        """
        Return whether all these children are known at this moment, and none is being started.

        Args:
            otherwise: Called as soon as all are known, in the thread that has started the child.
        """
        with self._lock:
            self._owed = otherwise if self._starting else None
            return not self._starting

    def forget_ended(self) -> None:
        """Forget the children that have been reaped, because their pids may be reused."""
        with self._lock:
            pids = tuple(self._pids)
        for pid in pids:
            found = look_at(pid)
            if found is None or found.parent != self._parent:
                with self._lock:
                    self._pids.discard(pid)

    @contextmanager
    def noticed(self) -> Iterator[None]:
        """Note each child that is started while this context is entered."""
        start = subprocess.Popen.__init__

        @functools.wraps(start)
        def noticing(popen: subprocess.Popen[Any], *args: Any, **options: Any) -> None:
            with self._lock:
                self._starting += 1
            try:
                start(popen, *args, **options)
            finally:
                self._started(getattr(popen, "pid", None))

        subprocess.Popen.__init__ = noticing  # type: ignore[method-assign, assignment]
        try:
            yield
        finally:
            if subprocess.Popen.__init__ is noticing:  # otherwise other code wraps ours
                subprocess.Popen.__init__ = start  # type: ignore[method-assign]

    def _started(self, pid: int | None) -> None:
        with self._lock:
            self._starting -= 1
            if pid is not None:
                self._pids.add(pid)
            owed = None if self._starting else self._owed
            if owed is not None:
                self._owed = None
        if owed is not None:
            owed()
