"""Everything that is known of one pod, as one immutable value. The rules read nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, NamedTuple

from lifecycle_fleet.view.pod import REGISTERED, moment, owner
from lifecycle_fleet.view.told import Told
from lifecycle_fleet.view.told import read as read_told
from lifecycle_fleet.why.answers import Answers
from lifecycle_fleet.why.events import Event
from lifecycle_fleet.why.reading import (
    EMPTY,
    Object,
    labels,
    mapping,
    objects,
    part,
    text,
    texts,
    whole,
)

QOS_PORT: Final = 22222
"""The probe port of pod-lifecycle, if nothing else is set."""
PROBES: Final = {
    "startupProbe": "Startup",
    "readinessProbe": "Readiness",
    "livenessProbe": "Liveness",
}
"""The fields of the probes, with the first word of their events."""


class Missing(NamedTuple):
    """
    Something that could not be read.

    Attributes:
        what: Its name, for example `events`.
        why: The state of the failure, for example `forbidden`.
        right: The missing right as a rule of a Role. Empty if rights are not the reason.
        cluster: Whether the right needs a ClusterRole.
    """

    what: str
    why: str
    right: str = ""
    cluster: bool = False


class Container(NamedTuple):
    """
    One container of a pod, with its status.

    Attributes:
        name: Its name.
        path: The path of its spec, for example `spec.containers[0]`.
        spec: Its spec.
        status: Its status. Empty if there is none yet.
    """

    name: str
    path: str
    spec: Object
    status: Object

    @property
    def waiting(self) -> str:
        """The reason why it waits to be started, or empty."""
        return text(self.status, "state", "waiting", "reason")

    @property
    def waiting_message(self) -> str:
        """The message of that reason."""
        return text(self.status, "state", "waiting", "message")

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return bool(mapping(self.status, "state", "running"))

    @property
    def started_at(self) -> float:
        """When it was started, in seconds since the epoch, or 0."""
        return moment(text(self.status, "state", "running", "startedAt"))

    @property
    def ready(self) -> bool:
        """Whether the kubelet counts it as ready."""
        return part(self.status, "ready") is True

    @property
    def started(self) -> bool:
        """Whether its startup probe has passed."""
        return part(self.status, "started") is True

    @property
    def restarts(self) -> int:
        """How often it was restarted."""
        return whole(self.status, "restartCount")

    @property
    def ended(self) -> Object:
        """How it has ended, now or the last time. Empty if it has not."""
        now = mapping(self.status, "state", "terminated")
        return now or mapping(self.status, "lastState", "terminated")

    @property
    def environment(self) -> dict[str, str]:
        """The variables that the spec has as plain values."""
        return {
            text(each, "name"): text(each, "value")
            for each in objects(self.spec, "env")
            if "valueFrom" not in each
        }

    @property
    def words(self) -> tuple[str, ...]:
        """The words of its command, as far as the spec has them."""
        return texts(self.spec, "command") + texts(self.spec, "args")

    def probe(self, kind: str) -> Object:
        """Return a probe, for example `readinessProbe`."""
        return mapping(self.spec, kind)

    def ports(self) -> dict[str, int]:
        """Return the declared ports, by name or, without a name, by number."""
        found = {}
        for each in objects(self.spec, "ports"):
            port = whole(each, "containerPort")
            found[text(each, "name") or str(port)] = port
        return found


@dataclass(frozen=True, kw_only=True)
class Facts:
    """
    The facts about one pod.

    Args:
        pod: The pod.
        now: The time, in seconds since the epoch.
        events: Its events, the newest last.
        services: All Services of its namespace.
        slices: All EndpointSlices of its namespace.
        budgets: All PodDisruptionBudgets of its namespace.
        node: Its node. Empty if it is unknown, and None if it does not exist.
        answers: The answers of the pod itself.
        logs: The last lines of the previous run of a container, by its name.
        may_register: Whether its ServiceAccount may patch the status of pods. None if unknown.
        start: Seconds that another pod of the same Deployment needed to start. None if unknown.
        missing: The things that could not be read.
    """

    pod: Object
    now: float
    events: tuple[Event, ...] = ()
    services: tuple[Object, ...] = ()
    slices: tuple[Object, ...] = ()
    budgets: tuple[Object, ...] = ()
    node: Object | None = field(default_factory=dict)
    answers: Answers = field(default_factory=Answers)
    logs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    may_register: bool | None = None
    start: float | None = None
    missing: tuple[Missing, ...] = ()

    @property
    def name(self) -> str:
        """The name of the pod."""
        return text(self.pod, "metadata", "name")

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return text(self.pod, "metadata", "namespace")

    @property
    def spec(self) -> Object:
        """The spec of the pod."""
        return mapping(self.pod, "spec")

    @property
    def status(self) -> Object:
        """The status of the pod."""
        return mapping(self.pod, "status")

    @property
    def phase(self) -> str:
        """The phase of the pod, for example `Running`."""
        return text(self.status, "phase")

    @property
    def workload(self) -> str:
        """The workload of the pod, for example `deploy/orders`, or empty."""
        owners = objects(self.pod, "metadata", "ownerReferences")
        return owner({"labels": self.labels, "ownerReferences": owners})[0]

    @property
    def labels(self) -> dict[str, str]:
        """The labels of the pod."""
        return labels(self.pod, "metadata", "labels")

    @property
    def age(self) -> float:
        """Seconds since the pod was created. 0 if it is unknown."""
        created = moment(text(self.pod, "metadata", "creationTimestamp"))
        return max(0.0, self.now - created) if created else 0.0

    @property
    def leaving(self) -> bool:
        """Whether the pod is being deleted."""
        return bool(text(self.pod, "metadata", "deletionTimestamp"))

    @property
    def over(self) -> bool:
        """Whether all containers have ended for good."""
        return self.phase in ("Succeeded", "Failed")

    @property
    def ready(self) -> bool:
        """Whether the pod is Ready."""
        return self.condition("Ready") == "True"

    @property
    def grace(self) -> int:
        """The seconds of `terminationGracePeriodSeconds`."""
        return whole(self.spec, "terminationGracePeriodSeconds", default=30)

    @cached_property
    def told(self) -> Told | None:
        """The content of the annotation of the pod, or None."""
        annotations = labels(self.pod, "metadata", "annotations")
        return read_told({"annotations": annotations})

    @cached_property
    def containers(self) -> tuple[Container, ...]:
        """The containers, with the sidecars among the init containers."""
        return (
            *_containers(self.pod, "containers", "containerStatuses"),
            *(each for each in self._all_init if _is_sidecar(each)),
        )

    @cached_property
    def init_containers(self) -> tuple[Container, ...]:
        """The init containers that have to end."""
        return tuple(each for each in self._all_init if not _is_sidecar(each))

    @cached_property
    def _all_init(self) -> tuple[Container, ...]:
        return tuple(_containers(self.pod, "initContainers", "initContainerStatuses"))

    @property
    def initializing(self) -> Container | None:
        """The init container that has to end, or the sidecar that has to start, before the others."""
        if any(each.running for each in self.containers if not _is_sidecar(each)):
            return None
        return next((each for each in self._all_init if not _lets_others_start(each)), None)

    def condition(self, name: str) -> str:
        """Return the status of a condition, or empty without it."""
        return text(self.the_condition(name), "status")

    def the_condition(self, name: str) -> Object:
        """Return a condition of the pod, or an empty one."""
        found = objects(self.status, "conditions")
        return next((each for each in found if text(each, "type") == name), EMPTY)

    @property
    def gates(self) -> tuple[str, ...]:
        """The conditions of the readiness gates."""
        return tuple(text(each, "conditionType") for each in objects(self.spec, "readinessGates"))

    @cached_property
    def app(self) -> Container | None:
        """The container that runs pod-lifecycle, as far as this can be seen, or None."""
        for each in self.containers:
            if _runs_lifecycle(each):
                return each
        if self.told is not None or REGISTERED in self.gates:
            return next(iter(self.containers), None)
        return None

    @property
    def qos_port(self) -> int:
        """The port on which pod-lifecycle answers the probes."""
        if self.told is not None and self.told.qos_port is not None:
            return self.told.qos_port
        set_to = self.app.environment.get("LIFECYCLE_QOS_PORT", "") if self.app else ""
        return int(set_to) if set_to.isdecimal() and len(set_to) < 6 else QOS_PORT

    def unread(self, what: str) -> bool:
        """Return whether something could not be read."""
        return any(each.what == what for each in self.missing)

    def events_of(self, *reasons: str, container: str = "") -> list[Event]:
        """Return the events with one of these reasons, the newest last."""
        return [
            each
            for each in self.events
            if each.reason in reasons and container in ("", each.container)
        ]

    def port_of(self, container: Container, port: object) -> int | None:
        """Return the number of a port. A name is looked up in the ports of the container."""
        if isinstance(port, str) and not port.isdecimal():
            return container.ports().get(port)
        return int(port) if isinstance(port, (int, str)) else None


def _is_sidecar(container: Container) -> bool:
    return text(container.spec, "restartPolicy") == "Always"


def _lets_others_start(container: Container) -> bool:
    if _is_sidecar(container):
        return container.started
    ended = mapping(container.status, "state", "terminated")
    return bool(ended) and whole(ended, "exitCode") == 0


def _containers(pod: Object, name: str, statuses: str) -> Iterator[Container]:
    known = {text(each, "name"): each for each in objects(pod, "status", statuses)}
    for at, spec in enumerate(objects(pod, "spec", name)):
        yield Container(
            text(spec, "name"),
            f"spec.{name}[{at}]",
            spec,
            known.get(text(spec, "name"), EMPTY),
        )


def _runs_lifecycle(container: Container) -> bool:
    pre_stop = texts(container.spec, "lifecycle", "preStop", "exec", "command")
    names = {each.rpartition("/")[2] for each in (*container.words[:3], *pre_stop[:1])}
    probed = [part(container.probe(kind), "httpGet", "port") for kind in PROBES]
    return (
        "lifecycle" in names
        or any(each.startswith("LIFECYCLE_") for each in container.environment)
        or QOS_PORT in probed
        or QOS_PORT in container.ports().values()
    )
