"""
The start and the drain of an app as spans, made from snapshots.

Rules of this file:

1. Nothing here needs OpenTelemetry. A span is a record, until there is a tracer for it.
2. The number of spans and the length of texts are limited, whatever plugins and clients do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias

import lifecycle
from lifecycle_opentelemetry.text import bounded

PREFIX: Final = "pod_lifecycle"
MOST: Final = 100
"""Entries of an attribute that is a list."""
INTERRUPTED: Final = 143
"""The exit code of a job that was interrupted, which is not a failure."""

_SIDE_BY_SIDE: Final = {"deregister": "", "settle": "", "quiet": "settle"}
"""Steps of a drain that run beside the others, each with the step after which it starts."""

Value: TypeAlias = "str | bool | int | float | Sequence[str]"
Attributes: TypeAlias = Mapping[str, Value]

_NONE: Final[Attributes] = MappingProxyType({})


class SpanEvent(NamedTuple):
    """One event of a span. `at` is in seconds since the epoch."""

    name: str
    at: float
    attributes: Attributes


class SpanRecord(NamedTuple):
    """
    One span that is over.

    Attributes:
        name: Its name.
        began: Its start, in seconds since the epoch.
        ended: Its end, in seconds since the epoch.
        attributes: Its attributes.
        events: Its events.
        children: The spans of its steps.
        problem: The description of an error, or empty.
    """

    name: str
    began: float
    ended: float
    attributes: Attributes = _NONE
    events: Sequence[SpanEvent] = ()
    children: Sequence[SpanRecord] = ()
    problem: str = ""


def start_of(snapshot: Mapping[str, Any]) -> SpanRecord | None:
    """Return the span of the start. None while the app still starts."""
    start, transitions = snapshot.get("start"), snapshot["transitions"]
    ends = (lifecycle.State.READY, lifecycle.State.DRAINING)
    number = next((n for n, each in enumerate(transitions) if each["to"] in ends), None)
    if start is None or number is None:
        return None
    last = transitions[number]
    ended = last["at"]
    began = ended - start["seconds"]
    ready = last["to"] == lifecycle.State.READY
    return SpanRecord(
        "lifecycle start",
        began,
        ended,
        {
            f"{PREFIX}.services": _services(snapshot),
            f"{PREFIX}.slowest_step": bounded(start["slowest"]),
        },
        [*map(_event, transitions[: number + ready])],
        [*_steps_of_the_start(start, began, ended)],
        "" if ready else f"The app did not become READY: {bounded(last['cause'])}",
    )


def _steps_of_the_start(
    start: Mapping[str, Any], zero: float, ended: float
) -> Iterator[SpanRecord]:
    for step in start["steps"]:
        began = zero + step["began"]
        if began > ended:
            continue  # a registration after READY
        running = bool(step.get("running"))
        until = ended if running else began + step["seconds"]
        attributes = {f"{PREFIX}.unfinished": True} if running else {}
        yield SpanRecord(bounded(step["name"]), began, until, attributes)


def drain_of(
    snapshot: Mapping[str, Any], *, code: int, cause: str, now: float
) -> SpanRecord | None:
    """
    Return the span of the drain, until now. None if there is none.

    Args:
        snapshot: The snapshot.
        code: The exit code so far.
        cause: The cause of the drain.
        now: The time, in seconds since the epoch.
    """
    drain, transitions = snapshot["drain"], snapshot["transitions"]
    draining = (each for each in transitions if each["to"] == lifecycle.State.DRAINING)
    first = next(draining, None)
    if drain is None or first is None:
        return None
    began = first["at"]
    ended = max(began, now)
    seen = ("last_connection", "last_request", "listened", "after_closing")
    told = {f"{PREFIX}.{name}": drain[name] for name in seen if drain.get(name) is not None}
    if disturbed_by := [*map(bounded, drain["disturbed_by"][:MOST])]:
        told[f"{PREFIX}.disturbed_by"] = disturbed_by
    cut_off = len(drain.get("cut_off", ()))
    return SpanRecord(
        "lifecycle drain",
        began,
        ended,
        {
            f"{PREFIX}.cause": bounded(cause),
            f"{PREFIX}.services": _services(snapshot),
            f"{PREFIX}.cut_off": cut_off,
            f"{PREFIX}.requests": sum(drain.get("arrivals") or ()),
            "process.exit.code": code,
            **told,
        },
        [_event(first)],
        [*_steps_of_the_drain(drain["steps"], began, ended)],
        _problem(code, cut_off),
    )


def _problem(code: int, cut_off: int) -> str:
    if code in (0, INTERRUPTED):
        return ""
    return f"Exit code {code}. Cut off: {cut_off}" if cut_off else f"Exit code {code}"


def _steps_of_the_drain(
    steps: Mapping[str, float], zero: float, ended: float
) -> Iterator[SpanRecord]:
    before = 0.0
    for name, end in steps.items():
        if name in _SIDE_BY_SIDE:
            began = steps.get(_SIDE_BY_SIDE[name], 0.0)
        else:
            began, before = before, end
        until = min(zero + end, ended)  # the seconds of steps are rounded
        yield SpanRecord(name, min(zero + began, until), until)


def _services(snapshot: Mapping[str, Any]) -> Sequence[str]:
    return [bounded(each["name"]) for each in snapshot["services"][:MOST]]


def _event(transition: Mapping[str, Any]) -> SpanEvent:
    name = bounded(str(transition["to"]).upper())
    return SpanEvent(name, transition["at"], {f"{PREFIX}.cause": bounded(transition["cause"])})
