"""One drain, as its report describes it, with checked values."""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

MOST_SECONDS: Final = 86_400.0
"""The longest time in a report, which is the longest grace period."""
SECONDS_LISTED: Final = 120
MOST_SERVICES: Final = 20
LONGEST_NAME: Final = 253
MOST_IN_A_SECOND: Final = 10**9
LEAST: Final = 0.1
"""Seconds by which a time may be too small because of rounding and a busy machine."""


class BadReport(ValueError):
    """A report has a value that no report can have."""


class OldReport(BadReport):
    """The report is from a version that did not write what `lifecycle tune` needs."""


class Series(NamedTuple):
    """
    The arrivals after the drain start: connections or requests.

    Attributes:
        last: Seconds after the drain start at which the last one came. 0 if none came.
        seconds: How many came in each second.
    """

    last: float
    seconds: tuple[int, ...]


class SeenDrain(NamedTuple):
    """
    One drain.

    Attributes:
        services: The names of the app services.
        settle: The setting `settle`, in seconds. The next three are settings too.
        quiet: The quiet period.
        grace_period: The grace period.
        stop_timeout: The time for the app's own shutdown code.
        listened: Seconds after the drain start until the server stopped listening.
        connections: The new connections. None if the server cannot recognize them.
        requests: The requests. None if nothing counts them.
        settle_factor: How many times the propagation delay `settle` must be.
        after_closing: Connections that were in the accept queue when the listener closed.
        forced: Whether a second signal ended the drain.
        timestamp: The time of the report, as text. Empty if unknown.
    """

    services: tuple[str, ...]
    settle: float
    quiet: float
    grace_period: float
    stop_timeout: float
    listened: float
    connections: Series | None
    requests: Series | None
    settle_factor: float
    after_closing: int
    forced: bool
    timestamp: str

    @property
    def waited(self) -> bool:
        """True if the drain waited for its clients. If `main` ended by itself, it did not."""
        return not self.forced and self.listened > LEAST and self.listened >= self.settle - LEAST


def seen_drain(report: dict[str, Any]) -> SeenDrain:
    """
    Check the fields of a report.

    Raises:
        OldReport: The report does not have the fields.
        BadReport: A field has a value that no report can have.
    """
    services, settings = report.get("services"), report.get("settings")
    if services is None or settings is None:
        raise OldReport("no services, or an older version")
    if not isinstance(settings, dict):
        raise BadReport(f"settings is {settings!r:.40}")
    return SeenDrain(
        services=_names(services),
        settle=_seconds(settings, "settle"),
        quiet=_seconds(settings, "quiet"),
        grace_period=_seconds(settings, "grace_period"),
        stop_timeout=_seconds(settings, "stop_timeout"),
        listened=_listened(report),
        connections=_series(report, "last_connection", "connections"),
        requests=_series(report, "last_request", "arrivals"),
        settle_factor=_number(report.get("settle_factor", 1), "settle_factor", 1, 100),
        after_closing=int(_number(report.get("after_closing", 0), "after_closing", 0, math.inf)),
        forced=bool(report.get("forced", False)),
        timestamp=str(report.get("timestamp", ""))[:40],
    )


def _names(services: object) -> tuple[str, ...]:
    if not isinstance(services, list) or not services:
        raise BadReport(f"services is {services!r:.40}")
    return tuple(str(each)[:LONGEST_NAME] for each in services[: MOST_SERVICES + 1])


def _listened(report: dict[str, Any]) -> float:
    """Return when the server stopped listening: at the latest when it was told to stop."""
    if "listened" in report:
        return _seconds(report, "listened")
    steps = report["steps"]
    if not isinstance(steps, dict):
        raise BadReport(f"steps is {steps!r:.40}")
    return _seconds(steps, "signal" if "signal" in steps else "wait")


def _series(report: dict[str, Any], last: str, seconds: str) -> Series | None:
    if report.get(last) is None:
        return None
    counts = report.get(seconds)
    if not isinstance(counts, list) or len(counts) > SECONDS_LISTED:
        raise BadReport(f"{seconds} is {counts!r:.40}")
    checked = (int(_number(each, seconds, 0, MOST_IN_A_SECOND)) for each in counts)
    return Series(_seconds(report, last), tuple(checked))


def _seconds(fields: dict[str, Any], name: str) -> float:
    if name not in fields:
        raise BadReport(f"no {name}")
    return _number(fields[name], name, 0, MOST_SECONDS)


def _number(value: object, name: str, least: float, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadReport(f"{name} is {value!r:.40}")
    if not (math.isfinite(value) and least <= value <= most):
        raise BadReport(f"{name} is {value!r:.40}")
    return float(value)
