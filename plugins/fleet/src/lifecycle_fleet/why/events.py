"""The events of an object, the newest last. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from lifecycle_fleet.view.pod import moment
from lifecycle_fleet.why.reading import Object, text, whole, words

KEPT: Final = 3600.0
"""Seconds for which the API server keeps an event, unless `--event-ttl` is set."""

KUBELET: Final = "kubelet"
"""The component of its events."""

MANY: Final = 20
"""Events of one pod after which the kubelet soon drops some. Its limit is 25."""

_CONTAINER: Final = re.compile(r"spec\.(?:initContainers|containers|ephemeralContainers)\{(.+)\}")


class Event(NamedTuple):
    """
    One event.

    Attributes:
        reason: Its reason, for example `Unhealthy`.
        message: Its message.
        last: When it happened last, in seconds since the epoch, or 0.
        times: How often it happened.
        container: The container that it is about, or empty.
        warning: Whether its type is `Warning`.
        uid: The uid of the object that it is about.
        by_kubelet: Whether the kubelet has reported it.
    """

    reason: str
    message: str
    last: float = 0.0
    times: int = 1
    container: str = ""
    warning: bool = True
    uid: str = ""
    by_kubelet: bool = False

    def quoted(self, now: float) -> str:
        """Return the event for people, with its age."""
        often = f" {self.times} times, last" if self.times > 1 else ""
        age = max(0.0, now - self.last)
        ago = f"{often} {age:.0f} s ago" if age < 120 else f"{often} {age / 60:.0f} min ago"
        return f"event {words(self.reason)}{ago if self.last else ''}: {words(self.message)}"


def read(found: Iterable[Object]) -> tuple[Event, ...]:
    """Return the events of a list of the API server, the newest last."""
    return tuple(sorted(map(_event, found), key=lambda each: each.last))


def reported(found: Iterable[Event]) -> int:
    """Return how many events the kubelet has reported."""
    return sum(each.times for each in found if each.by_kubelet)


def _event(found: Object) -> Event:
    times = (
        moment(text(found, "series", "lastObservedTime")),
        moment(text(found, "lastTimestamp")),
        moment(text(found, "eventTime")),
        moment(text(found, "firstTimestamp")),
    )
    named = _CONTAINER.fullmatch(text(found, "involvedObject", "fieldPath"))
    return Event(
        reason=text(found, "reason"),
        message=text(found, "message"),
        last=max(times),
        times=max(1, whole(found, "count"), whole(found, "series", "count")),
        container=named[1] if named else "",
        warning=text(found, "type") != "Normal",
        uid=text(found, "involvedObject", "uid"),
        by_kubelet=KUBELET
        in (text(found, "source", "component"), text(found, "reportingComponent")),
    )
