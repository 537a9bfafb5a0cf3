"""Clients that hear late of new replicas: what that loses, and minReadySeconds as the fix."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lifecycle.rehearsal.errors import CannotRehearse
from lifecycle.rehearsal.measuring.losses import Cause
from lifecycle.rehearsal.plan import Plan, Traffic
from lifecycle.rehearsal.rehearsal import Rehearsal
from lifecycle.rehearsal.replicas.replica import Replica
from lifecycle.rehearsal.replicas.rollout import _available
from lifecycle.rehearsal.replicas.template import Template
from lifecycle.rehearsal.verdict.result import Result
from lifecycle.testing.observed import Observed

HERE = str(Path(__file__).parent)
OURS = (
    *(sys.executable, "-m", "lifecycle", "run", "--asgi", "shop:app"),
    "--bind",
    "127.0.0.1:{port}",
)
LIMIT = 50.0
LATE = Traffic(clients=16, think=0.3, propagation=0.3, propagation_in=5.0)
SETTLE = {"LIFECYCLE_SETTLE": "6", "LIFECYCLE_QUIET": "0.2"}


class Flapping(Observed):
    """A pod that is ready by turns: for so many seconds, then not for as many, and so on."""

    name = "app-2"
    deletion = None
    output = ""
    ready = True

    def __init__(self, *turns: float) -> None:
        super().__init__()
        self.exit_codes: list[int] = []
        self._turns = turns

    def describe(self) -> str:
        return self.name

    async def flap(self) -> None:
        self._changed()
        for seconds in self._turns:
            await asyncio.sleep(seconds)
            self.ready = not self.ready
            self._changed()

    def ends(self) -> None:
        self.ready = False
        self.exit_codes.append(3)
        self._changed()


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
    result = results[0]
    late = [each for each in result.tally.losses if each.cause is Cause.NO_ENDPOINT]
    others = [each for each in result.tally.losses if each.cause is not Cause.NO_ENDPOINT]
    assert [each.detail for each in others if result.judge.counts(each)] == []
    groups = result.groups(late)
    assert groups
    assert all("noticed it only after" in each.advice.why for each in groups)
    assert all("minReadySeconds: 6 " in each.advice.change for each in groups)
    assert all("--min-ready 6" in each.advice.change for each in groups)


def test_min_ready_seconds_fix_late_additions(results: list[Result]):
    """An old replica is deleted only when its successor has been ready for that long: nothing is lost."""
    result = results[1]
    assert [each.detail for each in result.tally.losses if result.judge.counts(each)] == []
    assert result.tally.requests > 500
    rollout = result.rollouts[0]
    for old, new in zip(rollout.left, rollout.came, strict=True):
        assert old.deleted_at is not None
        assert new.ready_at is not None
        assert old.deleted_at - new.ready_at >= 6.0


def become_available(*turns: float, start_time: float, ends: bool = False) -> None:
    """Wait for half a second of readiness of a pod that flaps."""

    async def main() -> None:
        pod: Any = Flapping(*turns)
        plan = Plan(("true",), ready="/ready", start_time=start_time, min_ready=0.5)
        replica = Replica(pod)
        flapping = asyncio.create_task(pod.flap())
        await asyncio.sleep(0)
        if ends:
            asyncio.get_running_loop().call_later(0.1, pod.ends)
        try:
            async with asyncio.timeout(LIMIT):
                await _available(replica, Template(plan, ""))
        finally:
            flapping.cancel()
        assert replica.ready_since is not None
        assert time.monotonic() - replica.ready_since >= 0.5

    asyncio.run(main())


@pytest.mark.parametrize("turns", [(0.05,), (0.02,) * 1000], ids=["one break", "many breaks"])
def test_a_replica_that_is_ready_with_breaks_only_is_never_available(turns: tuple[float, ...]):
    """However it is when the time to start is over: it is said what it was waited for."""
    with pytest.raises(CannotRehearse, match=r"app-2 was never ready for --min-ready 0\.5 s"):
        become_available(*turns, start_time=0.2)


@pytest.mark.parametrize("turns", [(), (0.05, 0.05), (0.05,) * 6])
def test_each_break_starts_min_ready_seconds_again(turns: tuple[float, ...]):
    """A replica is available once it has been ready for so long since the last one."""
    become_available(*turns, start_time=LIMIT)


def test_a_replica_that_ends_is_never_available():
    """It is said with its exit code, at once."""
    with pytest.raises(CannotRehearse, match="app-2 ended before it was available: exit code 3"):
        become_available(start_time=LIMIT, ends=True)
