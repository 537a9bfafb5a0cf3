"""Snapshots, as `Lifecycle.snapshot` returns them."""

from __future__ import annotations

from typing import Any

from plugins.prometheus.tests.snapshots import snapshot

ZERO = 1000.0
"""When the process started, in seconds since the epoch."""


def step(name: str, began: float, seconds: float, **more: Any) -> dict[str, Any]:
    """One step of a start."""
    return {"name": name, "began": began, "seconds": seconds, **more}


def transition(to: str, at: float, cause: str = "") -> dict[str, Any]:
    """One transition, so many seconds after the start of the process."""
    return {"from": "?", "to": to, "at": ZERO + at, "cause": cause or f"so that it is {to}"}


def drain(**changed: Any) -> dict[str, Any]:
    """A drain whose hooks have ended, shortly before its end."""
    return {
        "step": "flush",
        "cause": "SIGTERM",
        "deadline": 10.0,
        "elapsed": 8.5,
        "steps": {"deregister": 0.4, "settle": 5.0, "quiet": 6.0, "wait": 6.5, "stop": 8.0},
        "waiting_for": [],
        "disturbed_by": ["curl/8"],
        "last_connection": 1.5,
        "last_request": 2.5,
        "arrivals": [3, 2, 1],
        "connections": [1, 1, 0],
        "listened": None,
        "after_closing": None,
        "cut_off": [],
    } | changed


def started(**changed: Any) -> dict[str, Any]:
    """An app that was READY 4 s after the start of its process."""
    steps = [step("process", 0.0, 0.5), step("imports", 0.5, 3.0)]
    return (
        snapshot(
            transitions=[transition("exporting", 3.6), transition("ready", 4.0)],
            start={"seconds": 4.0, "over": True, "steps": steps, "slowest": "imports"},
        )
        | changed
    )


def drained(**changed: Any) -> dict[str, Any]:
    """The same app at the end of a drain that began 100 s after the start of the process."""
    app = started()
    draining = transition("draining", 100.0, "SIGTERM")
    return (
        app
        | {
            "state": "draining",
            "transitions": [*app["transitions"], draining],
            "drain": drain(),
        }
        | changed
    )
