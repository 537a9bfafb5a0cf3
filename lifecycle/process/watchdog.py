"""The watchdog, which ends the process when its time is over."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from contextlib import suppress

from lifecycle.calls.stacks import thread_stack
from lifecycle.calls.threads import start_thread
from lifecycle.config import Config
from lifecycle.drain.departure import Departure
from lifecycle.drain.exit_code import CUT_OFF
from lifecycle.drain.timetable import CLOSE_TIME, Timetable
from lifecycle.links import help_page
from lifecycle.log import Log
from lifecycle.process_globals import PROCESS


class Watchdog:
    """
    Ends the process when its time is over, whatever hangs.

    Args:
        config: The settings, for the time that threads get if the app ends by itself.
        log: The logger for what hung.
    """

    _departure: Departure

    def __init__(self, config: Config, log: Log) -> None:
        self._config = config
        self._log = log
        self._timetable: Timetable | None = None
        self._latest = float("inf")
        self._changed = threading.Event()
        self._flushing = False
        self._flushed = threading.Event()
        self._ending = False
        self._retired = False

    def start(self, departure: Departure) -> None:
        """
        Start the thread of the watchdog. It starts early, because later there may be no free
        thread.

        Args:
            departure: Provides the exit code. Its end may have been planned already.
        """
        self._departure = departure
        earlier, PROCESS.watchdog = PROCESS.watchdog, self
        if earlier is not None:
            earlier.give_way()
        start_thread(self._watch, "lifecycle-watchdog")

    def plan(self, timetable: Timetable) -> None:
        """Set a new timetable. Any thread."""
        self._timetable = timetable
        self._changed.set()

    def signalled(self) -> None:
        """Count from now, in case the control thread is blocked. Called in a signal handler."""
        if self._latest == float("inf"):
            self._latest = time.monotonic() + self._config.grace_period - CLOSE_TIME
            self._changed.set()

    def retire(self) -> None:
        """
        Note that `run` returns. Code after it may take any time.

        After that, only the end of the interpreter is watched, if anything can block it.
        """
        mine = (threading.main_thread(), threading.current_thread())
        alive = [t for t in threading.enumerate() if not t.daemon and t not in mine]
        if not alive and not self._departure.terminating:
            self._retired = True
            self._changed.set()
            self._log.close(0)
            return
        # The last one registered is the first one called: before executors' threads are joined.
        with suppress(AttributeError, RuntimeError):
            threading._register_atexit(  # type: ignore[attr-defined]  # noqa: SLF001 - no other comes first
                self._interpreter_ends
            )
        atexit.register(self._last_words)

    def give_way(self) -> None:
        """Note that a later run has its own watchdog. Threads of this run do not count in it."""
        self._retired = True
        self._changed.set()

    def forget(self) -> None:
        """Note that this is a forked child, whose end is not watched."""
        self._retired = True

    def _interpreter_ends(self) -> None:
        self._ending = True
        self._changed.set()

    def _last_words(self) -> None:
        """Exit although the output is not read. The interpreter would wait forever for a reader."""
        if self._retired:
            return
        self._flushing = True
        self._changed.set()
        if not self._flushed.wait(CLOSE_TIME):
            os._exit(self._departure.exit_code)

    def _watch(self) -> None:
        while (left := self._time_left()) > 0 and not self._retired:
            self._changed.wait(None if left == float("inf") else left)
            self._changed.clear()
            if self._flushing:
                _flush()
                self._flushed.set()
        if not self._retired:
            self._kill()

    def _time_left(self) -> float:
        """Return the seconds until the process must have ended, or infinity without a limit."""
        now = time.monotonic()
        if self._timetable is not None and self._departure.terminating:
            return self._timetable.exit_by - now
        if self._ending and self._latest == float("inf"):
            # Code after run() had unlimited time. What blocks the exit now has stop_timeout.
            self._latest = now + self._config.stop_timeout
        return self._latest - now

    def _kill(self) -> None:
        code = self._departure.exit_code or CUT_OFF
        try:
            self._say_what_hangs(code)
        finally:
            os._exit(code)

    def _say_what_hangs(self, code: int) -> None:
        alive = [
            f"{thread.name}: {_where(thread)}"
            for thread in threading.enumerate()
            if not thread.daemon
        ]
        self._log.error(
            "killed",
            cause="the time for the exit is over",
            code=code,
            alive=alive,
            see=help_page("killed"),
        )
        self._log.flush(0.1)
        flush_streams()


def _where(thread: threading.Thread) -> str:
    stack = thread_stack(thread.ident or 0)
    return stack[-1] if stack else "no longer in Python code"


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()


def flush_streams() -> None:
    """Flush stdout and stderr, without waiting for a reader."""
    # In a thread, because a full pipe would block it forever.
    thread = threading.Thread(target=_flush, name="lifecycle-flush", daemon=True)
    try:
        thread.start()
    except RuntimeError:
        return  # Python 3.12 starts no thread at its end, and exiting matters more than flushing
    thread.join(0.1)
