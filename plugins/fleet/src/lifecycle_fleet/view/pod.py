"""One pod, as the commands and the page show it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from lifecycle_fleet.view.container import app_container
from lifecycle_fleet.view.told import Told, one_line, read

REGISTERED: Final = "pod-lifecycle.dev/registered"
"""The condition of the readiness gate."""
GONE: Final = "gone"
"""The state of a pod that is not there any more."""
KILLED: Final = 137
CUT_OFF: Final = 124

Object = Mapping[str, Any]


class Drained(NamedTuple):
    """
    How the last container of a pod has ended.

    Attributes:
        exit_code: Its exit code.
        at: When it ended, in seconds since the epoch.
        reason: The reason of the kubelet, for example `Completed` or `OOMKilled`.
        started: When it was started, in seconds since the epoch, or 0.
    """

    exit_code: int
    at: float
    reason: str
    started: float = 0.0

    @property
    def killed(self) -> bool:
        """Whether it was killed, by the kubelet or for its memory."""
        return self.exit_code == KILLED

    @property
    def cut_off(self) -> bool:
        """Whether work was cut off at the deadline of its drain."""
        return self.exit_code == CUT_OFF


class PodView(NamedTuple):
    """
    One pod.

    Attributes:
        namespace: Its namespace.
        name: Its name.
        uid: Its uid, because a name may be used again.
        node: The node, or empty.
        workload: Its workload, for example `deploy/orders`, or empty.
        revision: The part of its name or its label that names the revision, or empty.
        told: The content of its annotation, or None without one.
        state: The state to show: that of the app, or the phase or the problem of the pod.
        since: When it reached this state, in seconds since the epoch, or 0.
        ready: Whether the kubelet takes it for ready.
        registered: Whether the condition of the readiness gate is true. None without the gate.
        in_slices: Whether clients find it: `yes`, `no`, `-` if no Service selects it, or `?` if the
            EndpointSlices cannot be read.
        restarts: How often its containers were restarted.
        leaving: Whether it is being deleted.
        drained: How its last container has ended, or None.
        deadline: When it must be gone, in seconds since the epoch. 0 if it is not being deleted.
        hook_failed: Whether its preStop hook has failed. None if the Events cannot be read.
        container: The container in which pod-lifecycle is seen to run, or empty.
    """

    namespace: str
    name: str
    uid: str
    node: str
    workload: str
    revision: str
    told: Told | None
    state: str
    since: float
    ready: bool
    registered: bool | None
    in_slices: str
    restarts: int
    leaving: bool
    drained: Drained | None
    deadline: float = 0.0
    hook_failed: bool | None = False
    container: str = ""

    @property
    def current(self) -> Told | None:
        """The content of its annotation. None if this is old, because its container does not run."""
        return self.told if self.told is not None and self.told.state == self.state else None

    @property
    def ours(self) -> bool:
        """Whether the pod runs pod-lifecycle, as far as this can be seen."""
        return self.told is not None or self.registered is not None or bool(self.container)


def view(
    pod: Object, *, in_slices: str = "-", workload: str = "", hook_failed: float | None = 0.0
) -> PodView:
    """
    Return a pod for showing.

    Args:
        pod: The object of the API server.
        in_slices: Whether clients find it.
        workload: The workload, if it is not to be guessed from the pod alone.
        hook_failed: When its preStop hook has failed, in seconds since the epoch. 0 if it has not,
            and None if this is not known.
    """
    metadata, status = pod["metadata"], pod.get("status") or {}
    told = read(metadata)
    leaving = bool(metadata.get("deletionTimestamp"))
    container = app_container(pod, told.qos_port if told is not None else None)
    state, since = _state(pod, told, container)
    guessed, revision = owner(metadata)
    last = drained(status, container)
    return PodView(
        namespace=str(metadata.get("namespace", "")),
        name=str(metadata["name"]),
        uid=str(metadata.get("uid", "")),
        node=one_line(str((pod.get("spec") or {}).get("nodeName") or "")),
        workload=workload or guessed,
        revision=revision,
        told=told,
        state=state,
        since=since,
        ready=condition(pod, "Ready") == "True",
        registered=_registered(pod),
        in_slices=in_slices,
        restarts=sum(int(each.get("restartCount") or 0) for each in containers(status)),
        leaving=leaving,
        drained=last,
        deadline=moment(metadata.get("deletionTimestamp")),
        hook_failed=_has_failed(hook_failed, last),
        container=container,
    )


def containers(status: Object) -> Sequence[Object]:
    """Return the status of each container."""
    found: Sequence[Object] = status.get("containerStatuses") or ()
    return found


def condition(pod: Object, name: str) -> str:
    """Return the status of a condition: `True`, `False` or `Unknown`, or empty without it."""
    for each in (pod.get("status") or {}).get("conditions") or ():
        if each.get("type") == name:
            return str(each.get("status", ""))
    return ""


def _registered(pod: Object) -> bool | None:
    gates = (pod.get("spec") or {}).get("readinessGates") or ()
    if not any(each.get("conditionType") == REGISTERED for each in gates):
        return None
    return condition(pod, REGISTERED) == "True"


def _state(pod: Object, told: Told | None, container: str) -> tuple[str, float]:
    """Return the state, and since when. A sidecar neither hides nor replaces the one of the app."""
    metadata, status = pod["metadata"], pod.get("status") or {}
    created = moment(metadata.get("creationTimestamp"))
    first = sorted(containers(status), key=lambda each: each.get("name") != container)
    own = [each for each in first if each.get("name") == container] or first
    running = any((each.get("state") or {}).get("running") for each in own)
    if told is not None and (running or not own):
        return told.state, told.since or created
    for each in first:
        waiting = (each.get("state") or {}).get("waiting") or {}
        if reason := waiting.get("reason"):
            return one_line(str(reason)), created
    if metadata.get("deletionTimestamp"):
        return "terminating", moment(metadata["deletionTimestamp"])
    for each in first:
        ended = (each.get("state") or {}).get("terminated") or {}
        if ended:
            return one_line(str(ended.get("reason") or "exited")), moment(ended.get("finishedAt"))
    return one_line(str(status.get("reason") or status.get("phase") or "unknown")).lower(), created


def _has_failed(hook_failed: float | None, last: Drained | None) -> bool | None:
    """Tell whether a failed hook belongs to the last end, or to one that is still going on."""
    if hook_failed is None:
        return None
    return bool(hook_failed) and (last is None or hook_failed >= last.started)


def drained(status: Object, container: str = "") -> Drained | None:
    """
    Return how the last container that has ended did so, or None if none has.

    Args:
        status: The status of the pod.
        container: The container to look at, or empty for all of them.
    """
    ends = [
        ended
        for each in containers(status)
        if container in ("", each.get("name"))
        for ended in (
            (each.get("state") or {}).get("terminated"),
            (each.get("lastState") or {}).get("terminated"),
        )
        if ended
    ]
    last = max(ends, key=lambda each: moment(each.get("finishedAt")), default=None)
    if last is None:
        return None
    return Drained(
        int(last.get("exitCode") or 0),
        moment(last.get("finishedAt")),
        one_line(str(last.get("reason") or "")),
        moment(last.get("startedAt")),
    )


def owner(metadata: Object) -> tuple[str, str]:
    """
    Return the workload and the revision of a pod, from the pod alone.

    The name of a ReplicaSet of a Deployment is that of the Deployment and the hash of the template,
    which is a label of its pods too.
    """
    labels = metadata.get("labels") or {}
    owners = metadata.get("ownerReferences") or ()
    first = next((each for each in owners if each.get("controller")), None)
    if first is None:
        return "", ""
    kind, name = one_line(str(first.get("kind", ""))), one_line(str(first.get("name", "")))
    pod_hash = one_line(str(labels.get("pod-template-hash") or ""))
    if kind == "ReplicaSet" and pod_hash and name.endswith(f"-{pod_hash}"):
        return f"deploy/{name.removesuffix(f'-{pod_hash}')}", pod_hash
    revision = one_line(str(labels.get("controller-revision-hash") or ""))
    return f"{SHORT.get(kind, kind.lower())}/{name}", revision.removeprefix(f"{name}-")


SHORT: Final = {
    "ReplicaSet": "rs",
    "StatefulSet": "sts",
    "DaemonSet": "ds",
    "Job": "job",
    "Deployment": "deploy",
}
"""The short names of kinds, as kubectl prints them."""


def moment(text: object) -> float:
    """Return a timestamp of the API server in seconds since the epoch, or 0 without one."""
    if not isinstance(text, str) or not text:
        return 0.0
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0
