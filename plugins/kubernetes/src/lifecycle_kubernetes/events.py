"""The Kubernetes Events about this pod: their messages, and the objects to send."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lifecycle_kubernetes.text import fit, one_line, some

if TYPE_CHECKING:
    import lifecycle

COMPONENT: Final = "pod-lifecycle"
"""The name under which `kubectl describe pod` lists the events."""
MOST_BYTES: Final = 1024
"""Bytes of a message, as the events API of Kubernetes allows."""
WARNINGS: Final = frozenset({"CutOff", "StartSlow"})


class Event(NamedTuple):
    """
    One event.

    Attributes:
        reason: One of `event_names.REASONS`.
        message: One line.
        at: When it happened, in seconds since the epoch.
        number: Another one for each event of this pod. It is a part of the event's name, so that
            an event that is sent twice exists once.
    """

    reason: str
    message: str
    at: float
    number: int


class Pod(NamedTuple):
    """The pod that the events are about, and its node."""

    name: str
    namespace: str
    uid: str
    node: str = ""


# The messages


def ready(snapshot: lifecycle.Snapshot) -> str:
    """Return the message of Ready."""
    start = snapshot.get("start")
    took = f" after a start of {start['seconds']:.1f} s" if start is not None else ""
    offline = [each["name"] for each in snapshot["services"] if not each["online"]]
    return f"The app is ready{took}." + (f" Offline: {some(offline)}." if offline else "")


def offline(services: Iterable[Any]) -> str:
    """Return the message of Offline, with who took the services offline and the reason."""
    gone = list(services)
    reasons = {
        f"{'administrator' if who == 'operator' else who}{': ' if why else ''}{why}": None
        for each in gone
        for who, why in each["held_by"].items()
    }
    by = f" ({some(reasons)})" if reasons else ""
    return f"Offline: {some(each['name'] for each in gone)}{by}."


def online(names: Iterable[str]) -> str:
    """Return the message of Online."""
    return f"Online again: {some(names)}."


def drained(snapshot: lifecycle.Snapshot) -> str:
    """Return the message of Drained, with what came after the drain start."""
    drain = snapshot["drain"]
    if drain is None:
        return "The drain is over."
    left = snapshot["in_flight"]
    text = f"The drain took {drain['elapsed']:.1f} s."
    if left:
        text += f" In flight at its end: {left}."
    if (arrivals := drain["arrivals"]) is None:
        return text
    late, last = sum(arrivals), drain["last_request"]
    if not late:
        return f"{text} No request came after its start."
    when = f", the last one after {last:.1f} s" if last is not None else ""
    return f"{text} Requests after its start: {late}{when}."


def cut_off(names: Iterable[str]) -> str:
    """Return the message of CutOff."""
    return f"Cut off: {'; '.join(names)}"


def slow(start: Any, limit: float) -> str:
    """Return the message of StartSlow, with the longest step."""
    steps = {each["name"]: each["seconds"] for each in start["steps"]}
    slowest = start["slowest"]
    took = f" with {steps[slowest]:.1f} s" if slowest in steps else ""
    longest = f" The longest step so far is {one_line(slowest, 200)}{took}." if slowest else ""
    return f"The start has taken longer than {limit:g} s.{longest}"


# The object


def event_object(event: Event, pod: Pod) -> dict[str, Any]:
    """
    Return an event as the API server takes it.

    Args:
        event: The event.
        pod: The pod that the event is about.
    """
    moment = datetime.fromtimestamp(event.at, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{pod.name[:200].rstrip('.-')}.{event.number:x}",
            "namespace": pod.namespace,
        },
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": pod.name,
            "namespace": pod.namespace,
            "uid": pod.uid,
        },
        "reason": event.reason,
        "message": event.message,
        "type": "Warning" if event.reason in WARNINGS else "Normal",
        "source": {"component": COMPONENT} | ({"host": pod.node} if pod.node else {}),
        "reportingComponent": COMPONENT,
        "reportingInstance": pod.name[:128],
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }


def as_message(text: str, left_out: int = 0) -> str:
    """
    Return a text as the message of an event: one line of at most 1,024 bytes.

    Args:
        text: The text.
        left_out: The number of events before this one that were not sent.
    """
    more = f" ({left_out} more events were left out.)" if left_out else ""
    return fit(one_line(text, MOST_BYTES), MOST_BYTES - len(more)) + more
