"""
The traces and the metrics of one app, from READY to the end.

Rules of this file:

1. OpenTelemetry is imported only if there is something to export, and after READY.
2. Everything that may be slow or hang runs in a separate thread.
3. A problem is logged once, until it is over.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

import lifecycle
from lifecycle_opentelemetry.app_flush import AppFlush
from lifecycle_opentelemetry.app_providers import app_provider, is_shut_down, watch
from lifecycle_opentelemetry.flushing import Call, Ending, no_answer, side_by_side
from lifecycle_opentelemetry.quiet import Heard, described, overheard
from lifecycle_opentelemetry.settings import NOT_SENT, Signal, exporters
from lifecycle_opentelemetry.traces import SpanRecord, drain_of, start_of

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.trace import SpanContext, Tracer

    from lifecycle_opentelemetry.instruments import Meters
    from lifecycle_opentelemetry.spans import Outbox

SCOPE: Final = "lifecycle_opentelemetry"
SIGNALS: Final = ("spans", "metrics", "logs")
BREATH: Final = 0.5
"""Seconds between READY and the import of OpenTelemetry."""
THE_APPS: Final = "the app's "


class Logger(Protocol):
    """The log of the plugin."""

    def info(self, event: str, **fields: object) -> None:
        """Log an event that is part of normal work."""

    def warning(self, event: str, **fields: object) -> None:
        """Log a warning."""


class Telemetry:
    """
    The traces and the metrics of one app. Any thread may call it.

    Args:
        read: Returns the snapshot of the app.
        log: The log for problems.
        traces: Whether the start and the drain become spans.
        metrics: Whether metrics are exported.
        environ: The environment variables.
    """

    def __init__(
        self,
        read: Callable[[], Mapping[str, Any]],
        log: Logger,
        *,
        traces: bool = True,
        metrics: bool = True,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._read = read
        self._log = log
        self._traces = traces
        self._metrics = metrics
        self._environ = environ
        self._preparing = threading.Lock()
        self._ends = threading.Event()
        self._outbox: Outbox | None = None
        self._provider: MeterProvider | None = None
        self._meters: Meters | None = None
        self._start: SpanContext | None = None
        self._start_written = False
        self._problems: dict[str, str] = {}
        self._problems_lock = threading.Lock()

    # From READY on

    def started(self) -> None:
        """Write the span of the start, and export metrics from now on. Returns at once."""
        threading.Thread(target=self._begin, name="opentelemetry-start", daemon=True).start()

    def _begin(self) -> None:
        watch()
        # The import holds the interpreter lock, and would delay the first `/startup` that is true.
        if self._ends.wait(BREATH):
            return  # `ended` does the rest
        self._write(None)
        if self._outbox is not None:
            self._note("spans", self._outbox.send())

    def _write(self, drain: Callable[[Mapping[str, Any]], SpanRecord | None] | None) -> None:
        """Write the spans that are over. Prepares everything that is not prepared yet."""
        with self._preparing:
            watch()
            for what, prepare in (
                ("spans", partial(self._write_spans, drain)),
                ("metrics", self._prepare_metrics),
            ):
                try:
                    prepare(self._read())
                except Exception as error:  # noqa: BLE001 - an SDK or exporter of anybody
                    known = isinstance(error, lifecycle.LifecycleError)
                    self._note(what, str(error) if known else described(error))

    def _write_spans(
        self,
        drain: Callable[[Mapping[str, Any]], SpanRecord | None] | None,
        snapshot: Mapping[str, Any],
    ) -> None:
        tracer = self._tracer(snapshot) if self._traces else None
        if tracer is None:
            return  # a provider may still come before the end
        from lifecycle_opentelemetry.spans import write

        if not self._start_written and (start := start_of(snapshot)) is not None:
            self._start_written = True
            self._start = write(tracer, start)
        if drain is not None and (end := drain(snapshot)) is not None:
            write(tracer, end, self._start)

    def _tracer(self, snapshot: Mapping[str, Any]) -> Tracer | None:
        provider = gone = app_provider("spans")
        if provider is not None and is_shut_down(provider):
            provider = None  # it drops every span
        if provider is None and self._outbox is None and exporters(Signal.TRACES, self._environ):
            from lifecycle_opentelemetry.own import exporter_classes
            from lifecycle_opentelemetry.resource import resource
            from lifecycle_opentelemetry.spans import Outbox, choices_of

            kinds = exporter_classes(Signal.TRACES, self._environ)
            where, sampler = choices_of(gone)
            where = where or resource(self._environ, _names(snapshot))
            self._outbox = Outbox([kind() for kind in kinds], where, sampler)
        if provider is None and self._outbox is not None:
            provider = self._outbox.provider
        if provider is None:
            return None
        tracer: Tracer = provider.get_tracer(SCOPE, lifecycle.__version__)
        return tracer

    def _prepare_metrics(self, snapshot: Mapping[str, Any]) -> None:
        if self._meters is not None or not self._metrics:
            return
        provider = app_provider("metrics")
        if provider is None and exporters(Signal.METRICS, self._environ):
            from lifecycle_opentelemetry.instruments import own_provider
            from lifecycle_opentelemetry.own import exporter_classes
            from lifecycle_opentelemetry.resource import resource

            kinds = exporter_classes(Signal.METRICS, self._environ)
            where = resource(self._environ, _names(snapshot))
            provider = self._provider = own_provider(kinds, where, partial(self._note, "metrics"))
        if provider is not None:
            from lifecycle_opentelemetry.instruments import meters_of

            self._meters = meters_of(provider)
            self._meters.of(self._snapshot, is_command=bool(snapshot.get("workers")))

    def _snapshot(self) -> Mapping[str, Any] | None:
        with suppress(lifecycle.LifecycleError):  # at the very end, or a blocked control thread
            return self._read()
        return None

    # The end

    def ended(self, stop: lifecycle.Stop) -> None:
        """Write the span of the drain, and send everything that is left, the app's too."""
        self._ends.set()
        ending = Ending(stop.seconds_left)
        drain = partial(drain_of, code=stop.code, cause=stop.cause, now=time.time())
        calls: dict[str, Call] = {
            "drain": partial(ending.write, partial(self._write, drain)),
            "spans": partial(self._send, ending),
            "metrics": partial(self._shut_down, ending),
        }
        heard: dict[str, Heard] = {}
        quiet: dict[str, Call] = {
            what: partial(_quietly, call, what, heard) for what, call in calls.items()
        }
        providers = {what: app_provider(what) for what in SIGNALS}
        flushes = {
            what: AppFlush(f"{THE_APPS}{what}", provider, ending)
            for what, provider in providers.items()
            # The app has flushed it. The SDK would report a failure, though nothing is left.
            if provider is not None and not is_shut_down(provider)
        }
        for flush in flushes.values():
            quiet |= flush.calls
        problems = side_by_side(quiet, ending.left())
        for what in ("spans", "metrics"):  # if the drain is late, so are these
            problem = problems.get(what, "")
            if problem and what in heard:
                problem = f"{problem} {heard[what].reason}".strip()
            self._note(what, problem)
        for what, flush in flushes.items():
            self._note(f"{THE_APPS}{what}", flush.problem(problems))
            flush.leave_the_late()
        self._close()

    def _send(self, ending: Ending) -> str:
        ending.written.wait(ending.left())
        return self._outbox.send() if self._outbox is not None else self._problem_of("spans")

    def _shut_down(self, ending: Ending) -> str:
        ending.written.wait(ending.left())
        if self._provider is not None:
            # It collects and exports once more. Then its thread ends.
            self._provider.shutdown(timeout_millis=ending.left() * 1000)
            if not ending.left():  # then it has stopped to wait
                return no_answer(ending.seconds)
        return self._problem_of("metrics")

    def _problem_of(self, what: str) -> str:
        with self._problems_lock:
            return self._problems.get(what, "")

    def _close(self) -> None:
        if self._meters is not None:
            self._meters.of(lambda: None)
        if self._outbox is not None:
            side_by_side({"close": self._outbox.close}, 0)

    def _note(self, what: str, problem: str) -> None:
        """Log a problem. An empty text means that there is none any more."""
        with self._problems_lock:
            before = self._problems.get(what, "")
            self._problems[what] = problem
        if problem and not before:
            self._log.warning(
                "opentelemetry",
                what=what,
                problem=problem,
                see=lifecycle.LifecycleError(see=NOT_SENT).see,
            )
        elif before and not problem:
            self._log.info("opentelemetry", what=what)


def _names(snapshot: Mapping[str, Any]) -> list[str]:
    return [str(each["name"]) for each in snapshot["services"]]


def _quietly(call: Call, what: str, heard: dict[str, Heard]) -> str | None:
    with overheard() as heard[what]:
        return call()
