"""A rollout as a value, at one moment. It feeds the display, the text, the JSON and the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, NamedTuple, Self

from lifecycle_fleet.rollout.lane import Lane
from lifecycle_fleet.rollout.outcome import Fault, Outcome, faults
from lifecycle_fleet.rollout.pods import Phase


class Verdict(StrEnum):
    """How a rollout goes, or how it ended."""

    NONE = "none"
    """No rollout is running."""
    ROLLING = "rolling"
    STUCK = "stuck"
    """A pod does not start, or the Deployment is paused."""
    DONE = "done"
    FAILED = "failed"
    UNDONE = "undone"
    TIMED_OUT = "timed out"

    @property
    def final(self) -> bool:
        """Whether the controller has finished: for good, or by giving up."""
        return self in (Verdict.DONE, Verdict.FAILED)


HEADLINES: Final = {
    Verdict.NONE: "no rollout is running",
    Verdict.ROLLING: "the rollout{to} is still running after {seconds}",
    Verdict.STUCK: "the rollout{to} is stuck after {seconds}",
    Verdict.DONE: "rolled out{to} in {seconds}",
    Verdict.FAILED: "the rollout{to} failed after {seconds}",
    Verdict.UNDONE: "the rollout{to} was undone after {seconds}",
    Verdict.TIMED_OUT: "not rolled out{to} after {seconds}",
}


class Note(NamedTuple):
    """
    A change of the Deployment.

    Attributes:
        at: When, in seconds since the epoch.
        text: What, in a sentence.
        ours: Whether this command did it.
    """

    at: float
    text: str
    ours: bool


class Progress(NamedTuple):
    """
    The numbers of a rollout.

    Attributes:
        desired: The pods that the Deployment shall have.
        updated: The pods of the current template.
        ready: The ready pods, old and new ones.
        available: The available pods, as the controller counts them.
        old: The other pods that are not gone.
        fewest_ready: The fewest ready pods at any moment since the start.
    """

    desired: int
    updated: int
    ready: int
    available: int
    old: int
    fewest_ready: int


class Scale(NamedTuple):
    """
    The replicas in the specs of the ReplicaSets, and their limits.

    Attributes:
        new: Those of the new one.
        old: Those of all others.
        available: The new pods that are available.
        desired: The replicas of the Deployment.
        surge: The pods more than desired that may exist.
        unavailable: The pods fewer than desired that may be available.
    """

    new: int
    old: int
    available: int
    desired: int
    surge: int
    unavailable: int

    @property
    def settled(self) -> bool:
        """
        Whether the controller has nothing to do before another new pod is available.

        The surge does not allow another new pod, and the pods that must be available do not allow it
        to delete an old one.
        """
        grown = self.new >= self.desired or self.new + self.old >= self.desired + self.surge
        return grown and self.old + self.available <= self.desired - self.unavailable


@dataclass(frozen=True)
class Rollout:
    """
    A rollout.

    Attributes:
        namespace: The namespace of the Deployment.
        name: Its name.
        began: When the rollout, or the watch of it, started, in seconds since the epoch.
        at: The moment of this value, in seconds since the epoch.
        verdict: How it goes, or how it ended.
        reasons: Why, in words.
        lanes: Its pods, old and new, by the time they were created.
        new_hash: The hash of the new template, or empty as long as there is no ReplicaSet for it. After
            an undo, it is that of the template that was undone.
        goal_hash: The hash of the template that the Deployment has now.
        revisions: The revision of each template, by its hash.
        progress: Its numbers.
        scale: The replicas of the ReplicaSets.
        paused: Whether the Deployment is paused.
        changes: How often another person or tool has changed the template since the start.
        missing: The work that the controller has yet to do, in words.
        notes: The changes of the Deployment.
        gate: The state of the gate, in a sentence. Empty without one.
    """

    namespace: str
    name: str
    began: float
    at: float
    verdict: Verdict
    reasons: tuple[str, ...]
    lanes: tuple[Lane, ...]
    new_hash: str
    goal_hash: str
    revisions: Mapping[str, int]
    progress: Progress
    scale: Scale
    paused: bool
    changes: int
    missing: tuple[str, ...]
    notes: tuple[Note, ...]
    gate: str = ""

    @property
    def seconds(self) -> float:
        """The seconds since its start."""
        return self.at - self.began

    @property
    def target(self) -> str:
        """The Deployment, as commands take it."""
        return f"deploy/{self.name}"

    @property
    def revision(self) -> int:
        """The new revision, or 0 as long as it has no number."""
        return self.revisions.get(self.new_hash, 0)

    def is_new(self, lane: Lane) -> bool:
        """Tell whether a pod has the new template."""
        return bool(self.new_hash) and lane.hash == self.new_hash

    @property
    def new(self) -> tuple[Lane, ...]:
        """The new pods."""
        return tuple(each for each in self.lanes if self.is_new(each))

    @property
    def old(self) -> tuple[Lane, ...]:
        """The other pods."""
        return tuple(each for each in self.lanes if not self.is_new(each))

    def is_goal(self, lane: Lane) -> bool:
        """Tell whether a pod has the template that the Deployment has now."""
        return bool(self.goal_hash) and lane.hash == self.goal_hash

    def faults(self) -> list[Fault]:
        """Return what went wrong with pods, except those that were overdue before the watch."""
        return [fault for lane in self.lanes if not lane.overdue for fault in faults(lane)]

    @property
    def clean(self) -> bool:
        """Whether no pod was killed, cut off, had a failed hook, or exited in an unknown way."""
        return not any(each.kind.bad for each in self.faults())

    @property
    def passed(self) -> bool:
        """Whether it is done, and clean."""
        return self.verdict in (Verdict.DONE, Verdict.NONE) and self.clean

    def ended(self, verdict: Verdict, *reasons: str, gate: str = "") -> Self:
        """Return it with another result."""
        return replace(self, verdict=verdict, reasons=reasons, gate=gate or self.gate)

    def until(self, at: float) -> Self:
        """Return it as it was at an earlier moment, without the wait for late Events."""
        return replace(self, at=max(at, self.began))

    def headline(self) -> str:
        """Return the result in one sentence."""
        return f"{self.target}: {self._verdict()}{self._pods()}"

    def _verdict(self) -> str:
        to = f" to revision {self.revision}" if self.revision else ""
        return HEADLINES[self.verdict].format(to=to, seconds=f"{self.seconds:.1f} s")

    def _pods(self) -> str:
        if self.verdict is Verdict.NONE:
            return ""
        kinds = [each.kind for each in self.faults()]
        if not kinds:
            return ", and every pod left cleanly" if self.verdict is Verdict.DONE else ""
        counted = ", ".join(
            f"{kinds.count(kind)} {'unknown exit' if kind is Outcome.UNKNOWN else kind}"
            for kind in Outcome
            if kind in kinds
        )
        return f", but not cleanly ({counted})"


def order(lane: Lane) -> tuple[float, str]:
    """Return the place of a pod among the others: by its creation, then by its name."""
    return lane.spans[0].begin, lane.name


def counts(lane: Lane) -> bool:
    """Tell whether a rollout waits for a pod to leave."""
    return not lane.is_gone and not lane.overdue


def alive(lane: Lane) -> bool:
    """Tell whether a pod neither drains nor is gone."""
    return lane.phase not in (Phase.DRAINING, Phase.GONE)
