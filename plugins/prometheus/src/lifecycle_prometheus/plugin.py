"""
The plugin: `GET /metrics` on the QOS port.

Rules of this file:

1. The command is a plain function, so it runs in a thread, and takes its numbers from the control
   thread. A blocked event loop of the app delays no scrape.
2. An answer is kept for a second, so that frequent scrapes cost nothing.
3. `prometheus_client` is imported only if the app's own metrics are wanted, at the first scrape.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import lifecycle
from lifecycle_prometheus.app_metrics import AppMetrics
from lifecycle_prometheus.collector import Collector
from lifecycle_prometheus.formats import Format, chosen, end_of, written

if TYPE_CHECKING:
    from lifecycle_prometheus.app_metrics import Logger

KEPT: Final = 1.0
"""Seconds for which an answer is kept."""


@dataclass(frozen=True)
class PrometheusOptions:
    """
    The options `LIFECYCLE_PROMETHEUS_*`.

    Raises:
        ValueError: `level` is not the name of a permission level.
    """

    level: str = field(
        default="public",
        metadata={"describe": "Permission level of /metrics: public, protected or private."},
    )
    app_metrics: bool = field(
        default=False,
        metadata={"describe": "Whether /metrics also has the app's own metrics."},
    )

    def __post_init__(self) -> None:
        names = [each.name.lower() for each in lifecycle.Level]
        if self.level not in names:
            raise ValueError(
                f"level={self.level!r}: must be {', '.join(names[:-1])} or {names[-1]}"
            )


class PrometheusPlugin:
    """The plugin."""

    @lifecycle.hookimpl
    def lifecycle_options(self) -> type[PrometheusOptions]:
        """Return the options class."""
        return PrometheusOptions

    @lifecycle.hookimpl
    def lifecycle_commands(self, life: lifecycle.Lifecycle, me: lifecycle.Me) -> lifecycle.Command:
        """Return the command `metrics`."""
        options = me.options(PrometheusOptions)
        page = MetricsPage(life, life.log if options.app_metrics else None)
        level = lifecycle.Level[options.level.upper()]
        return lifecycle.Command("metrics", page.answer, "metrics for Prometheus", level)


class MetricsPage:
    """
    The page for scrapers. Its method is called by one thread at a time.

    Args:
        life: The `Lifecycle`.
        app_log: The log for problems with the app's own metrics. None leaves these metrics out.
        clock: A monotonic clock, in seconds.
    """

    def __init__(
        self,
        life: lifecycle.Lifecycle,
        app_log: Logger | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._life = life
        self._clock = clock
        self._kept: dict[Format, tuple[float, str]] = {}
        self._collector = Collector(life)
        self._app = AppMetrics(app_log) if app_log is not None else None

    def answer(self, request: lifecycle.Request) -> lifecycle.Reply:
        """Answer a scrape, in the format that it accepts."""
        format_ = chosen(request.accept)
        made_at, text = self._kept.get(format_, (0.0, ""))
        if not text or self._clock() - made_at >= KEPT:
            text = self._written(format_)
            self._kept[format_] = self._clock(), text
        return lifecycle.Reply(text, content_type=format_.value)

    def _written(self, format_: Format) -> str:
        snapshot = self._life.snapshot()
        text = written(self._collector.families(snapshot), format_)
        if self._app is not None:
            text += self._app.text(format_, of_a_command=bool(snapshot.get("command")))
        return text + end_of(format_)
