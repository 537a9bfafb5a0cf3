"""Liveness on a real kubelet: a dead loop is restarted, a busy one is left alone."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from tests.e2e import manifests
from tests.e2e.kit import Space

SERVED = Path(__file__).parent / "served" / "stuck.py"
RUN = ("lifecycle", "run", "--app-dir", "/app", "stuck:main")
LIMIT = 4.0
"""The loop_stall_limit, in seconds; the kubelet asks every second, and kills at the second no."""


@pytest.mark.timeout(300)
def test_a_blocked_loop_restarts_the_container_once_after_the_limit(space: Space) -> None:
    """The kubelet restarts an app whose loop is blocked for longer than loop_stall_limit."""
    _create(space, chunk=3600)
    space.wait(lambda: space.started("stuck"), "the app has started", about="stuck")
    first = space.follow("stuck")
    space.wait(lambda: space.restarts("stuck"), "it is restarted", about="stuck")
    said = first.result(manifests.GRACE)
    space.wait_ready("stuck")

    (blocked,) = (_at(each) for each in said if each["event"] == "busy")
    dead = min(_at(each) for each in said if each.get("kind") == "liveness" and not each["ok"])
    (draining,) = (each for each in said if each["event"] == "draining")
    assert (dead - blocked).total_seconds() >= LIMIT
    assert _at(draining) > dead
    assert draining["cause"] == "preStop"
    assert space.restarts("stuck") == 1
    assert "FailedPreStopHook" not in {reason for reason, _ in space.events("stuck")}


@pytest.mark.timeout(300)
def test_a_busy_loop_is_not_restarted(space: Space) -> None:
    """An app that is busy in pieces, for longer than the limit and the probes' patience, lives."""
    _create(space, chunk=0.3, busy=LIMIT + 8)
    space.wait(
        lambda: any(each["event"] == "idle" for each in space.log("stuck")),
        "the work is done",
        about="stuck",
    )
    space.wait_ready("stuck")
    assert space.restarts("stuck") == 0
    assert not [text for _, text in space.events("stuck") if "Liveness" in text]


def _create(space: Space, *, chunk: float, busy: float = 3600) -> None:
    space.files("stuck", SERVED)
    env = {
        "LIFECYCLE_LOOP_STALL_LIMIT": str(LIMIT),
        "CHUNK": str(chunk),
        "BUSY": str(busy),
    }
    space.create(manifests.pod("stuck", space.image, RUN, env=env))


def _at(event: dict[str, str]) -> datetime:
    return datetime.fromisoformat(event["timestamp"])
