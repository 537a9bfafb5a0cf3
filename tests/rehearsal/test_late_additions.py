"""Clients that hear late of new replicas: what that loses, and minReadySeconds as the fix."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from lifecycle.rehearsal.errors import CannotRehearse
from lifecycle.rehearsal.plan import Plan, Traffic
from lifecycle.rehearsal.rehearsal import Rehearsal
from lifecycle.rehearsal.result import Result

HERE = str(Path(__file__).parent)
OURS = (
    *(sys.executable, "-m", "lifecycle", "run", "--asgi", "shop:app"),
    "--bind",
    "127.0.0.1:{port}",
)
LIMIT = 50.0
LATE = Traffic(clients=16, think=0.3, propagation=0.3, propagation_in=5.0)
SETTLE = {"LIFECYCLE_SETTLE": "2", "LIFECYCLE_QUIET": "0.2"}

FLAPS = """
import http.server, time
born = time.monotonic()
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        unwell = self.path == "/ready" and int((time.monotonic() - born) / 0.9) % 2
        self.send_response(503 if unwell else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_): pass
import sys
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def rehearse(*plans: Plan) -> list[Result]:
    """Rehearse side by side, bounded."""

    async def main() -> list[Result]:
        async with asyncio.timeout(LIMIT):
            return await asyncio.gather(*(Rehearsal(plan).run() for plan in plans))

    return asyncio.run(main())


@pytest.fixture(scope="module")
def results() -> list[Result]:
    """Without minReadySeconds, and with more than additions need."""
    return rehearse(
        *(
            Plan(OURS, LATE, replicas=1, min_ready=seconds, cwd=HERE, env=SETTLE)
            for seconds in (0.0, 6.0)
        )
    )


def test_late_additions_leave_clients_without_an_endpoint(results: list[Result]):
    """A new replica is ready, but clients hear first that the old ones leave: nothing else is lost."""
    groups = results[0].groups()
    assert {str(each.cause) for each in groups} == {"no endpoint"}
    assert all("had not heard of it" in each.advice.why for each in groups)
    assert all("minReadySeconds: 6 " in each.advice.change for each in groups)
    assert all("--min-ready 6" in each.advice.change for each in groups)


def test_min_ready_seconds_fix_late_additions(results: list[Result]):
    """An old replica is deleted only when its successor has been ready for that long: nothing is lost."""
    result = results[1]
    assert [str(loss.cause) for loss in result.tally.losses] == []
    assert result.tally.requests > 500
    rollout = result.rollouts[0]
    for old, new in zip(rollout.left, rollout.came, strict=True):
        assert old.deleted_at is not None
        assert new.ready_at is not None
        assert old.deleted_at - new.ready_at >= 6.0


def test_a_replica_that_is_ready_with_breaks_only_is_never_available():
    """Each break starts minReadySeconds again; after the time to start it cannot be rehearsed."""
    command = (sys.executable, "-c", FLAPS, "{port}")
    plan = Plan(
        command,
        Traffic(clients=2, rate=5, propagation=0.1),
        replicas=1,
        ready="/ready",
        start_time=2.0,
        min_ready=2.5,
        grace=1.0,
    )
    with pytest.raises(CannotRehearse, match=r"app-2 was never ready for --min-ready 2\.5 s"):
        rehearse(plan)
