"""Liveness on a real kubelet: a dead loop is restarted, a busy one is left alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.cluster.fixtures import Target
from tests.e2e import kit, manifests
from tests.e2e.kit import Space

SERVED = Path(__file__).parent / "served" / "stuck.py"
RUN = ("lifecycle", "run", "--app-dir", "/app", "stuck:main")
LIMIT = 4.0
"""The loop_stall_limit, in seconds; the kubelet asks every second, and kills at the second no."""


@pytest.fixture(scope="module")
def both(target: Target) -> Iterator[Space]:
    """Two pods begun at once: `blocked` for an hour, and `busy` in pieces for a while."""
    with kit.namespace(target) as space:
        space.files("stuck", SERVED)
        for name, chunk, busy in (("blocked", 3600, 3600), ("busy", 0.3, LIMIT + 8)):
            env = {
                "LIFECYCLE_LOOP_STALL_LIMIT": str(LIMIT),
                "CHUNK": str(chunk),
                "BUSY": str(busy),
            }
            pod = manifests.pod(name, space.image, RUN, env=env)
            pod["spec"]["volumes"][0]["configMap"]["name"] = "stuck"
            space.create(pod)
        yield space


@pytest.mark.timeout(300)
def test_a_blocked_loop_restarts_the_container_once_after_the_limit(both: Space) -> None:
    """The kubelet restarts an app whose loop is blocked for longer than loop_stall_limit."""
    both.wait(lambda: both.started("blocked"), "the app has started", about="blocked")
    first = both.follow("blocked")
    both.wait(lambda: both.restarts("blocked"), "it is restarted", about="blocked")
    said = first.result(manifests.GRACE)
    both.wait_ready("blocked")

    (blocked,) = (_at(each) for each in said if each["event"] == "busy")
    dead = min(_at(each) for each in said if each.get("kind") == "liveness" and not each["ok"])
    (draining,) = (each for each in said if each["event"] == "draining")
    assert (dead - blocked).total_seconds() >= LIMIT
    assert _at(draining) > dead
    assert draining["cause"] == "preStop"
    assert both.restarts("blocked") == 1
    assert "FailedPreStopHook" not in {reason for reason, _ in both.events("blocked")}


@pytest.mark.timeout(300)
def test_a_busy_loop_is_not_restarted(both: Space) -> None:
    """An app that is busy in pieces, for longer than the limit and the probes' patience, lives."""
    both.wait(
        lambda: any(each["event"] == "idle" for each in both.log("busy")),
        "the work is done",
        about="busy",
    )
    both.wait_ready("busy")
    assert both.restarts("busy") == 0
    assert not [text for _, text in both.events("busy") if "Liveness" in text]


def _at(event: dict[str, str]) -> datetime:
    return datetime.fromisoformat(event["timestamp"])
