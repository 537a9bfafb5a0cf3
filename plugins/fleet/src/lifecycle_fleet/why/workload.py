"""Everything that is known of one Deployment, and its place in a rollout. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from lifecycle_fleet.why.events import Event
from lifecycle_fleet.why.facts import Facts, Missing
from lifecycle_fleet.why.reading import EMPTY, Object, labels, objects, part, text, whole

REVISION: Final = "deployment.kubernetes.io/revision"
HASH: Final = "pod-template-hash"


@dataclass(frozen=True, kw_only=True)
class Workload:
    """
    The facts about one Deployment.

    Args:
        deployment: The Deployment.
        now: The time, in seconds since the epoch.
        replica_sets: Its ReplicaSets.
        pods: Its pods, as far as they were looked at.
        events: The events of the Deployment and its ReplicaSets, the newest last.
        more: How many pods were not looked at.
        missing: The things that could not be read.
    """

    deployment: Object
    now: float
    replica_sets: tuple[Object, ...] = ()
    pods: tuple[Facts, ...] = ()
    events: tuple[Event, ...] = ()
    more: int = 0
    missing: tuple[Missing, ...] = ()

    @property
    def name(self) -> str:
        """The name of the Deployment."""
        return text(self.deployment, "metadata", "name")

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return text(self.deployment, "metadata", "namespace")

    @property
    def wanted(self) -> int:
        """The number of replicas that the spec wants."""
        return whole(self.deployment, "spec", "replicas", default=1)

    @property
    def paused(self) -> bool:
        """Whether the Deployment is paused."""
        return part(self.deployment, "spec", "paused") is True

    @property
    def observed(self) -> bool:
        """Whether the controller has seen the last change of the spec."""
        seen = whole(self.deployment, "status", "observedGeneration")
        return seen >= whole(self.deployment, "metadata", "generation")

    @property
    def complete(self) -> bool:
        """Whether the rollout is complete, as `kubectl rollout status` decides it."""
        count = self.count
        return (
            self.observed
            and count("updatedReplicas") >= self.wanted
            and count("replicas") <= count("updatedReplicas")
            and count("availableReplicas") >= count("updatedReplicas")
        )

    def count(self, name: str) -> int:
        """Return a number of the status, for example `updatedReplicas`."""
        return whole(self.deployment, "status", name)

    @cached_property
    def sets(self) -> tuple[Object, ...]:
        """The ReplicaSets, the newest first."""
        return tuple(sorted(self.replica_sets, key=_revision, reverse=True))

    @property
    def newest(self) -> Object:
        """The ReplicaSet of the last change. Empty if it is unknown."""
        return self.sets[0] if self.sets else EMPTY

    def place(self, pod: Facts) -> int:
        """Return the place of a pod's ReplicaSet, from 0 for the newest."""
        hashes = [labels(each, "metadata", "labels").get(HASH) for each in self.sets]
        mine = pod.labels.get(HASH)
        return hashes.index(mine) if mine in hashes else len(hashes)

    def condition(self, name: str) -> Object:
        """Return a condition of the Deployment, or an empty one."""
        found = objects(self.deployment, "status", "conditions")
        return next((each for each in found if text(each, "type") == name), EMPTY)

    def new_pods(self) -> Iterator[Facts]:
        """Yield the pods of the newest ReplicaSet that are not being deleted."""
        return (each for each in self.pods if not self.place(each) and not each.leaving)

    def old_pods(self) -> Iterator[Facts]:
        """Yield the pods of the older ReplicaSets that are not being deleted."""
        return (each for each in self.pods if self.place(each) and not each.leaving)


def _revision(found: Object) -> tuple[int, str]:
    number = labels(found, "metadata", "annotations").get(REVISION, "")
    return (
        int(number) if number.isdecimal() and len(number) < 10 else 0,
        text(found, "metadata", "creationTimestamp"),
    )
