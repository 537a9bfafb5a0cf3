"""The place of one pod in a rollout, from its object. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple

from lifecycle_fleet.view.pod import CUT_OFF, KILLED, condition, containers, moment
from lifecycle_fleet.view.told import one_line, read

Object = Mapping[str, Any]

SIGKILL: Final = 9
TERMINATED: Final = 143
"""The exit code of a process that SIGTERM has ended."""
OUT_OF_MEMORY: Final = "OOMKilled"
NOT_FOUND: Final = "ContainerStatusUnknown"
"""The kubelet has lost a container, and reports 137 for it."""
INACTIVE: Final = ("Failed", "Succeeded")
RESOLUTION: Final = 1.0
"""The resolution of the timestamps of the API server, in seconds."""
WAITING: Final = (
    "CrashLoopBackOff",
    "ImagePullBackOff",
    "ErrImagePull",
    "ErrImageNeverPull",
    "InvalidImageName",
    "ImageInspectError",
    "RegistryUnavailable",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "PostStartHookError",
)
"""The reasons of a container that waits because something is wrong."""


class Phase(StrEnum):
    """A phase of a pod in a rollout."""

    CREATED = "created"
    SCHEDULED = "scheduled"
    STARTING = "starting"
    READY = "ready"
    UNREADY = "not ready"
    DRAINING = "draining"
    GONE = "gone"


class End(NamedTuple):
    """
    The end of a container.

    Attributes:
        container: The name of the container.
        code: Its exit code.
        signal: The signal that ended it, or 0.
        reason: The reason of the kubelet.
        at: When it ended, in seconds since the epoch.
    """

    container: str
    code: int
    signal: int
    reason: str
    at: float

    @property
    def known(self) -> bool:
        """Whether the kubelet has reported how it ended."""
        return self.reason != NOT_FOUND

    @property
    def killed(self) -> bool:
        """Whether SIGKILL has ended it, at the end of the grace period or for its memory."""
        return self.known and (self.code == KILLED or self.signal == SIGKILL)

    @property
    def cut_off(self) -> bool:
        """Whether work was still in flight at the end of its drain."""
        return self.code == CUT_OFF

    @property
    def orderly(self) -> bool:
        """Whether it ended by itself, or by SIGTERM."""
        return self.known and self.code in (0, TERMINATED)


def phase(pod: Object) -> Phase:
    """Return the phase of a pod, from this object alone."""
    if pod["metadata"].get("deletionTimestamp") or _drains(pod):
        return Phase.DRAINING
    if inactive(pod):
        return Phase.GONE
    if condition(pod, "Ready") == "True":
        return Phase.READY
    if any(_started(each) for each in statuses(pod)):
        return Phase.STARTING
    return Phase.SCHEDULED if condition(pod, "PodScheduled") == "True" else Phase.CREATED


def inactive(pod: Object) -> bool:
    """Tell whether a pod has ended for good, without being deleted. For example, it was evicted."""
    return (pod.get("status") or {}).get("phase") in INACTIVE


def _started(status: Object) -> bool:
    return bool(status.get("containerID")) or bool((status.get("state") or {}).get("running"))


def _drains(pod: Object) -> bool:
    """Tell whether the app in the container that runs now has told that it drains."""
    told = read(pod["metadata"])
    if told is None or told.state != "draining":
        return False
    began = [
        moment(running.get("startedAt"))
        for each in containers(pod.get("status") or {})
        if (running := (each.get("state") or {}).get("running"))
    ]
    return bool(began) and told.since + RESOLUTION >= max(began)


def statuses(pod: Object) -> list[Object]:
    """Return the statuses of the containers, and of the sidecars that run next to them."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    sidecars = {
        each.get("name")
        for each in spec.get("initContainers") or ()
        if each.get("restartPolicy") == "Always"
    }
    beside = [
        each for each in status.get("initContainerStatuses") or () if each.get("name") in sidecars
    ]
    return [*containers(status), *beside]


def ends(pod: Object) -> Iterator[End]:
    """Yield each end of a container that the object names, the former ones first."""
    for which in ("lastState", "state"):
        for each in statuses(pod):
            if ended := (each.get(which) or {}).get("terminated"):
                yield End(
                    one_line(str(each.get("name", ""))),
                    int(ended.get("exitCode") or 0),
                    int(ended.get("signal") or 0),
                    one_line(str(ended.get("reason") or "")),
                    moment(ended.get("finishedAt")),
                )


def has_ended(pod: Object) -> bool:
    """Tell whether the object names how each container has ended, or that none has ever run."""
    found = statuses(pod)
    ended = [bool((each.get("state") or {}).get("terminated")) for each in found]
    return (bool(found) and all(ended)) or never_ran(pod)


def never_ran(pod: Object) -> bool:
    """Tell whether no container of a pod has ever run."""
    return not any(_started(each) or each.get("lastState") for each in statuses(pod)) and not any(
        each.known for each in ends(pod)
    )


def restarts(pod: Object) -> int:
    """Return how often the containers of a pod were restarted."""
    return sum(int(each.get("restartCount") or 0) for each in statuses(pod))


def problem(pod: Object) -> str:
    """Return what keeps a pod from starting, in words, or empty. A pod that is deleted need not."""
    status = pod.get("status") or {}
    if pod["metadata"].get("deletionTimestamp"):
        return ""
    for each in (*(status.get("initContainerStatuses") or ()), *containers(status)):
        waiting = (each.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") in WAITING:
            return _waits(each, waiting)
    for each in status.get("conditions") or ():
        if each.get("type") == "PodScheduled" and each.get("reason") == "Unschedulable":
            return one_line(f"cannot be scheduled: {each.get('message') or 'no node fits'}")
    if inactive(pod):
        reason = status.get("reason") or status["phase"]
        return one_line(f"{reason}: {status.get('message') or 'the pod has ended'}")
    return ""


def _waits(status: Object, waiting: Object) -> str:
    text = f"{waiting['reason']} of container {status.get('name', '')}"
    if last := (status.get("lastState") or {}).get("terminated"):
        text += f", which exited with {last.get('exitCode')}"
    elif message := waiting.get("message"):
        text += f": {message}"
    return one_line(text)


def deletion(pod: Object) -> tuple[float, float]:
    """Return when the deletion was requested, in seconds since the epoch, and the grace period."""
    metadata = pod["metadata"]
    seconds = float(metadata.get("deletionGracePeriodSeconds") or 0)
    return moment(metadata.get("deletionTimestamp")) - seconds, seconds


def history(pod: Object) -> list[tuple[Phase, float]]:
    """Return the phases that the timestamps of an object name, in order, with their beginnings."""
    metadata = pod["metadata"]
    found = [(Phase.CREATED, moment(metadata.get("creationTimestamp")))]
    marks = {
        each.get("type"): moment(each.get("lastTransitionTime"))
        for each in (pod.get("status") or {}).get("conditions") or ()
        if each.get("status") == "True"
    }
    if "PodScheduled" in marks:
        found.append((Phase.SCHEDULED, marks["PodScheduled"]))
    began = [
        moment(running.get("startedAt"))
        for each in containers(pod.get("status") or {})
        if (running := (each.get("state") or {}).get("running"))
    ]
    if began:
        found.append((Phase.STARTING, max(began)))
    if "Ready" in marks:
        found.append((Phase.READY, marks["Ready"]))
    return found
