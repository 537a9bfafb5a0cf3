"""
The ends of pods. The API server forgets a pod with its end, so only a watcher can see this.

Rules of this file:

1. The end of a pod is read from its last state, before it was deleted. Since Kubernetes 1.27, the
   kubelet writes the exit codes there first.
2. The worst container counts. A sidecar that ends well must not hide the end of the app.
3. Everything is bounded: the last bad ends, the last pods, and the number of workloads.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from lifecycle_fleet.serve.labels import Labels, Workload
from lifecycle_fleet.view.pod import Drained, PodView, containers, drained
from lifecycle_fleet.view.record import how

HOOK_FAILED: Final = "hook failed"
UNKNOWN: Final = "unknown"
WORST: Final = ("killed", "cut off", HOOK_FAILED, "failed", "clean", UNKNOWN)
"""How a pod may have ended, the worst first."""
BAD: Final = WORST[:4]
SHOWN: Final = 50
"""Bad ends that are shown."""
REMEMBERED: Final = 1000
"""Pods that are known after their end, because an Event about them may come later."""

Object = Mapping[str, Any]


class End(NamedTuple):
    """
    How a pod has ended.

    Attributes:
        namespace: Its namespace.
        name: Its name.
        workload: Its workload, or empty.
        how: One of `WORST`.
        at: When, in seconds since the epoch.
        reason: The reason of the kubelet, for example `OOMKilled`. May be empty.
    """

    namespace: str
    name: str
    workload: str
    how: str
    at: float
    reason: str


def ending(pod: Object) -> Drained | None:
    """Return how the worst container has ended, from the last state of a pod. None if unknown."""
    ends = [
        found
        for each in containers(pod.get("status") or {})
        if (found := drained({"containerStatuses": [{"state": each.get("state")}]}))
    ]
    return min(ends, key=lambda each: WORST.index(how(each)), default=None)


class Ends:
    """
    The ends of the last pods.

    Attributes:
        counts: How many pods have ended, by labels of the workload and how.
        hooks: How many preStop hooks have failed, by labels of the workload.
    """

    def __init__(self) -> None:
        self.counts: Counter[tuple[Workload, str]] = Counter()
        self.hooks: Counter[Workload] = Counter()
        self._labels = Labels()
        self._pods: OrderedDict[str, End] = OrderedDict()
        self._bad: OrderedDict[str, End] = OrderedDict()

    def gone(self, pod: PodView, last: Object, now: float) -> bool:
        """
        Note a pod that is deleted. Returns whether it has ended badly.

        Args:
            pod: The pod, as it was shown.
            last: Its last state.
            now: The time, in seconds since the epoch.
        """
        found = ending(last)
        word = how(found) if found is not None else UNKNOWN
        self.counts[self._labels.of((pod.namespace, pod.workload)), word] += 1
        if pod.hook_failed and WORST.index(HOOK_FAILED) < WORST.index(word):
            word = HOOK_FAILED
        reason = found.reason if found is not None else ""
        at = (found.at if found is not None else 0.0) or now
        end = End(pod.namespace, pod.name, pod.workload, word, at, reason)
        _put(self._pods, pod.uid, end, REMEMBERED)
        if word not in BAD:
            return False
        _put(self._bad, pod.uid, end, SHOWN)
        return True

    def hook_failed(self, workload: Workload) -> None:
        """Count a preStop hook that has failed."""
        self.hooks[self._labels.of(workload)] += 1

    def hook_failed_of(self, uid: str) -> bool:
        """Note that the hook of a pod that is gone has failed. Returns whether this is news."""
        end = self._pods.get(uid)
        if end is None:
            return False
        self.hook_failed((end.namespace, end.workload))
        if WORST.index(end.how) <= WORST.index(HOOK_FAILED):
            return False
        _put(self._bad, uid, end._replace(how=HOOK_FAILED), SHOWN)
        return True

    def shown(self) -> list[End]:
        """Return the last bad ends, the latest first."""
        return sorted(self._bad.values(), key=lambda each: -each.at)


def _put(where: OrderedDict[str, End], uid: str, end: End, most: int) -> None:
    where[uid] = end
    while len(where) > most:
        where.popitem(last=False)
