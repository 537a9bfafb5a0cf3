"""
The app's own metrics, from the registry of `prometheus_client`.

Rules of this file:

1. A collector of the app may be slow, hang or raise. Then a scrape gets everything except the app's
   metrics, and the log has the reason.
2. While a run hangs, no other one is started.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from concurrent.futures import Future, wait
from contextlib import suppress
from glob import escape, glob
from typing import TYPE_CHECKING, Final, Protocol

import lifecycle
from lifecycle_prometheus.formats import Format

if TYPE_CHECKING:
    from prometheus_client.core import Metric
    from prometheus_client.registry import Collector

LONGEST: Final = 2.0
"""Seconds that the app's collectors may take together. Prometheus itself waits 10 s by default."""
FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
"""The variable of `prometheus_client` for apps with several processes."""
LONGEST_PROBLEM: Final = 500
"""Characters of a problem in the log."""
HANGS: Final = "hangs"
"""The kind of a problem that comes and goes with each scrape while one run hangs."""
OURS: Final = "pod_lifecycle"


class Logger(Protocol):
    """The log."""

    def warning(self, event: str, **fields: object) -> None:
        """Log a warning."""


class AppMetrics:
    """
    Writes the app's own metrics. Called by one thread at a time.

    Args:
        log: The log for problems. A problem of one kind is logged once, until it is over.
        longest: Seconds that the app's collectors may take together.
    """

    def __init__(self, log: Logger, longest: float = LONGEST) -> None:
        self._log = log
        self._longest = longest
        self._run: Future[str] | None = None
        self._kind = ""

    def text(self, format_: Format, *, of_a_command: bool) -> str:
        """
        Return the app's metrics as text, without the end. Empty if there is a problem.

        Args:
            format_: The format.
            of_a_command: True if the app runs in other processes, those of a command.
        """
        folder = os.environ.get(FOLDER, "")
        if of_a_command and not folder:
            return self._say(
                "no folder",
                "The app runs in other processes, and they share no metrics. Set "
                f"{FOLDER} to an empty folder for them and for `lifecycle run`.",
            )
        if self._run is not None and not self._run.done():
            return self._say(HANGS, "A collector of the app still hangs.")
        run: Future[str] = Future()
        self._run = run
        threading.Thread(
            target=_fill, args=(run, format_, folder), name="app-metrics", daemon=True
        ).start()
        wait([run], self._longest)
        if not run.done():
            return self._say(
                HANGS, f"The app's collectors gave no metrics for {self._longest:g} s."
            )
        if (error := run.exception()) is not None:
            name = type(error).__name__
            return self._say(name, f"The app's metrics raised {name}: {_text_of(error)}")
        self._kind = ""
        return run.result()

    def _say(self, kind: str, problem: str) -> str:
        if kind != self._kind:
            self._kind = kind
            self._log.warning(
                "app metrics",
                problem=problem[:LONGEST_PROBLEM],
                see=lifecycle.LifecycleError(see="errors.md#app-metrics-missing").see,
            )
        return ""


def _fill(run: Future[str], format_: Format, folder: str) -> None:
    try:
        run.set_result(_written(format_, folder))
    except BaseException as error:  # noqa: BLE001 - it belongs to the one who waits
        run.set_exception(error)


def _written(format_: Format, folder: str) -> str:
    from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
    from prometheus_client.openmetrics import exposition as openmetrics

    registry: Collector = REGISTRY
    if folder:
        from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

        for pid in filter(_has_ended, _with_live_gauges(folder)):
            mark_process_dead(pid, folder)  # type: ignore[no-untyped-call]
        registry = MultiProcessCollector(None, folder)  # type: ignore[no-untyped-call]
    one = CollectorRegistry()
    one.register(_TheApps(registry))
    write = generate_latest if format_ is Format.TEXT else openmetrics.generate_latest
    return write(one).decode().removesuffix("# EOF\n")


class _TheApps:
    """The metrics of a registry except ours, because a name must not come twice."""

    def __init__(self, registry: Collector) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        """Yield them."""
        return (each for each in self._registry.collect() if not each.name.startswith(OURS))


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - an error of the app
        return "(without a text)"


def _with_live_gauges(folder: str) -> set[int]:
    """Return the processes that have live gauges there, dead or alive."""
    names = [os.path.basename(path) for path in glob(os.path.join(escape(folder), "gauge_live*"))]
    return {int(found[1]) for name in names if (found := re.fullmatch(r".*_(\d+)\.db", name))}


def _has_ended(pid: int) -> bool:
    with suppress(PermissionError):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
    return False
