"""How a pod left, and whether it left cleanly. Pure."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

from lifecycle_fleet.rollout.lane import SLACK, Lane
from lifecycle_fleet.rollout.pods import OUT_OF_MEMORY, End, Phase


class Outcome(StrEnum):
    """How a pod left, the worst first."""

    KILLED = "killed"
    CUT_OFF = "cut off"
    HOOK_FAILED = "hook failed"
    FAILED = "failed"
    UNKNOWN = "unknown"
    CLEAN = "clean"
    NONE = ""
    """The pod is still there, and nothing has happened to it."""

    @property
    def bad(self) -> bool:
        """Whether a rollout with such a pod does not count as clean."""
        return self not in (Outcome.CLEAN, Outcome.NONE)


class Fault(NamedTuple):
    """One thing that went wrong with a pod: its kind, and a sentence."""

    kind: Outcome
    text: str


_KNOWN: Final[MutableMapping[Lane, Sequence[Fault]]] = WeakKeyDictionary()


def faults(lane: Lane) -> Sequence[Fault]:
    """Return what went wrong with a pod, the worst first. A lane does not change, so it is kept."""
    if (known := _KNOWN.get(lane)) is None:
        known = _KNOWN[lane] = _faults(lane)
    return known


def _faults(lane: Lane) -> Sequence[Fault]:
    if not (lane.is_gone or lane.ends or lane.hooks or lane.cut):
        return ()
    found = [*_kills(lane), *_cuts(lane)]
    found += [Fault(Outcome.HOOK_FAILED, f"{lane.name}: {each}") for each in lane.hooks]
    found += _failures(lane)
    return [*{each.text: each for each in found}.values()]


def outcome(lane: Lane) -> Outcome:
    """Return how a pod left."""
    if found := faults(lane):
        order = [*Outcome]
        return min((each.kind for each in found), key=order.index)
    return Outcome.CLEAN if lane.is_gone else Outcome.NONE


def crashes(lane: Lane) -> list[End]:
    """Return the ends of containers of a pod that did not drain at that time."""
    drains = lane.first(Phase.DRAINING)
    return [
        each
        for each in lane.ended
        if not lane.leaves or (drains is not None and each.at + 1.0 < drains)
    ]


def of_drain(lane: Lane) -> Lane:
    """Return the lane of an old pod without the ends before its drain. They are not of the rollout."""
    before = crashes(lane)
    return replace(lane, before=lane.before | {*before}) if before else lane


def _kills(lane: Lane) -> Iterator[Fault]:
    for each in lane.ended:
        if not each.killed:
            continue
        if each.reason == OUT_OF_MEMORY:
            text = f"container {each.container} was killed, because it was out of memory"
        elif lane.grace and _at_the_end(lane, each):
            text = (
                f"container {each.container} was killed at the end of its grace period of "
                f"{lane.grace:g} s"
            )
        else:
            text = f"container {each.container} was killed"
        yield Fault(Outcome.KILLED, f"{lane.name}: {text} (exit code {each.code})")
    took = lane.drained_in
    if took is not None and lane.grace and not lane.complete and took > lane.grace + SLACK:
        yield Fault(
            Outcome.KILLED,
            f"{lane.name}: the pod was gone only after {took:.1f} s. Its grace period of "
            f"{lane.grace:g} s was over, so it was killed",
        )


def _at_the_end(lane: Lane, end: End) -> bool:
    """Tell whether a container ended when the grace period was over."""
    drains = lane.first(Phase.DRAINING)
    return drains is not None and end.at + SLACK >= drains + (lane.grace or 0.0)


def _cuts(lane: Lane) -> Iterator[Fault]:
    if lane.cut:
        yield Fault(Outcome.CUT_OFF, f"{lane.name}: work was cut off: {lane.cut}")
        return
    for each in lane.ended:
        if each.cut_off:
            text = f"container {each.container} cut work off at the end of its drain"
            yield Fault(Outcome.CUT_OFF, f"{lane.name}: {text} (exit code {each.code})")


def _failures(lane: Lane) -> Iterator[Fault]:
    if not lane.is_gone:
        return
    unrequested = crashes(lane)
    for each in lane.last:
        if each in unrequested or each.orderly or each.killed or each.cut_off:
            continue
        if each.known:
            text = f"container {each.container} exited with {each.code}"
            yield Fault(Outcome.FAILED, f"{lane.name}: {text} ({each.reason or 'no reason'})")
    overran = any(each.kind is Outcome.KILLED for each in _kills(lane))
    if not overran and not lane.complete:
        yield Fault(
            Outcome.UNKNOWN,
            f"{lane.name}: how its containers exited was not seen",
        )
    elif not overran and _vague(lane):
        yield Fault(
            Outcome.UNKNOWN,
            f"{lane.name}: the kubelet has no exit code of its containers",
        )


def _vague(lane: Lane) -> bool:
    ran = lane.first(Phase.STARTING) is not None or lane.first(Phase.READY) is not None
    return ran and any(not each.known for each in lane.last)
