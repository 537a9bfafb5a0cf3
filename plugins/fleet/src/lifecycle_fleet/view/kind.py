"""The kind of a pod, one of six words, for counts and colours. Pure."""

from __future__ import annotations

from typing import Final

from lifecycle_fleet.view.pod import GONE, PodView

STARTING: Final = "starting"
READY: Final = "ready"
NOT_READY: Final = "not ready"
OFFLINE: Final = "offline"
DRAINING: Final = "draining"
ENDED: Final = "ended"
KINDS: Final = (STARTING, READY, NOT_READY, OFFLINE, DRAINING, ENDED)
"""All of them, in the order of a life."""

_STARTING: Final = (
    *("starting", "exporting", "registered"),
    *("pending", "ContainerCreating", "PodInitializing"),
)
_ENDED: Final = ("stopped", "failed", "succeeded", "Completed", "Error", "evicted", GONE)


def kind_of(pod: PodView) -> str:
    """Return what a pod does: one of `KINDS`."""
    if pod.state in _ENDED:
        return ENDED
    if pod.leaving or pod.state in ("draining", "terminating"):
        return DRAINING
    if pod.state in _STARTING:
        return STARTING
    if pod.current is not None and pod.current.is_offline:
        return OFFLINE
    return READY if pod.ready else NOT_READY
