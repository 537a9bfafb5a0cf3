"""
The annotation `pod-lifecycle.dev/status` of a pod.

`lifecycle-kubernetes` writes it. Each user who may change the pod can write it too. So each value is
checked, and each text stays on one line.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

ANNOTATION: Final = "pod-lifecycle.dev/status"
STATES: Final = (
    "starting",
    "exporting",
    "registered",
    "ready",
    "draining",
    "stopped",
    "failed",
)
LONGEST: Final = 200
"""Characters of a text that are shown."""
MOST: Final = 16_384
"""Characters of an annotation that is read, enough for 200 app services with names of 70."""


class Told(NamedTuple):
    """
    The content of the annotation.

    Attributes:
        state: The state of the app.
        since: When it reached the state, in seconds since the epoch, or 0.
        cause: The cause of the last transition.
        version: The version of pod-lifecycle.
        settle: The setting, in seconds. None if it is missing.
        grace: The grace period of the app, in seconds. None if it is missing.
        start: The seconds of the start. None before its end.
        online: The names of the services that are online.
        offline: The names of those that are offline.
        qos_port: The probe port. None if it is missing.
    """

    state: str
    since: float = 0.0
    cause: str = ""
    version: str = ""
    settle: float | None = None
    grace: float | None = None
    start: float | None = None
    online: tuple[str, ...] = ()
    offline: tuple[str, ...] = ()
    qos_port: int | None = None

    @property
    def is_offline(self) -> bool:
        """Whether every app service was taken offline."""
        return bool(self.offline) and not self.online


def read(metadata: Mapping[str, Any]) -> Told | None:
    """Return the content of the annotation of a pod, or None if there is none that can be read."""
    text = (metadata.get("annotations") or {}).get(ANNOTATION)
    if not text or len(text) > MOST:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or found.get("state") not in STATES:
        return None
    return Told(
        found["state"],
        _number(found.get("since")) or 0.0,
        _text(found.get("cause")),
        _text(found.get("version")),
        _number(found.get("settle")),
        _number(found.get("grace")),
        _number(found.get("start")),
        _texts(found.get("online")),
        _texts(found.get("offline")),
        int(port) if (port := _number(found.get("qos_port"))) else None,
    )


def _number(given: object) -> float | None:
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        return None
    try:
        found = float(given)
    except OverflowError:  # JSON has integers of any size
        return None
    return found if math.isfinite(found) and found >= 0 else None


def _text(given: object) -> str:
    return one_line(given) if isinstance(given, str) else ""


def _texts(given: object) -> tuple[str, ...]:
    if not isinstance(given, list):
        return ()
    return tuple(one_line(each) for each in given if isinstance(each, str) and each)


def one_line(text: str, most: int = LONGEST) -> str:
    """Return a text without anything that does something to a terminal, and not too long."""
    shown = printable(text)
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def printable(text: str) -> str:
    """Return a text of one line without anything that does something to a terminal."""
    return "".join(each if each.isprintable() else "�" for each in text)
