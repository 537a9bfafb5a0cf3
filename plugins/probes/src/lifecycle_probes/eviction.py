"""
The meaning of a pod's QoS class when the node runs short of memory.

The kubelet does not evict by class, but by the use above the request, and then by priority. The
class determines in which of the two groups a pod is (Kubernetes documentation, "Node-pressure
Eviction"). The QoS class has nothing to do with the QOS port.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Final


class QosClass(StrEnum):
    """The three QoS classes of Kubernetes."""

    GUARANTEED = "Guaranteed"
    BURSTABLE = "Burstable"
    BEST_EFFORT = "BestEffort"


_IN_PATHS: Final = {
    "pod": QosClass.GUARANTEED,
    "burstable": QosClass.BURSTABLE,
    "besteffort": QosClass.BEST_EFFORT,
}

MEANING: Final = {
    QosClass.GUARANTEED: (
        "if the node runs short of memory, this pod is evicted last, and killed last by the kernel"
    ),
    QosClass.BURSTABLE: (
        "if the node runs short of memory, this pod is evicted early while it uses more than its "
        "memory request (lowest priority first, then the largest excess), otherwise last"
    ),
    QosClass.BEST_EFFORT: (
        "this pod requests no memory, so if the node runs short, it is evicted early (lowest "
        "priority first, then the largest use), and killed first by the kernel"
    ),
}


def class_from_paths(paths: Iterable[str]) -> QosClass | None:
    """
    Find the class in cgroup paths. With nested pods, the innermost one counts.

    The kubelet makes `kubepods/burstable/pod…` (cgroupfs) or
    `kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod….slice` (systemd). For a
    Guaranteed pod it makes `kubepods/pod…` or `kubepods-pod….slice`.
    """
    for path in paths:
        if words := re.findall(r"kubepods[/-](burstable|besteffort|pod)", path):
            return _IN_PATHS[words[-1]]
    return None


def class_from_score(oom_score_adj: int | None) -> QosClass | None:
    """Find the class by the value of the kubelet for the OOM killer (-998 until 1.21)."""
    match oom_score_adj:
        case -997 | -998:
            return QosClass.GUARANTEED
        case 1000:
            return QosClass.BEST_EFFORT
        case int() if 2 <= oom_score_adj <= 999:
            return QosClass.BURSTABLE
    return None
