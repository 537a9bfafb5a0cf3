"""The state of this pod as one annotation, which lifecycle-fleet reads."""

from __future__ import annotations

import json
from itertools import accumulate
from typing import Any, Final

import lifecycle
from lifecycle_kubernetes.text import one_line

STATUS: Final = "pod-lifecycle.dev/status"
"""The annotation with the state of the app."""
LONGEST: Final = 200
"""Characters of the cause, and of the name of a service."""
MOST_NAMES: Final = 100
"""Names of services that each list has at most."""
MOST: Final = 16_384
"""Bytes of the annotation that lifecycle-fleet reads."""
MORE: Final = "…"
"""The last item of a list that does not name all services."""


def status(
    snapshot: lifecycle.Snapshot, config: lifecycle.Config, qos_port: int | None = None
) -> str:
    """
    Return the value of the annotation: JSON on one line, in ASCII, with at most `MOST` bytes.

    If the names of all services do not fit, each list of names has at least half of the space.

    Args:
        snapshot: The state of the app.
        config: The settings.
        qos_port: The port that answers. None if the port is off.
    """
    transitions, start = snapshot["transitions"], snapshot.get("start")
    told: dict[str, Any] = {
        "state": snapshot["state"],
        "since": round(snapshot["since"], 3),
        "cause": one_line(transitions[-1]["cause"], LONGEST) if transitions else "",
        "version": snapshot["version"],
        "settle": _plain(config.settle),
        "grace": _plain(config.grace_period),
        "start": _plain(start["seconds"]) if start is not None and start["over"] else None,
        "online": [],
        "offline": [],
        "qos_port": qos_port,
    }
    services = snapshot["services"]
    online = [one_line(each["name"], LONGEST) for each in services if each["online"]]
    offline = [one_line(each["name"], LONGEST) for each in services if not each["online"]]
    room = MOST - len(_compact(told))
    told["online"] = _fitting(online, room - _size(_fitting(offline, room // 2)))
    told["offline"] = _fitting(offline, room - _size(told["online"]))
    return _compact(told)


def status_patch(uid: str, text: str | None) -> dict[str, Any]:
    """
    Return the patch of `pods/status` that writes only this annotation.

    Args:
        uid: The uid of this pod, so that another pod of the same name is not changed.
        text: The value. None removes the annotation.
    """
    return {"metadata": {"uid": uid, "annotations": {STATUS: text}}}


def _plain(seconds: float) -> float:
    """Return a number as people write it, 5 and not 5.0."""
    return int(seconds) if seconds == int(seconds) else round(seconds, 3)


def _fitting(names: list[str], room: int) -> list[str]:
    """Return the names that fit into some bytes. A list that is not complete says so at its end."""
    if len(names) <= MOST_NAMES and _size(names) <= room:
        return names
    sizes = accumulate((_size([each]) for each in names[:MOST_NAMES]), initial=_size([MORE]))
    fit = sum(size <= room for size in sizes) - 1
    return [*names[:fit], MORE]


def _size(names: list[str]) -> int:
    return sum(len(_compact(each)) + 1 for each in names)


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
