"""
The log: structlog events, named after the moments of the lifecycle.

Rules of this file:

1. The app's own configuration is respected: a configured structlog gets the events,
   otherwise the standard logger `lifecycle` does, as lines of `key=value`. Only
   `lifecycle run` brings a renderer of its own.
2. Writing happens in a thread of its own: a handler that blocks (a full pipe, a lock
   held by a stuck app) must never hold up a probe.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import queue
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from lifecycle.plain import one_line

NAME: Final = "lifecycle"
CAPACITY: Final = 10_000
"""Events that may wait for a blocked handler; beyond that they are dropped, and counted."""


class LogEntry(NamedTuple):
    """One event; it may be written later than it happened."""

    at: float
    level: int
    event: str
    fields: dict[str, Any]


LAST: Final = LogEntry(0.0, 0, "", {})
"""What ends the writer."""

Renderer = Callable[[LogEntry], None]


class Log:
    """Takes events from any thread and returns at once."""

    def __init__(self, renderer: Renderer | None = None) -> None:
        self._renderer = renderer
        self.forget()

    def forget(self) -> None:
        """Begin anew, without a thread; in a forked child, too, where there is none."""
        self._events: queue.Queue[LogEntry | None] = queue.Queue(CAPACITY)
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

    def close(self, timeout: float) -> None:
        """Write what waits, `timeout` seconds at most, and end the thread."""
        self.flush(timeout)
        with self._starting:
            if self._writer is not None:
                self._writer = None
                with contextlib.suppress(queue.Full):
                    self._events.put_nowait(LAST)

    def _put(self, level: int, event: str, fields: dict[str, Any]) -> None:
        if self._wanted(level):
            self._queue(LogEntry(time.time(), level, event, fields))

    def _queue(self, item: LogEntry | None) -> None:
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
                writer = threading.Thread(target=self._write, name="lifecycle-log", daemon=True)
                with contextlib.suppress(RuntimeError):  # no thread to be had: try again later
                    writer.start()
                    self._writer = writer

    def _wanted(self, level: int) -> bool:
        if _structlog_configured():
            return True
        if self._renderer is not None:  # which knows its own threshold, unless this one is set
            return level >= logging.getLogger(NAME).level
        return logging.getLogger(NAME).isEnabledFor(level)

    def _write(self) -> None:
        while True:
            item = self._events.get()
            if item is LAST:
                self._events.task_done()
                return
            try:
                if item is not None:
                    self._write_one(item)
                elif isinstance(self._renderer, LineRenderer):
                    self._renderer.prepare()
            except Exception:
                logging.getLogger(NAME).debug("a log handler failed", exc_info=True)
            finally:
                self._events.task_done()

    def _write_one(self, entry: LogEntry) -> None:
        if self._dropped:
            entry = entry._replace(fields={**entry.fields, "events_dropped": self._dropped})
            self._dropped = 0
        self._emit(entry)

    def _emit(self, entry: LogEntry) -> None:
        _, level, event, fields = entry
        if _structlog_configured():
            # Not `.log`, which not every wrapper class has.
            logger = sys.modules["structlog"].get_logger(NAME)
            say = getattr(logger, logging.getLevelName(level).lower())
            say(event, **_all_shown(fields))  # it may have a renderer for people
        elif self._renderer is not None:
            self._renderer(entry)
        else:
            logging.getLogger(NAME).log(level, "%s", logfmt({"event": event, **fields}))


class PluginLog:
    """The log of one plugin: each event has the plugin's name in the field `plugin`."""

    def __init__(self, log: Log, plugin: str) -> None:
        self._log = log
        self._plugin = plugin

    def debug(self, event: str, **fields: Any) -> None:
        """Log what only a developer of the plugin wants to see."""
        self._log.debug(event, **{"plugin": self._plugin, **fields})

    def info(self, event: str, **fields: Any) -> None:
        """Log what happened."""
        self._log.info(event, **{"plugin": self._plugin, **fields})

    def warning(self, event: str, **fields: Any) -> None:
        """Log what a person should look at."""
        self._log.warning(event, **{"plugin": self._plugin, **fields})

    def error(self, event: str, **fields: Any) -> None:
        """Log what went wrong."""
        self._log.error(event, **{"plugin": self._plugin, **fields})


def _structlog_configured() -> bool:
    structlog = sys.modules.get("structlog")
    configured = getattr(structlog, "is_configured", None)  # None while it is being imported
    return configured is not None and configured()


def logfmt(words: dict[str, Any]) -> str:
    """
    Write an event as one line of `key=value`, for the standard logger.

    Not structlog's own renderer: importing structlog costs 50 ms at the start, and twice
    that at the exit, of an app that has not asked for it.
    """
    return " ".join(f"{_key(name)}={_quoted(value)}" for name, value in words.items())


def _key(name: str) -> str:
    return "".join("_" if each in ' ="\\' or not each.isprintable() else each for each in name)


def _quoted(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    plain = text.isprintable() and not set(text) & set(' ="\\')
    return text if plain and text else one_line(json.dumps(text, ensure_ascii=False))


def _shown(value: Any) -> Any:
    return one_line(value) if isinstance(value, str) else value  # of others, the repr is shown


def _all_shown(words: dict[str, Any]) -> dict[str, Any]:
    return {one_line(name): _shown(value) for name, value in words.items()}


class LineRenderer:
    """
    The renderer of `lifecycle run`: for people on a terminal, JSON otherwise.

    JSON as structlog writes it, but without structlog: with what that imports if it is there
    (rich, twisted), it costs up to 90 ms and 11 MiB.

    Args:
        stream: Where it writes.
        threshold: The lowest level that is written, while the standard logger `lifecycle`
            has none of its own: one is set by `/log-level`, or by the app.
    """

    def __init__(self, stream: Any, threshold: str) -> None:
        self._stream = stream
        self._lowest = logging.getLevelNamesMapping()[threshold.upper()]

    def prepare(self) -> None:
        """Import what will be needed."""
        if self._stream.isatty():
            importlib.import_module("structlog")

    def __call__(self, entry: LogEntry) -> None:
        if entry.level < (logging.getLogger(NAME).level or self._lowest):
            return
        terminal = bool(self._stream.isatty())
        moment = datetime.fromtimestamp(entry.at, tz=UTC)
        words = {
            **entry.fields,
            "event": entry.event,
            "level": logging.getLevelName(entry.level).lower(),
            "timestamp": f"{moment.astimezone():%H:%M:%S.%f}"[:-3]
            if terminal
            else f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z",
        }
        self._stream.write(f"{_for_people(words) if terminal else _json(words)}\n")
        self._stream.flush()


def _for_people(words: dict[str, Any]) -> Any:
    import structlog

    console: Any = structlog.dev.ConsoleRenderer()
    return console(None, "", _all_shown(words))


def _json(words: dict[str, Any]) -> str:
    return json.dumps(words, default=repr)


def renderer_for(stream: Any, threshold: str = "info") -> Renderer:
    """Make the renderer of `lifecycle run`; `LineRenderer` has the arguments."""
    return LineRenderer(stream, threshold)
