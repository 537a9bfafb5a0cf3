"""
The gate: a rollout goes on only after the first new pod and the first old pod have done well.

    BEFORE ──the first step is done──▶ HOLDING ──both have done well──▶ OPEN
                                        │  ▲
           the new pod has, and no old  ▼  │ an old pod leaves
           pod leaves                  STEPPING
    each of these ──a pod fails, or it takes too long──▶ UNDONE
                  ──somebody else changes the Deployment──▶ LOST

Rules of this file:

1. The Deployment is paused only once the step is complete (`Scale.settled`). Otherwise the controller
   fills the paused Deployment up in proportion, and creates old pods again.
2. While it is paused, the controller deletes no old pod. So the gate resumes it for one step, and
   pauses it again as soon as an old pod drains.
3. An old pod counts as clean only `SETTLE` seconds after it is gone, because Events may be late.
4. The controller deletes the old pods first that are not ready, for example those of a revision that
   is stuck. They prove nothing, so an old pod that was ready has to leave, if there is one.
5. The gate gives each order once: what is to be done follows from the step alone.

Pure: the time is an argument.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum, StrEnum
from typing import Final, NamedTuple, Self

from lifecycle_fleet.rollout.lane import Lane
from lifecycle_fleet.rollout.outcome import Outcome, crashes, faults, of_drain, outcome
from lifecycle_fleet.rollout.pods import Phase
from lifecycle_fleet.rollout.result import Rollout, Verdict, counts

SETTLE: Final = 2.0
"""Seconds in which the Events about a pod that is gone may still arrive."""
SETTLED_WITHIN: Final = 1.0
"""Seconds after which the gate no longer waits for `Scale.settled`."""


class Step(StrEnum):
    """A step of the gate."""

    BEFORE = "before"
    HOLDING = "holding"
    STEPPING = "stepping"
    OPEN = "open"
    UNDONE = "undone"
    LOST = "lost"


TEXTS: Final = {
    Step.BEFORE: "The gate waits for the first new pod.",
    Step.STEPPING: "The gate waits until an old pod drains.",
    Step.OPEN: "The gate is open.",
    Step.UNDONE: "The gate has undone the rollout: {why}.",
    Step.LOST: "The gate gave up: {why}.",
}


class Order(Enum):
    """What to do with the Deployment."""

    PAUSE = "pause"
    RESUME = "resume"
    UNDO = "undo"


class Decision(NamedTuple):
    """
    A decision of the gate.

    Attributes:
        gate: The gate after it.
        order: What to do with the Deployment, or None.
        wake: When to ask again although nothing has changed, in seconds since the epoch, or None.
    """

    gate: Gate
    order: Order | None = None
    wake: float | None = None


@dataclass(frozen=True)
class Gate:
    """
    The gate of one rollout.

    Args:
        seconds: The seconds that the first new pod must have been ready for.
        deadline: When the gate gives up, in seconds since the epoch.
        step: The step.
        holding: Whether the gate has paused the Deployment.
        why: Why it was undone or lost.
        changes: `Rollout.changes` at the start.
        since: When the step started.
    """

    seconds: float
    deadline: float
    step: Step = Step.BEFORE
    holding: bool = False
    why: tuple[str, ...] = ()
    changes: int = 0
    since: float = 0.0

    @property
    def closed(self) -> bool:
        """Whether the rollout still depends on the gate."""
        return self.step in (Step.BEFORE, Step.HOLDING, Step.STEPPING)

    def decide(self, rollout: Rollout) -> Decision:
        """Return what to do at the moment of a rollout."""
        if not self.closed:
            return Decision(self)
        if lost := self._lost(rollout):
            gate = self._next(Step.LOST, rollout, lost)
            return Decision(gate, Order.RESUME if self.holding and rollout.paused else None)
        if bad := list(self._bad(rollout)):
            return Decision(self._next(Step.UNDONE, rollout, *bad), Order.UNDO)
        match self.step:
            case Step.BEFORE:
                return self._before(rollout)
            case Step.STEPPING:
                return self._stepping(rollout)
        return self._holding(rollout)

    def interrupted(self) -> Self:
        """Return the gate after an interrupt of the command, which has undone the rollout."""
        return replace(self, step=Step.UNDONE, why=("this command was interrupted",))

    def lost(self, why: str) -> Self:
        """Return the gate once there is nothing to undo any more."""
        return replace(self, step=Step.LOST, why=(why,))

    # The steps

    def _before(self, rollout: Rollout) -> Decision:
        trial = first_new(rollout)
        if trial is None:
            return Decision(self, wake=self.deadline)
        patience = trial.spans[0].begin + SETTLED_WITHIN
        if not rollout.scale.settled and rollout.at < patience:
            return Decision(self, wake=min(patience, self.deadline))
        return self._held(rollout)

    def _held(self, rollout: Rollout) -> Decision:
        """Pause, if the controller could still delete an old pod."""
        holds = rollout.scale.old > 0
        gate = replace(self._next(Step.HOLDING, rollout), holding=holds)
        return Decision(gate, Order.PAUSE) if holds else gate.decide(rollout)

    def _holding(self, rollout: Rollout) -> Decision:
        trial = first_new(rollout)
        if trial is None or trial.phase is not Phase.READY:
            return Decision(self, wake=self.deadline)
        if rollout.at < (steady := trial.since + self.seconds):
            return Decision(self, wake=min(steady, self.deadline))
        old = [each for each in witnesses(rollout) if each.leaves]
        left = [each.since + SETTLE for each in old if outcome(of_drain(each)) is Outcome.CLEAN]
        if not old and self.holding:
            return Decision(
                replace(self._next(Step.STEPPING, rollout), holding=False), Order.RESUME
            )
        if not left or rollout.at < min(left):
            return Decision(self, wake=min([*left, self.deadline]))
        gate = replace(self._next(Step.OPEN, rollout), holding=False)
        return Decision(gate, Order.RESUME if self.holding else None)

    def _stepping(self, rollout: Rollout) -> Decision:
        leaving = [each.since for each in witnesses(rollout) if each.leaves]
        if not leaving:
            return Decision(self, wake=self.deadline)
        patience = min(leaving) + SETTLED_WITHIN
        if rollout.scale.settled or rollout.at >= patience:
            return self._held(rollout)
        return Decision(self, wake=min(patience, self.deadline))

    # What ends it

    def _lost(self, rollout: Rollout) -> str:
        if rollout.changes != self.changes:
            return "another person or tool changed the template, so the gate no longer holds"
        if self.holding and not rollout.paused:
            return "another person or tool resumed the Deployment, so the gate no longer holds"
        return ""

    def _bad(self, rollout: Rollout) -> Iterator[str]:
        if rollout.verdict is Verdict.FAILED:
            yield from rollout.reasons
        for lane in rollout.lanes:
            if rollout.is_new(lane):
                yield from (each.text for each in faults(lane) if each.kind.bad)
            elif lane.leaves and not lane.overdue:
                yield from (each.text for each in faults(of_drain(lane)) if each.kind.bad)
        for lane in rollout.new:
            if lane.problem and not lane.problem.startswith("cannot be scheduled"):
                yield f"{lane.name}: {lane.problem}"
            elif ends := crashes(lane):
                yield f"{lane.name}: container {ends[-1].container} exited with {ends[-1].code}"
        if rollout.at >= self.deadline:
            yield self._late(rollout)

    def _late(self, rollout: Rollout) -> str:
        trial = first_new(rollout)
        if trial is None:
            return "there is no new pod"
        if trial.phase is not Phase.READY:
            return f"{trial.name} is {trial.phase}, and not ready"
        if rollout.at < trial.since + self.seconds:
            return f"{trial.name} has been ready for {rollout.at - trial.since:.0f} s only"
        return "no old pod has left yet"

    def _next(self, step: Step, rollout: Rollout, *why: str) -> Self:
        return replace(self, step=step, why=why, since=rollout.at)

    def text(self, rollout: Rollout) -> str:
        """Return what the gate waits for, or how it ended, in one sentence."""
        if self.step is Step.HOLDING:
            return self._waits(rollout)
        return TEXTS[self.step].format(why="; ".join(self.why))

    def _waits(self, rollout: Rollout) -> str:
        trial = first_new(rollout)
        if trial is None or trial.phase is not Phase.READY:
            return f"The gate holds until {trial.name if trial else 'a new pod'} is ready."
        if rollout.at < trial.since + self.seconds:
            return f"The gate holds until {trial.name} has been ready for {self.seconds:g} s."
        return "The gate holds until an old pod has left cleanly."


def first_new(rollout: Rollout) -> Lane | None:
    """Return the first new pod that does not leave."""
    return next((each for each in rollout.new if counts(each) and not each.deleted), None)


def witnesses(rollout: Rollout) -> list[Lane]:
    """Return the old pods that can show how pods leave: those that were ready, or else all."""
    old = [each for each in rollout.old if not each.overdue]
    return [each for each in old if each.first(Phase.READY) is not None] or old
