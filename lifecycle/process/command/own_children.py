"""
The children that this process itself has started: a plugin's, whose end is the plugin's to see.

They look just like the orphans that a command has left to us. So whoever starts one by
`subprocess`, or by asyncio, which stands on it, is noticed: `Popen.__init__` is wrapped.
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
    Knows them by their pid. Any thread may start some; all else is for one thread.

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
        Tell whether all are known at this moment, and none is being started.

        Args:
            otherwise: Called as soon as they are, in the thread that has started one.
        """
        with self._lock:
            self._owed = otherwise if self._starting else None
            return not self._starting

    def forget_ended(self) -> None:
        """Forget those whose end has been seen: their pids may be other processes' one day."""
        with self._lock:
            pids = tuple(self._pids)
        for pid in pids:
            found = look_at(pid)
            if found is None or found.parent != self._parent:
                with self._lock:
                    self._pids.discard(pid)

    @contextmanager
    def noticed(self) -> Iterator[None]:
        """Notice each that is started while this is entered."""
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
            if subprocess.Popen.__init__ is noticing:  # else somebody calls it within his own
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
