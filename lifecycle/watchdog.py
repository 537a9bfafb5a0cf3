"""What ends the process when its time is over."""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from contextlib import suppress
from typing import Any

from lifecycle.config import Config
from lifecycle.departure import CUT_OFF, Departure
from lifecycle.drain import Timetable
from lifecycle.log import Log


class Watchdog:
    """
    Ends the process when its time is over, whatever hangs.

    Args:
        departure: Whose timetable and exit code count.
        config: For the time that threads get when nobody outside wants us gone.
        log: Told what hung.
    """

    def __init__(self, departure: Departure, config: Config, log: Log) -> None:
        self._departure = departure
        self._config = config
        self._log = log
        self._thread: threading.Thread | None = None
        self._timetable: Timetable | None = None
        self._planned = threading.Event()

    def plan(self, timetable: Timetable) -> None:
        """Take a new timetable; from any thread."""
        self._timetable = timetable
        self._planned.set()
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._watch, name="lifecycle-watchdog", daemon=True
            )
            self._thread.start()

    def _watch(self) -> None:
        if not self._departure.terminating:
            self._wait_until_wanted()
        self._wait()
        self._kill()

    def _wait_until_wanted(self) -> None:
        """Main ended by itself: what comes after run() has all the time it wants."""
        main = threading.main_thread()
        while main.is_alive() and not self._departure.terminating:
            self._planned.wait(1)
            self._planned.clear()
        if self._timetable is not None and not self._departure.terminating:
            late = time.monotonic() + self._config.stop_timeout
            self._timetable.exit_by = max(self._timetable.exit_by, late)

    def _wait(self) -> None:
        while self._timetable is not None:
            left = self._timetable.exit_by - time.monotonic()
            if left <= 0:
                return
            self._planned.wait(left)
            self._planned.clear()

    def _kill(self) -> None:
        try:
            self._say_what_hangs()
        finally:
            os._exit(self._departure.exit_code or CUT_OFF)

    def _say_what_hangs(self) -> None:
        frames = sys._current_frames()
        alive = [
            f"{thread.name}: {_where(frames.get(thread.ident or 0))}"
            for thread in threading.enumerate()
            if not thread.daemon
        ]
        self._log.error("killed", cause="the time is over", alive=alive)
        self._log.flush(0.1)
        flush_streams()


def _where(frame: Any) -> str:
    if frame is None:
        return "no longer in Python code"
    last = traceback.extract_stack(frame)[-1]
    return f"{last.filename}:{last.lineno} {last.name}"


def flush_streams() -> None:
    """Flush stdout and stderr, without waiting for who does not read them."""

    def flush() -> None:
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()

    # In a thread, because a full pipe would hold it for ever.
    thread = threading.Thread(target=flush, name="lifecycle-flush", daemon=True)
    try:
        thread.start()
    except RuntimeError:
        return  # Python 3.12 starts none once the interpreter ends: out is better than flushed
    thread.join(0.1)
