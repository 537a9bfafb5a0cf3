"""The gate as a state machine: the time is an argument."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lifecycle_fleet.rollout.gate import SETTLE, Decision, Gate, Order, Step
from lifecycle_fleet.rollout.lane import Lane, Span
from lifecycle_fleet.rollout.outcome import Outcome, of_drain, outcome
from lifecycle_fleet.rollout.pods import End, Phase
from lifecycle_fleet.rollout.result import Progress, Rollout, Scale, Verdict

SLOW: Any = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
"""The machine may be busy."""
SECONDS = 10.0
DEADLINE = 100.0
STARTED = Scale(new=1, old=3, available=0, desired=3, surge=1, unavailable=0)
GROWING = STARTED._replace(old=2)
READY = [(Phase.CREATED, 0.0), (Phase.READY, 5.0)]
OLD = [(Phase.READY, -50.0)]
LEFT = [*OLD, (Phase.DRAINING, 12.0), (Phase.GONE, 20.0)]


def lane(name: str, phases: list[tuple[Phase, float]], *, new: bool = True, **more: Any) -> Lane:
    """Return a pod with its phases, each with its beginning."""
    ends = [*(at for _, at in phases[1:]), None]
    spans = tuple(Span(phase, at, end) for (phase, at), end in zip(phases, ends, strict=True))
    given: dict[str, Any] = {"initial": not new, "complete": True}
    return Lane(name, name, "rs", "new" if new else "old", spans=spans, **(given | more))


def rollout(at: float, *lanes: Lane, **more: Any) -> Rollout:
    """Return a rollout at a moment."""
    given: dict[str, Any] = {
        "namespace": "shop",
        "name": "orders",
        "began": 0.0,
        "at": at,
        "verdict": Verdict.ROLLING,
        "reasons": (),
        "lanes": lanes,
        "new_hash": "new",
        "goal_hash": "new",
        "revisions": {"old": 1, "new": 2},
        "progress": Progress(3, 1, 4, 4, 3, 3),
        "scale": STARTED,
        "paused": False,
        "changes": 0,
        "missing": (),
        "notes": (),
    }
    return Rollout(**(given | more))


def gate(step: Step = Step.BEFORE, **more: Any) -> Gate:
    holds = step is Step.HOLDING
    return replace(Gate(SECONDS, DEADLINE), step=step, **({"holding": holds} | more))


def end(code: int, at: float = 20.0) -> tuple[End, ...]:
    return (End("app", code, 0, "Error", at),)


FRESH = [(Phase.CREATED, 1.0)]
STUCK = [(Phase.CREATED, -90.0), (Phase.STARTING, -80.0)]
"""An old pod that was never ready."""
BURIED = [*STUCK, (Phase.DRAINING, 12.0), (Phase.GONE, 12.5)]

CASES: dict[str, tuple[Gate, Rollout, Step, Order | None]] = {
    "no new pod yet": (gate(), rollout(1, lane("o", OLD, new=False)), Step.BEFORE, None),
    "the step is not over": (
        gate(),
        rollout(1.5, lane("n", FRESH), scale=GROWING),
        Step.BEFORE,
        None,
    ),
    "the step is over": (gate(), rollout(1.5, lane("n", FRESH)), Step.HOLDING, Order.PAUSE),
    "a second is over": (
        gate(),
        rollout(2.1, lane("n", FRESH), scale=GROWING),
        Step.HOLDING,
        Order.PAUSE,
    ),
    "nothing is left to hold": (
        gate(),
        rollout(1.5, lane("n", FRESH), scale=STARTED._replace(old=0, desired=1)),
        Step.HOLDING,
        None,
    ),
    "not ready yet": (
        gate(Step.HOLDING),
        rollout(30, lane("n", FRESH), paused=True),
        Step.HOLDING,
        None,
    ),
    "not ready for long": (
        gate(Step.HOLDING),
        rollout(14.9, lane("n", READY), paused=True),
        Step.HOLDING,
        None,
    ),
    "ready, and no old pod leaves": (
        gate(Step.HOLDING),
        rollout(15, lane("n", READY), lane("o", OLD, new=False), paused=True),
        Step.STEPPING,
        Order.RESUME,
    ),
    "ready, and an old pod drains": (
        gate(Step.HOLDING),
        rollout(15, lane("n", READY), lane("o", LEFT[:2], new=False), paused=True),
        Step.HOLDING,
        None,
    ),
    "ready, and an old pod has just left": (
        gate(Step.HOLDING),
        rollout(20 + SETTLE - 0.1, lane("n", READY), lane("o", LEFT, new=False), paused=True),
        Step.HOLDING,
        None,
    ),
    "ready, and an old pod has left": (
        gate(Step.HOLDING),
        rollout(20 + SETTLE, lane("n", READY), lane("o", LEFT, new=False), paused=True),
        Step.OPEN,
        Order.RESUME,
    ),
    "an old pod that was never ready leaves, and one that was ready stays": (
        gate(Step.HOLDING),
        rollout(
            20,
            lane("n", READY),
            lane("s", BURIED, new=False),
            lane("o", OLD, new=False),
            paused=True,
        ),
        Step.STEPPING,
        Order.RESUME,
    ),
    "an old pod that was never ready leaves in a step": (
        gate(Step.STEPPING),
        rollout(16, lane("n", READY), lane("s", BURIED, new=False), lane("o", OLD, new=False)),
        Step.STEPPING,
        None,
    ),
    "no old pod was ever ready": (
        gate(Step.HOLDING),
        rollout(20, lane("n", READY), lane("s", BURIED, new=False), paused=True),
        Step.OPEN,
        Order.RESUME,
    ),
    "an old pod was killed for its memory before it drained": (
        gate(Step.HOLDING),
        rollout(
            20 + SETTLE,
            lane("n", READY),
            lane("o", LEFT, new=False, ends=(*end(137, 8.0), *end(0))),
            paused=True,
        ),
        Step.OPEN,
        Order.RESUME,
    ),
    "open without a hold": (
        gate(Step.HOLDING, holding=False),
        rollout(30, lane("n", READY), lane("o", LEFT, new=False)),
        Step.OPEN,
        None,
    ),
    "no old pod drains yet": (
        gate(Step.STEPPING),
        rollout(16, lane("n", READY), lane("o", OLD, new=False)),
        Step.STEPPING,
        None,
    ),
    "an old pod drains": (
        gate(Step.STEPPING),
        rollout(16, lane("n", READY), lane("o", LEFT[:2], new=False)),
        Step.HOLDING,
        Order.PAUSE,
    ),
    "an old pod drains, and a new one comes": (
        gate(Step.STEPPING),
        rollout(12.5, lane("n", READY), lane("o", LEFT[:2], new=False), scale=GROWING),
        Step.STEPPING,
        None,
    ),
    "an old pod was killed": (
        gate(Step.HOLDING),
        rollout(21, lane("n", READY), lane("o", LEFT, new=False, ends=end(137)), paused=True),
        Step.UNDONE,
        Order.UNDO,
    ),
    "an old pod was cut off": (
        gate(Step.STEPPING),
        rollout(21, lane("n", READY), lane("o", LEFT, new=False, ends=end(124))),
        Step.UNDONE,
        Order.UNDO,
    ),
    "a hook of an old pod failed": (
        gate(Step.HOLDING),
        rollout(21, lane("n", READY), lane("o", LEFT, new=False, hooks=("no",)), paused=True),
        Step.UNDONE,
        Order.UNDO,
    ),
    "how an old pod left is not known": (
        gate(Step.HOLDING),
        rollout(21, lane("n", READY), lane("o", LEFT, new=False, complete=False), paused=True),
        Step.UNDONE,
        Order.UNDO,
    ),
    "an old pod that stays was killed for its memory": (
        gate(Step.HOLDING),
        rollout(8, lane("n", READY), lane("o", OLD, new=False, ends=end(137)), paused=True),
        Step.HOLDING,
        None,
    ),
    "the new pod does not start": (
        gate(Step.HOLDING),
        rollout(8, lane("n", FRESH, problem="CrashLoopBackOff"), paused=True),
        Step.UNDONE,
        Order.UNDO,
    ),
    "the new pod has no node yet": (
        gate(Step.HOLDING),
        rollout(8, lane("n", FRESH, problem="cannot be scheduled: no node"), paused=True),
        Step.HOLDING,
        None,
    ),
    "the new pod has exited": (
        gate(Step.HOLDING),
        rollout(8, lane("n", READY, ends=end(1)), paused=True),
        Step.UNDONE,
        Order.UNDO,
    ),
    "the time is over": (
        gate(Step.HOLDING),
        rollout(DEADLINE, lane("n", FRESH), paused=True),
        Step.UNDONE,
        Order.UNDO,
    ),
    "the controller gives up": (
        gate(),
        rollout(8, verdict=Verdict.FAILED, reasons=("late",)),
        Step.UNDONE,
        Order.UNDO,
    ),
    "somebody else resumed": (
        gate(Step.HOLDING),
        rollout(8, lane("n", READY)),
        Step.LOST,
        None,
    ),
    "somebody else applied": (
        gate(Step.HOLDING),
        rollout(8, lane("n", READY), paused=True, changes=1),
        Step.LOST,
        Order.RESUME,
    ),
    "somebody else applied, without a hold": (
        gate(Step.STEPPING),
        rollout(8, lane("n", READY), changes=1),
        Step.LOST,
        None,
    ),
    "open": (gate(Step.OPEN), rollout(DEADLINE, lane("n", FRESH)), Step.OPEN, None),
    "undone": (gate(Step.UNDONE), rollout(DEADLINE, lane("n", FRESH)), Step.UNDONE, None),
}


@pytest.mark.parametrize(("before", "now", "step", "order"), CASES.values(), ids=CASES)
def test_each_case_has_its_step(
    before: Gate, now: Rollout, step: Step, order: Order | None
) -> None:
    """The next step, and what to do."""
    decision = before.decide(now)

    assert (decision.gate.step, decision.order) == (step, order)
    assert decision.gate.text(now)
    if decision.order is None and decision.gate.closed:
        assert decision.wake is not None
        assert now.at < decision.wake <= DEADLINE


@st.composite
def worlds(draw: st.DrawFn) -> Rollout:
    """Return any rollout."""
    at = draw(st.floats(0, 120))
    moment = st.floats(0, at)
    lanes = []
    for number in range(draw(st.integers(0, 4))):
        is_new = draw(st.booleans())
        begins = sorted(draw(st.lists(moment, min_size=1, max_size=4)))
        phases = draw(
            st.lists(st.sampled_from([*Phase]), min_size=len(begins), max_size=len(begins))
        )
        more: dict[str, Any] = {}
        if draw(st.integers(0, 5)) == 0:
            more["ends"] = end(draw(st.sampled_from([0, 1, 124, 137, 143])), draw(moment))
        if draw(st.integers(0, 9)) == 0:
            more["complete"] = False
        lanes.append(lane(f"p{number}", [*zip(phases, begins, strict=True)], new=is_new, **more))
    return rollout(
        at,
        *lanes,
        paused=draw(st.booleans()),
        scale=STARTED._replace(new=draw(st.integers(0, 3)), old=draw(st.integers(0, 3))),
    )


@settings(max_examples=300, **SLOW)
@given(steps=st.lists(worlds(), min_size=1, max_size=8))
def test_the_gate_opens_only_for_two_pods_that_did_well(steps: list[Rollout]) -> None:
    """Whatever comes, in time and out of it."""
    found, paused = gate(), False
    for step in sorted(steps, key=lambda each: each.at):
        now = replace(step, paused=paused)
        before = found
        decision: Decision = before.decide(now)
        found = decision.gate
        if decision.order is Order.PAUSE:
            assert not paused
            paused = True
        elif decision.order is not None:
            paused = False
        if before.closed and found.step is Step.OPEN:
            assert any(
                each.phase is Phase.READY and now.at - each.since >= SECONDS for each in now.new
            )
            assert any(outcome(of_drain(each)) is Outcome.CLEAN for each in now.old)
            assert not any(outcome(of_drain(each)).bad for each in now.old if each.leaves)
            assert now.at < DEADLINE
        if not found.closed:
            assert not paused
        assert found.holding == paused or not found.closed
    if steps and max(each.at for each in steps) >= DEADLINE:
        assert not found.closed


SETTLED = {
    "one by one": ((3, 1, 0), [(1, 3, 0, True), (1, 2, 1, False), (2, 2, 1, True)]),
    "the defaults": (
        (8, 2, 2),
        [(2, 8, 0, False), (2, 6, 0, False), (4, 6, 0, True), (4, 4, 2, False), (6, 4, 2, True)],
    ),
    "no surge": ((4, 0, 1), [(0, 3, 0, False), (1, 3, 0, True), (1, 2, 1, False), (2, 2, 1, True)]),
    "one pod": ((1, 1, 0), [(1, 1, 0, True), (1, 1, 1, False), (1, 0, 1, True)]),
}


@pytest.mark.parametrize(("limits", "steps"), SETTLED.values(), ids=SETTLED)
def test_a_step_is_complete_when_the_controller_waits_for_a_pod(
    limits: tuple[int, int, int], steps: list[tuple[int, int, int, bool]]
) -> None:
    """Paused before, a Deployment gets new pods of the old version."""
    desired, surge, unavailable = limits
    for new, old, available, settled in steps:
        scale = Scale(new, old, available, desired, surge, unavailable)
        assert scale.settled is settled, scale


def test_an_interrupt_undoes() -> None:
    """The gate is not closed after it, so that nothing is undone twice."""
    found = gate(Step.HOLDING).interrupted()

    assert not found.closed
    assert found.text(rollout(9)) == (
        "The gate has undone the rollout: this command was interrupted."
    )
