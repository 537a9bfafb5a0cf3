"""
From the changes on the API server to a rollout.

Rules of this file:

1. The changes of one object come in their order. Those of different kinds may come in any order, so
   which pods are new is only decided when the rollout is asked for.
2. A Deployment of an older generation than the known one changes nothing. While this command changes
   the Deployment (`changing`), events of its watch wait. So the fold can tell changes of others from
   its own.
3. A change that comes twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from lifecycle_fleet.cluster.kinds import DEPLOYMENT, EVENT, POD, REPLICA_SET, SLICE, Kind
from lifecycle_fleet.rollout import events, lane, workload
from lifecycle_fleet.rollout.lane import Lane
from lifecycle_fleet.rollout.pods import Phase
from lifecycle_fleet.rollout.result import (
    Note,
    Progress,
    Rollout,
    Scale,
    Verdict,
    alive,
    counts,
    order,
)
from lifecycle_fleet.view.endpoints import Endpoints
from lifecycle_fleet.view.told import one_line

Object = dict[str, Any]

MOST_EVENTS: Final = 10_000
"""Events about pods that are not known yet. More of them are not kept."""


class Fold:
    """
    All that was seen of a Deployment. A fold does no input or output.

    Args:
        namespace: The namespace of the Deployment.
        name: Its name.

    Attributes:
        deployment: The Deployment. None as long as it was not seen, and after its deletion.
        moved: When a pod was last created, became ready, drained or left.
    """

    def __init__(self, namespace: str, name: str) -> None:
        self.deployment: Object | None = None
        self.moved = 0.0
        self._namespace = namespace
        self._name = name
        self._began: float | None = None
        self._template: Object = {}
        self._changes = 0
        self._paused_by_us = False
        self._undone = ""
        self._held: list[tuple[Object | None, float]] | None = None
        self._deleted = False
        self._lanes: dict[str, Lane] = {}
        self._replica_sets: dict[str, Object] = {}
        self._owners: dict[str, str] = {}
        self._uid = ""
        self._order: list[str] | None = None
        self._early: dict[str, list[events.Told]] = {}
        self._endpoints = Endpoints()
        self._uids: dict[str, str] = {}
        self._fewest = 0
        self._notes: list[Note] = []

    def take(
        self,
        kind: Kind,
        old: Object | None,
        new: Object | None,
        at: float,
        *,
        initial: bool = False,
    ) -> None:
        """
        Take one change.

        Args:
            kind: The kind of the object.
            old: The last object before. None if there was none.
            new: The object. None if it is gone.
            at: When the change was seen, in seconds since the epoch.
            initial: Whether the object was there at the start of the watch.
        """
        if kind == DEPLOYMENT:
            if self._held is not None:
                self._held.append((new, at))
            else:
                self._take_deployment(new, at)
        elif kind == REPLICA_SET:
            self._take_replica_set(old, new)
        elif kind == POD:
            self._take_pod(old, new, at, initial=initial)
        elif kind == EVENT and new is not None:
            self._take_event(new, initial=initial)
        elif kind == SLICE:
            self._take_slice(old, new, at)

    def begin(self, at: float) -> None:
        """Start the rollout, with the current template of the Deployment."""
        self._began = self.moved = at
        self._fewest = self._ready()
        if self.deployment is not None:
            self._template = self.deployment["spec"]["template"]

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Let events about the Deployment wait, while the block changes it."""
        self._held = []
        try:
            yield
        finally:
            held, self._held = self._held, None
            for new, at in held:
                self._take_deployment(new, at)

    def changed(self, deployment: Object, at: float, *, undone: bool = False) -> None:
        """
        Take the Deployment as it is after a change by this command, inside of `changing`.

        Args:
            deployment: The Deployment.
            at: When it was changed, in seconds since the epoch.
            undone: Whether the rollout was undone by it. The new pods stay those of the rollout.
        """
        if undone:
            self._undone = self.rollout(at).new_hash
        self._paused_by_us = workload.is_paused(deployment)
        self._template = deployment["spec"]["template"]
        self._known(deployment)
        self.moved = at

    def note(self, text: str, at: float, *, ours: bool = False) -> None:
        """Add a note: what happened, when, and whether this command did it."""
        self._notes.append(Note(at, text, ours))

    def replica_sets(self) -> list[Object]:
        """Return the ReplicaSets of the Deployment."""
        if self.deployment is None:
            return []
        owner = self.deployment
        return [each for each in self._replica_sets.values() if workload.owned(each, owner)]

    # One kind each

    def _take_deployment(self, new: Object | None, at: float) -> None:
        if new is None:
            self._deleted, self.deployment = True, None
            return
        before = self.deployment
        if not self._known(new) or before is None or self._began is None:
            return
        if not workload.same(new["spec"]["template"], self._template):
            self._template = new["spec"]["template"]
            self._changes += 1
            self.note("Another person or tool changed the template, so a new rollout started", at)
        if (paused := workload.is_paused(new)) != workload.is_paused(before):
            self._paused_by_us = False
            self.note(
                f"Another person or tool {'paused' if paused else 'resumed'} the Deployment", at
            )
        if (wanted := workload.replicas(new)) != (was := workload.replicas(before)):
            self.note(f"The replicas were changed from {was} to {wanted}", at)

    def _known(self, new: Object) -> bool:
        """Store the Deployment. False if a newer one is known already."""
        if self.deployment is not None:
            old, given = self.deployment["metadata"], new["metadata"]
            if old.get("uid") == given.get("uid") and _generation(new) < _generation(
                self.deployment
            ):
                return False
        self._deleted, self.deployment = False, new
        if (uid := str(new["metadata"].get("uid", ""))) != self._uid:
            self._uid, self._order = uid, None
        return True

    def _take_replica_set(self, old: Object | None, new: Object | None) -> None:
        if new is not None:
            self._replica_sets[new["metadata"]["uid"]] = new
            if new["metadata"]["uid"] not in self._owners:
                self._order = None
            self._owners[new["metadata"]["uid"]] = workload.controller(new)
        elif old is not None:
            self._replica_sets.pop(old["metadata"]["uid"], None)

    def _take_pod(
        self, old: Object | None, new: Object | None, at: float, *, initial: bool
    ) -> None:
        pod = new if new is not None else old
        if pod is None:
            return
        uid = str(pod["metadata"].get("uid", ""))
        before = self._lanes.get(uid)
        if new is not None:
            after = lane.seen(before, new, at, initial=initial)
        else:
            after = lane.gone(before, pod, at)
        if before is None:
            self._order = None
            self._uids[pod["metadata"]["name"]] = uid
            after = lane.in_slices(after, self._found(pod), at)
            for each in self._early.pop(uid, ()):
                after = events.told(after, each)
        self._lanes[uid] = after
        if before is None or after.phase is not before.phase:
            self._fewest = min(self._fewest, self._ready())
            if before is None or not _flaps(before, after):
                self.moved = max(self.moved, at)

    def _found(self, pod: Object) -> str:
        return self._endpoints.of(self._namespace, pod["metadata"]["name"])

    def _take_event(self, new: Object, *, initial: bool) -> None:
        event = events.read(new, initial=initial)
        if event is None:
            return
        if (known := self._lanes.get(event.pod)) is not None:
            self._lanes[event.pod] = events.told(known, event)
        elif len(self._early) < MOST_EVENTS:
            early = self._early.setdefault(event.pod, [])
            if event not in early:
                early.append(event)

    def _take_slice(self, old: Object | None, new: Object | None, at: float) -> None:
        if new is not None:
            touched = self._endpoints.put(new)
        elif old is not None:
            touched = self._endpoints.remove(old)
        else:
            return
        for namespace, name in touched:
            uid = self._uids.get(name, "")
            if (known := self._lanes.get(uid)) is not None:
                found = self._endpoints.of(namespace, name)
                self._lanes[uid] = lane.in_slices(known, found, at)

    # The rollout

    def _ours(self) -> list[Lane]:
        """Return the pods of the ReplicaSets of the Deployment, in their order."""
        if self._order is None:
            ours = {owner for owner, uid in self._owners.items() if uid == self._uid}
            found = sorted((e for e in self._lanes.values() if e.owner in ours), key=order)
            self._order = [each.uid for each in found]
        return [self._lanes[each] for each in self._order]

    def _ready(self) -> int:
        return sum(each.phase is Phase.READY for each in self._ours())

    def rollout(self, at: float) -> Rollout:
        """Return the rollout at a moment, in seconds since the epoch."""
        deployment = self.deployment
        sets = self.replica_sets()
        goal = workload.newest(deployment, sets) if deployment else None
        goal_hash = _hash(goal) if goal else ""
        lanes = self._ours()
        known = Rollout(
            namespace=self._namespace,
            name=self._name,
            began=at if self._began is None else self._began,
            at=at,
            verdict=Verdict.ROLLING,
            reasons=(),
            lanes=tuple(lanes),
            new_hash=self._undone or goal_hash,
            goal_hash=goal_hash,
            revisions={_hash(each): workload.revision(each) for each in sets},
            progress=_progress(deployment, lanes, goal_hash, self._fewest),
            scale=_scale(deployment, sets, goal),
            paused=deployment is not None and workload.is_paused(deployment),
            changes=self._changes,
            missing=tuple(workload.missing(deployment)) if deployment else (),
            notes=tuple(self._notes),
        )
        return known.ended(*self._verdict(known))

    def _verdict(self, known: Rollout) -> tuple[Any, ...]:
        deployment = self.deployment
        if deployment is None:
            return Verdict.FAILED, "the Deployment was deleted" if self._deleted else "not seen yet"
        if is_over(deployment, known):
            return (Verdict.NONE if self._began is None else Verdict.DONE,)
        status, reason, message = workload.condition(deployment, "Progressing")
        if reason == workload.EXCEEDED and status == "False" and workload.observed(deployment):
            return Verdict.FAILED, one_line(message or reason)
        goal = [each for each in known.lanes if known.is_goal(each) and alive(each)]
        reasons = [f"{each.name}: {each.problem}" for each in goal if each.problem]
        status, _, message = workload.condition(deployment, "ReplicaFailure")
        if status == "True":
            reasons.append(one_line(message))
        if known.paused and not self._paused_by_us:
            reasons.append("the Deployment is paused, and not by this command")
        return Verdict.STUCK if reasons else Verdict.ROLLING, *reasons


