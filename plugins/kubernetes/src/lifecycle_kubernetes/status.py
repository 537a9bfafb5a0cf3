"""The state of this pod as one annotation, which lifecycle-fleet reads."""

from __future__ import annotations

import json
from typing import Any, Final

import lifecycle
from lifecycle_kubernetes.text import one_line

STATUS: Final = "pod-lifecycle.dev/status"
"""The annotation with the state of the app."""
LONGEST: Final = 200
"""Characters of the cause, and of the name of a service."""
MOST_NAMES: Final = 100
"""Names of services that each list has at most. A longer list ends with an ellipsis."""


def status(
    snapshot: lifecycle.Snapshot, config: lifecycle.Config, qos_port: int | None = None
) -> str:
    """
    Return the value of the annotation: JSON on one line, in ASCII.

    Args:
        snapshot: The state of the app.
        config: The settings. The settle time of a service registry is in the snapshot.
        qos_port: The port that answers. None if the port is off.
    """
    transitions, start = snapshot["transitions"], snapshot.get("start")
    services = snapshot["services"]
    told = {
        "state": snapshot["state"],
        "since": round(snapshot["since"], 3),
        "cause": one_line(transitions[-1]["cause"], LONGEST) if transitions else "",
        "version": snapshot["version"],
        "settle": _plain(snapshot.get("settle", config.settle)),
        "grace": _plain(config.grace_period),
        "start": _plain(start["seconds"]) if start is not None and start["over"] else None,
        "online": _names(each["name"] for each in services if each["online"]),
        "offline": _names(each["name"] for each in services if not each["online"]),
        "qos_port": qos_port,
    }
    return json.dumps(told, separators=(",", ":"))


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


def _names(names: Any) -> list[str]:
    every = [one_line(each, LONGEST) for each in names]
    return every if len(every) <= MOST_NAMES else [*every[:MOST_NAMES], "…"]
