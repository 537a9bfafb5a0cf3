"""
The log: structlog events, named after the moments of the lifecycle.

Rules of this file:

1. The app's own configuration is respected: a configured structlog gets the events,
   otherwise the standard logger `lifecycle` does. Only `lifecycle run` brings a
   renderer of its own.
2. Writing happens in a thread of its own: a handler that blocks (a full pipe, a lock
   held by a stuck app) must never hold up a probe.
"""

from __future__ import annotations

import logging
import queue
import sys
import threading
from collections.abc import Callable
from typing import Any, Final

NAME: Final = "lifecycle"
CAPACITY: Final = 10_000
"""Events that may wait for a blocked handler; beyond that they are dropped, and counted."""

Renderer = Callable[[int, str, dict[str, Any]], None]


class Log:
    """Takes events from any thread and returns at once."""

    def __init__(self, renderer: Renderer | None = None) -> None:
        self._renderer = renderer
        self._events: queue.Queue[tuple[int, str, dict[str, Any]] | None] = queue.Queue(CAPACITY)
        self._writer: threading.Thread | None = None
        self._starting = threading.Lock()
        self._dropped = 0

    def debug(self, event: str, **fields: Any) -> None:
        """Log what only a developer of a plugin wants to see."""
        self._put(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: Any) -> None:
        """Log what happened."""
        self._put(logging.INFO, event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Log what a person should look at."""
        self._put(logging.WARNING, event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """Log what went wrong."""
        self._put(logging.ERROR, event, fields)

    def prepare(self) -> None:
        """Load what writing needs: when there is something to say, time may be short."""
        if self._wanted(logging.WARNING):
            self._queue(None)

    def flush(self, timeout: float) -> None:
        """Wait until all is written, `timeout` seconds at most."""
        with self._events.all_tasks_done:
            self._events.all_tasks_done.wait_for(lambda: not self._events.unfinished_tasks, timeout)

    def _put(self, level: int, event: str, fields: dict[str, Any]) -> None:
        if self._wanted(level):
            self._queue((level, event, fields))

    def _queue(self, item: tuple[int, str, dict[str, Any]] | None) -> None:
        try:
            self._events.put_nowait(item)
        except queue.Full:
            self._dropped += 1
            return
        if self._writer is None:
            self._start_writer()

    def _start_writer(self) -> None:
        with self._starting:
            if self._writer is None:
                self._writer = threading.Thread(
                    target=self._write, name="lifecycle-log", daemon=True
                )
                self._writer.start()

    def _wanted(self, level: int) -> bool:
        # Asked first, so that who logs nothing never pays for importing structlog.
        if self._renderer is not None or _structlog_configured():
            return True
        return logging.getLogger(NAME).isEnabledFor(level)

    def _write(self) -> None:
        while True:
            item = self._events.get()
            try:
                import structlog  # noqa: F401 - 50 ms that who logs nothing must not pay

                if item is not None:
                    self._write_one(*item)
            except Exception:
                logging.getLogger(NAME).debug("a log handler failed", exc_info=True)
            finally:
                self._events.task_done()

    def _write_one(self, level: int, event: str, fields: dict[str, Any]) -> None:
        if self._dropped:
            fields = {**fields, "events_dropped": self._dropped}
            self._dropped = 0
        self._emit(level, event, fields)

    def _emit(self, level: int, event: str, fields: dict[str, Any]) -> None:
        import structlog

        if structlog.is_configured():
            # Not `.log`, which not every wrapper class has.
            logger = structlog.get_logger(NAME)
            getattr(logger, logging.getLevelName(level).lower())(event, **fields)
        elif self._renderer is not None:
            self._renderer(level, event, fields)
        else:
            logger = structlog.wrap_logger(
                logging.getLogger(NAME),
                processors=[structlog.processors.LogfmtRenderer(key_order=["event"])],
                wrapper_class=structlog.stdlib.BoundLogger,
            )
            logger.log(level, event, **fields)


def _structlog_configured() -> bool:
    structlog = sys.modules.get("structlog")
    configured = getattr(structlog, "is_configured", None)  # None while it is being imported
    return configured is not None and configured()


def renderer_for(stream: Any, threshold: str = "info") -> Renderer:
    """
    Make the renderer of `lifecycle run`: for people on a terminal, JSON otherwise.

    Args:
        stream: Where it writes.
        threshold: The lowest level that is written.
    """
    lowest = logging.getLevelNamesMapping()[threshold.upper()]

    def render(level: int, event: str, fields: dict[str, Any]) -> None:
        if level < lowest:
            return
        processors = _processors(bool(stream.isatty()))
        line: Any = {**fields, "event": event}
        for processor in processors:
            line = processor(None, logging.getLevelName(level).lower(), line)
        stream.write(f"{line}\n")
        stream.flush()

    return render


def _processors(terminal: bool) -> list[Any]:  # noqa: FBT001 - private, one caller
    import structlog

    final: Any = (
        structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer()
    )
    stamp = structlog.processors.TimeStamper(
        fmt="%H:%M:%S.%f" if terminal else "iso", utc=not terminal
    )
    return [structlog.processors.add_log_level, stamp, final]