def is_over(deployment: Object, known: Rollout) -> bool:
    """
    Tell whether no rollout is running.

    A pod that is not available after the end of a rollout is none: the controller says which.
    """
    leaving = (each for each in known.lanes if each.deleted or not known.is_goal(each))
    if any(map(counts, leaving)) or not workload.observed(deployment):
        return False
    _, reason, _ = workload.condition(deployment, "Progressing")
    wanted = workload.replicas(deployment)
    updated = int((deployment.get("status") or {}).get("updatedReplicas") or 0)
    complete = reason == workload.COMPLETE and updated == wanted and bool(known.goal_hash)
    return complete or not workload.missing(deployment)


def _progress(
    deployment: Object | None, lanes: list[Lane], goal_hash: str, fewest: int
) -> Progress:
    status = (deployment or {}).get("status") or {}
    goal = [each for each in lanes if goal_hash and each.hash == goal_hash]
    return Progress(
        desired=workload.replicas(deployment) if deployment else 0,
        updated=sum(map(alive, goal)),
        ready=sum(each.phase is Phase.READY for each in lanes),
        available=int(status.get("availableReplicas") or 0),
        old=sum(counts(each) for each in lanes if not goal_hash or each.hash != goal_hash),
        fewest_ready=fewest,
    )


def _scale(deployment: Object | None, sets: list[Object], goal: Mapping[str, Any] | None) -> Scale:
    if deployment is None:
        return Scale(0, 0, 0, 0, 0, 0)
    ours = workload.replicas(goal) if goal else 0
    status = (goal or {}).get("status") or {}
    return Scale(
        new=ours,
        old=sum(map(workload.replicas, sets)) - ours,
        available=int(status.get("availableReplicas") or 0),
        desired=workload.replicas(deployment),
        surge=workload.surge(deployment),
        unavailable=workload.unavailable(deployment),
    )


def _hash(replica_set: Mapping[str, Any]) -> str:
    labels = replica_set["metadata"].get("labels") or {}
    return one_line(str(labels.get(workload.HASH, "")))


def _generation(deployment: Object) -> int:
    return int(deployment["metadata"].get("generation") or 0)


def _flaps(before: Lane, after: Lane) -> bool:
    """Tell whether a pod only goes to and fro between ready and not ready."""
    return Phase.UNREADY in (before.phase, after.phase) and not after.leaves
