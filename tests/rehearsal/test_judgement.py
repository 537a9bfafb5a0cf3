"""When a result can be relied on: what noise explains, what it hides, and what no noise can make."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.rehearsal.measuring.losses import Cause, Loss
from lifecycle.rehearsal.measuring.noise import Noise
from lifecycle.rehearsal.measuring.stalls import BEAT, SHORTEST, Pulse, Stall
from lifecycle.rehearsal.measuring.tally import Tally
from lifecycle.rehearsal.plan import Traffic
from lifecycle.rehearsal.replicas.rollout import Rollout
from lifecycle.rehearsal.verdict.judge import Judge, Verdict

T0 = 100.0
EXITED = 105.0
PROPAGATION = 2.0


class Left:
    """A replica that was deleted at T0, and was gone five seconds later."""

    name = "app-1"
    ready_at = T0 - 20
    deleted_at = T0

    def moment(self, name: str) -> float | None:
        return EXITED if name == "exited" else None

    def serves_since(self, at: float) -> float | None:
        return self.ready_at if at < T0 else None


def lost(
    at: float,
    cause: Cause = Cause.RESET,
    took: float = 0.005,
    pod: str = "app-1",
    *,
    kept: bool = True,
) -> Loss:
    return Loss(at, at - took, kept, "http1", cause, "", "/", pod)


def judge(
    *losses: Loss,
    load: list[Stall] | None = None,
    own: list[Stall] | None = None,
    late: float = 0.001,
    own_errors: int = 0,
    hook_failed: bool = False,
    joining: float | None = None,
) -> Verdict:
    replica: Any = Left()
    tally = Tally(requests=1000, losses=list(losses), stalls=load or [])
    tally.lateness.add(late)
    if own_errors:
        tally.own_errors = Counter({"Too many open files": own_errors})
    rollout = Rollout(1, T0 - 5, EXITED + 1, [replica])
    traffic = Traffic(propagation=PROPAGATION, propagation_in=joining)
    judging = Judge(tally, {"app-1": replica}, own or [], traffic)
    return judging.verdict(losses, [rollout], hook_failed=hook_failed)


def stall(began: float, seconds: float) -> list[Stall]:
    return [Stall(T0 + began, T0 + began + seconds)]


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        ({}, "passed"),
        ({"load": stall(1.0, 0.4)}, "passed"),  # shorter than a quarter of the propagation
        ({"load": stall(1.0, 0.6)}, "inconclusive"),
        ({"own": stall(1.0, 0.6)}, "inconclusive"),
        ({"load": stall(-3.0, 2.0)}, "passed"),  # nobody left then
        ({"load": stall(7.0, 2.0)}, "passed"),  # nobody left any more
        ({"load": stall(7.0, 2.0), "joining": 8.0}, "inconclusive"),  # clients still had to hear
        ({"own": stall(-0.5, 1.0)}, "inconclusive"),  # it covers T0
        ({"load": [Stall(T0 + n, T0 + n + 0.2) for n in range(5)]}, "passed"),
        ({"load": [Stall(T0 + n / 4, T0 + n / 4 + 0.2) for n in range(20)]}, "inconclusive"),
        ({"load": [Stall(T0 + n / 20, T0 + n / 20 + 0.04) for n in range(100)]}, "passed"),
        ({"late": 0.2}, "inconclusive"),
        ({"own_errors": 1}, "inconclusive"),
        ({"hook_failed": True}, "hook failed"),
        ({"hook_failed": True, "load": stall(1.0, 0.6)}, "inconclusive"),
    ],
)
def test_nothing_was_lost(given: dict[str, Any], verdict: str):
    """It is so only where no noise can have hidden a loss."""
    assert judge(**given) == verdict


@pytest.mark.parametrize(
    ("loss", "given", "verdict"),
    [
        (lost(T0 + 3), {}, "lost"),
        (lost(T0 + 3), {"hook_failed": True}, "lost"),
        (lost(T0 + 3), {"load": stall(3.5, 1.0)}, "lost"),  # it came before the noise
        (lost(T0 + 3), {"load": stall(2.98, 0.03)}, "inconclusive"),  # under the request
        (lost(T0 + 3), {"load": stall(1.0, 0.02)}, "lost"),
        (lost(T0 + 3), {"own": stall(1.0, 0.3)}, "inconclusive"),
        (lost(T0 + 3), {"late": 0.2}, "inconclusive"),
        (lost(T0 + 3), {"own_errors": 5}, "lost"),  # what was not sent breaks nothing
        (lost(T0 + 1, Cause.REFUSED), {"load": stall(0.2, 0.7), "late": 0.5}, "lost"),
        (lost(T0 + 1, Cause.REFUSED), {"own": stall(-1, 1.9)}, "lost"),
        (lost(T0 + 2.5, Cause.REFUSED), {"own": stall(0.5, 1.0)}, "inconclusive"),
        (lost(T0 + 2.5, Cause.REFUSED), {}, "lost"),
        (lost(T0 + 1, Cause.QUEUE), {}, "lost"),
        (lost(T0 + 1, Cause.QUEUE, took=1.2), {"load": stall(-0.2, 1.1)}, "inconclusive"),
        (lost(T0 + 1.5, Cause.QUEUE, took=1.3, kept=False), {"load": stall(0.3, 0.08)}, "lost"),
        (lost(T0 + 1, kept=False), {"load": stall(0.3, 0.08)}, "lost"),  # who had not heard yet
        (lost(T0 + 3), {"load": stall(0.3, 0.08)}, "lost"),  # who keeps a connection need not hear
        (lost(T0 + 3, kept=False), {"load": stall(0.3, 0.08)}, "inconclusive"),  # who heard late
        (lost(T0 - 1, Cause.REFUSED), {"own": stall(-1.1, 0.3)}, "inconclusive"),
        (lost(T0 + 4, Cause.TIMEOUT, took=10), {"load": stall(-3, 0.1)}, "lost"),
        (lost(T0 + 4, Cause.TIMEOUT, took=10), {"load": stall(-5, 3)}, "inconclusive"),
        (lost(T0 + 4, Cause.NO_ENDPOINT, pod=""), {"own": stall(1, 1)}, "inconclusive"),
        (lost(T0 + 4, Cause.NO_ENDPOINT, pod=""), {}, "lost"),
    ],
)
def test_something_was_lost(loss: Loss, given: dict[str, Any], verdict: str):
    """It counts unless noise explains it; too early a close is nobody's noise."""
    assert judge(loss, **given) == verdict


