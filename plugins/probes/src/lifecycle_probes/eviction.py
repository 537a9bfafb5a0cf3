"""
What a pod's QoS class means when memory runs short.

The kubelet does not evict by class but by use over request, then priority; the class says
which of the two groups a pod is in (Kubernetes documentation, "Node-pressure Eviction").
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Final


class QosClass(StrEnum):
    """The three classes of Kubernetes."""

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
        "when the node runs short of memory it is evicted last, and killed last by the kernel"
    ),
    QosClass.BURSTABLE: (
        "when the node runs short of memory it is evicted early once it uses more than its "
        "memory request (lowest priority first, then the largest excess), and last while it "
        "uses less"
    ),
    QosClass.BEST_EFFORT: (
        "it requests no memory, so when the node runs short it is evicted early (lowest "
        "priority first, then the largest use), and killed first by the kernel"
    ),
}


def class_from_paths(paths: Iterable[str]) -> QosClass | None:
    """
    Recognise the class in cgroup paths; of nested pods the innermost counts.

    The kubelet makes `kubepods/burstable/pod…` (cgroupfs) or
    `kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod….slice` (systemd);
    a Guaranteed pod is `kubepods/pod…` or `kubepods-pod….slice`.
    """
    for path in paths:
        if words := re.findall(r"kubepods[/-](burstable|besteffort|pod)", path):
            return _IN_PATHS[words[-1]]
    return None


def class_from_score(oom_score_adj: int | None) -> QosClass | None:
    """Recognise the class by what the kubelet sets for the OOM killer (-998 until 1.21)."""
    match oom_score_adj:
        case -997 | -998:
            return QosClass.GUARANTEED
        case 1000:
            return QosClass.BEST_EFFORT
        case int() if 2 <= oom_score_adj <= 999:
            return QosClass.BURSTABLE
    return None
