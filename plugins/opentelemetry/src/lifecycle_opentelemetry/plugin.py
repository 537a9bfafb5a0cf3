"""
The plugin: spans of the start and the drain, metrics, and a flush of all providers at the end.

Rules of this file:

1. Until READY, nothing is imported: OpenTelemetry takes about 0.2 s. So the start is not slower.
2. Nothing here is on the path of a request or a probe, except the empty calls of `SpanMark`.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import lifecycle
from lifecycle_opentelemetry.options import OpenTelemetryOptions

if TYPE_CHECKING:
    from lifecycle_opentelemetry.telemetry import Telemetry


class OpenTelemetryPlugin:
    """The plugin, for one `Lifecycle`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._telemetry: Telemetry | None = None

    @lifecycle.hookimpl
    def lifecycle_options(self) -> type[OpenTelemetryOptions]:
        """Return the options class."""
        return OpenTelemetryOptions

    @lifecycle.hookimpl
    def lifecycle_transition(
        self, life: lifecycle.Lifecycle, transition: lifecycle.Transition, me: lifecycle.Me
    ) -> None:
        """Start to export when the app is READY."""
        if transition.after is lifecycle.State.READY:
            self._of(life, me).started()

    @lifecycle.hookimpl
    def lifecycle_stop(
        self, life: lifecycle.Lifecycle, stop: lifecycle.Stop, me: lifecycle.Me
    ) -> None:
        """Send everything that is left, in the time that there is for it."""
        self._of(life, me).ended(stop)

    def _of(self, life: lifecycle.Lifecycle, me: lifecycle.Me) -> Telemetry:
        with self._lock:  # an app may end right after READY
            if self._telemetry is None:
                from lifecycle_opentelemetry.telemetry import Telemetry

                options = me.options(OpenTelemetryOptions)
                self._telemetry = Telemetry(
                    life.snapshot, me.log, traces=options.traces, metrics=options.metrics
                )
            return self._telemetry
