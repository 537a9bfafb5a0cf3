"""
The log: events with fields, for structlog or the standard logging.

Rules of this file:

1. The app's own configuration is respected. If structlog is configured, it gets the events.
   Otherwise the standard logger `lifecycle` gets them as lines of `key=value`. Only
   `lifecycle run` has its own renderer.
2. The field `see` is the address where an event is explained. Callers give the whole address, so
   that a field `see` of an app or a plugin stays as it is. An empty field is left out.
3. A separate thread writes the events, so that a handler that blocks (a full pipe, a lock of a
   blocked app) never delays a probe.
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
"""Events that may wait for a blocked handler. Further events are dropped and counted."""


class LogEntry(NamedTuple):
    """One event with the time at which it happened. It may be written later."""

    at: float
    level: int
    event: str
    fields: dict[str, Any]


LAST: Final = LogEntry(0.0, 0, "", {})
"""The entry that ends the writer thread."""

Renderer = Callable[[LogEntry], None]


class Log:
    """The log. Takes events from any thread, and never blocks."""

    def __init__(self, renderer: Renderer | None = None) -> None:
        self._renderer = renderer
        self.forget()

    def forget(self) -> None:
        """Start again with an empty queue and without a thread, for example in a forked child."""
        self._events: queue.Queue[LogEntry | None] = queue.Queue(CAPACITY)
        self._writer: threading.Thread | None = None
        self._starting = threading.Lock()
        self._dropped = 0

    def debug(self, event: str, **fields: Any) -> None:
        """Log an event for developers of plugins."""
        self._put(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: Any) -> None:
        """Log an event that is part of normal work."""
        self._put(logging.INFO, event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Log an event that a person should look at."""
        self._put(logging.WARNING, event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """Log a failure."""
        self._put(logging.ERROR, event, fields)

    @property
    def level(self) -> int:
        """The lowest level of the events that are written."""
        if isinstance(self._renderer, LineRenderer) and not _structlog_configured():
            return self._renderer.level
        return logging.getLogger(NAME).getEffectiveLevel()

    def prepare(self) -> None:
        """Import the modules for writing now, because there may be no time for it later."""
        if self._wanted(logging.WARNING):
            self._queue(None)

    def flush(self, timeout: float) -> None:
        """Wait until all events are written, `timeout` seconds at most."""
        with self._events.all_tasks_done:
            self._events.all_tasks_done.wait_for(lambda: not self._events.unfinished_tasks, timeout)

    def close(self, timeout: float) -> None:
        """Write the waiting events, `timeout` seconds at most, and end the thread."""
        self.flush(timeout)
        with self._starting:
            if self._writer is not None:
                self._writer = None
                with contextlib.suppress(queue.Full):
                    self._events.put_nowait(LAST)

    def _put(self, level: int, event: str, fields: dict[str, Any]) -> None:
        if self._wanted(level):
            if fields.get("see") == "":
                del fields["see"]
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
                with contextlib.suppress(RuntimeError):  # no thread is available now
                    writer.start()
                    self._writer = writer

    def _wanted(self, level: int) -> bool:
        if _structlog_configured():
            return True
        if self._renderer is not None:  # it has its own threshold, unless a level is set
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
            # Not every wrapper class has the method `log`.
            logger = sys.modules["structlog"].get_logger(NAME)
            say = getattr(logger, logging.getLevelName(level).lower())
            say(event, **_all_shown(fields))  # its renderer may be one for terminals
        elif self._renderer is not None:
            self._renderer(entry)
        else:
            logging.getLogger(NAME).log(level, "%s", logfmt({"event": event, **fields}))


class PluginLog:
    """The log of one plugin. Each event has the plugin's name in the field `plugin`."""

    def __init__(self, log: Log, plugin: str) -> None:
        self._log = log
        self._plugin = plugin

    def debug(self, event: str, **fields: Any) -> None:
        """Log an event for developers of the plugin."""
        self._log.debug(event, **{"plugin": self._plugin, **fields})

    def info(self, event: str, **fields: Any) -> None:
        """Log an event that is part of normal work."""
        self._log.info(event, **{"plugin": self._plugin, **fields})

    def warning(self, event: str, **fields: Any) -> None:
        """Log an event that a person should look at."""
        self._log.warning(event, **{"plugin": self._plugin, **fields})

    def error(self, event: str, **fields: Any) -> None:
        """Log a failure."""
        self._log.error(event, **{"plugin": self._plugin, **fields})


def _structlog_configured() -> bool:
    structlog = sys.modules.get("structlog")
    configured = getattr(structlog, "is_configured", None)  # None during its import
    return configured is not None and configured()


def logfmt(words: dict[str, Any]) -> str:
    """
    Write an event as one line of `key=value`, for the standard logger.

    The renderer of structlog is not used, because importing structlog takes 50 ms at the start of
    the app, and twice as long at its exit.
    """
    return " ".join(f"{_key(name)}={_quoted(value)}" for name, value in words.items())


def _key(name: str) -> str:
    return "".join("_" if each in ' ="\\' or not each.isprintable() else each for each in name)


def _quoted(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    plain = text.isprintable() and not set(text) & set(' ="\\')
    return text if plain and text else one_line(json.dumps(text, ensure_ascii=False))


def _shown(value: Any) -> Any:
    return one_line(value) if isinstance(value, str) else value  # others are shown by repr


def _all_shown(words: dict[str, Any]) -> dict[str, Any]:
    return {one_line(name): _shown(value) for name, value in words.items()}


class LineRenderer:
    """
    The renderer of `lifecycle run`: readable lines on a terminal, JSON otherwise.

    The JSON is the same as that of structlog. But structlog is not imported, because with the
    packages that it imports (rich, twisted) it costs up to 90 ms and 11 MiB.

    Args:
        stream: The stream to write to.
        threshold: The lowest level that is written. A level of the standard logger `lifecycle`,
            set by `/log-level` or by the app, has precedence.
    """

    def __init__(self, stream: Any, threshold: str) -> None:
        self._stream = stream
        self._lowest = logging.getLevelNamesMapping()[threshold.upper()]

    @property
    def level(self) -> int:
        """The lowest level that is written."""
        return logging.getLogger(NAME).level or self._lowest

    def prepare(self) -> None:
        """Import the modules that writing needs."""
        if self._stream.isatty():
            importlib.import_module("structlog")

    def __call__(self, entry: LogEntry) -> None:
        if entry.level < self.level:
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
    """Make the renderer of `lifecycle run`. For the arguments, see `LineRenderer`."""
    return LineRenderer(stream, threshold)
