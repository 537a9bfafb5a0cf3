"""The events between two moments of a rollout, a sentence each. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from lifecycle_fleet.rollout.lane import Lane
from lifecycle_fleet.rollout.outcome import faults
from lifecycle_fleet.rollout.pods import Phase
from lifecycle_fleet.rollout.result import Rollout


class Move(NamedTuple):
    """Something that has happened: when, in seconds since the epoch, what, and whether it is bad."""

    at: float
    text: str
    bad: bool = False


def moves(before: Rollout | None, after: Rollout) -> list[Move]:
    """
    Return what has happened since a moment.

    Args:
        before: The rollout before. None for the start.
        after: The rollout now.
    """
    known = {each.uid: each for each in before.lanes} if before else {}
    changed = [each for each in after.lanes if known.get(each.uid) is not each]
    found = [move for each in changed for move in _lane(known.get(each.uid), each, after)]
    notes = after.notes[len(before.notes) if before else 0 :]
    found += [Move(each.at, each.text, bad=not each.ours) for each in notes]
    return sorted(found, key=lambda each: each.at)


def _lane(before: Lane | None, lane: Lane, rollout: Rollout) -> Iterator[Move]:
    kind = "new" if rollout.is_new(lane) else "old"
    done = len(before.spans) if before else 0
    if before is None and lane.initial:
        done = len(lane.spans)
        yield Move(rollout.began, f"{lane.name} ({kind}): {lane.phase}")
    for number, span in enumerate(lane.spans[done:], done):
        text = f"{lane.name} ({kind}): {span.phase}{_about(lane, number)}"
        yield Move(span.begin, text)
    if lane.problem and (before is None or before.problem != lane.problem):
        yield Move(rollout.at, f"{lane.name}: {lane.problem}", bad=True)
    if lane.restarts and (before is None or before.restarts < lane.restarts):
        times = "once" if lane.restarts == 1 else f"{lane.restarts} times"
        yield Move(rollout.at, f"{lane.name}: restarted {times}", bad=True)
    old = {each.text for each in faults(before)} if before else set()
    for fault in faults(lane):
        if fault.text not in old and not lane.overdue:
            yield Move(rollout.at, fault.text, bad=True)


def _about(lane: Lane, number: int) -> str:
    span = lane.spans[number]
    if span.phase is Phase.READY and number == _first(lane, Phase.READY):
        return f" after {span.begin - lane.spans[0].begin:.1f} s"
    if span.phase is Phase.GONE:
        took = f" after {lane.drained_in:.1f} s" if lane.drained_in is not None else ""
        return f"{took} (exit code {codes(lane)})" if lane.last else took
    return ""


def _first(lane: Lane, phase: Phase) -> int:
    return next(number for number, each in enumerate(lane.spans) if each.phase is phase)


def codes(lane: Lane) -> str:
    """Return the last exit code of each container of a pod, or empty if none was seen."""
    return ", ".join(str(each.code) if each.known else "unknown" for each in lane.last)