def test_one_loss_beyond_doubt_is_enough():
    """However many others the noise explains."""
    doubtful = [lost(T0 + 1 + n / 100) for n in range(50)]
    certain = lost(T0 + 0.1)
    assert judge(*doubtful, load=stall(0.9, 1.0)) is Verdict.INCONCLUSIVE
    assert judge(*doubtful, certain, load=stall(0.9, 1.0)) is Verdict.LOST


def test_exit_codes():
    """Each verdict has its own."""
    codes = {each.value: each.exit_code for each in Verdict}
    assert codes == {"passed": 0, "lost": 1, "hook failed": 2, "inconclusive": 3}


@given(
    st.lists(st.tuples(st.floats(0, 10), st.floats(0, 3))),
    st.tuples(st.floats(0, 10), st.floats(0.1, 5)),
)
def test_stalls_of_several_processes_are_not_counted_twice(
    stalls: list[tuple[float, float]], span: tuple[float, float]
):
    """However they overlap, they are no longer than the span, and the longest no longer than all."""
    noise = Noise([Stall(began, began + seconds) for began, seconds in stalls], 2.0)
    began, ended = span[0], span[0] + span[1]
    together, on_end = noise.within(began, ended, 0.0)
    assert 0 <= on_end <= together + 1e-9
    assert together <= ended - began + 1e-9
    inside = [each for each in stalls if began <= each[0] and each[0] + each[1] <= ended]
    assert together >= max((seconds for _, seconds in inside), default=0.0) - 1e-9


def test_a_loop_that_stands_still_is_noticed():
    """A stall is noted from when the beat was due to when the loop came round, and once."""
    stalls: list[Stall] = []

    async def main() -> None:
        pulse = Pulse(stalls.append)
        beating = asyncio.create_task(pulse.beat())
        await asyncio.sleep(5 * BEAT)
        del stalls[:]

        began = time.monotonic()
        time.sleep(0.3)
        ended = time.monotonic()
        pulse.look()
        await asyncio.sleep(0)
        beating.cancel()
        own = [each for each in stalls if each.ended - each.began >= 0.25]
        assert len(own) == 1
        assert began - 0.01 <= own[0].began <= began + BEAT + 0.05
        assert own[0].ended >= ended

    asyncio.run(main())


@pytest.mark.parametrize(("late", "noted"), [(SHORTEST / 2, 0), (SHORTEST * 2, 1)])
def test_what_is_too_short_is_no_stall(late: float, noted: int):
    """Each machine is a little late."""
    now = SimpleNamespace(at=10.0)
    stalls: list[Stall] = []
    pulse = Pulse(stalls.append, clock=lambda: now.at)
    now.at += BEAT + late
    pulse.look()
    pulse.look()
    assert len(stalls) == noted
