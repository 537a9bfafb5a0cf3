"""Rules on Services that do not lead to the pod."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Final

from lifecycle_fleet.view.pod import moment
from lifecycle_fleet.why.facts import Facts
from lifecycle_fleet.why.finding import Found, Saying, Table
from lifecycle_fleet.why.reading import Object, labels, objects, part, seconds, text, whole
from lifecycle_fleet.why.selectors import differences

RULES: Final[Table[Facts]] = Table()

SLOW: Final = 10.0
"""Seconds after which an EndpointSlice must have a ready pod."""
ALIKE: Final = 0.75
"""How much two names must have in common to be taken for one name that is misspelt."""

OTHER_VALUE: Final = Saying(
    "No Service selects the pod. The Service {service} selects {label}={wanted}, but the pod has "
    "{label}={value}.",
    "kubectl -n {ns} patch service {service} --type=merge "
    '-p \'{{"spec": {{"selector": {{"{label}": "{value}"}}}}}}\'',
)
NO_LABEL: Final = Saying(
    "No Service selects the pod. The Service {service} selects {label}={wanted}, but the pod has no "
    "label {label}.",
    "Add the label {label}: {wanted} to the template of the pod, or correct the selector of the "
    "Service {service}",
)
OTHER_VALUE_TOO: Final = Saying(
    "The Service {service} selects no pod. It selects {label}={wanted}, but this pod has "
    "{label}={value}.",
    "kubectl -n {ns} patch service {service} --type=merge "
    '-p \'{{"spec": {{"selector": {{"{label}": "{value}"}}}}}}\'',
)


@RULES.add("service-selector", OTHER_VALUE, NO_LABEL, OTHER_VALUE_TOO, aside=True)
def selector(facts: Facts) -> Iterator[Found]:
    """
    A Service does not select the pod.

    A Service sends requests to the pods that have all labels of its `spec.selector`, with the same
    values. This rule mentions a Service only if it selects no pod at all and differs from this pod
    in one label.
    """
    if facts.leaving or facts.over or facts.unread("services") or facts.unread("endpointslices"):
        return
    selected = any(_selects(each, facts) for each in facts.services)
    for each in facts.services:
        wanted = labels(each, "spec", "selector")
        differs = differences(wanted, facts.labels)
        if len(differs) != 1 or _has_endpoints(facts, each):
            continue
        ((label, (value, found)),) = differs.items()
        name = text(each, "metadata", "name")
        if not _is_meant(facts, name, wanted, value, found, selected=selected):
            continue
        if selected and not found:
            continue
        saying = (OTHER_VALUE_TOO if selected else OTHER_VALUE) if found else NO_LABEL
        yield saying.found(
            f"Service {name}: spec.selector: {label}={value}",
            f"metadata.labels: {label}={found}" if found else "metadata.labels",
            service=name,
            label=label,
            wanted=value,
            value=found,
            ns=facts.namespace,
        )


def _is_meant(
    facts: Facts, name: str, wanted: dict[str, str], value: str, found: str, *, selected: bool
) -> bool:
    """Return whether a Service that differs in one label is there for this pod."""
    exported = {*facts.answers.services(), *_told_services(facts)}
    if name in exported or facts.workload in (f"deploy/{name}", f"sts/{name}"):
        return True
    if selected:
        return False
    return len(wanted) > 1 or SequenceMatcher(None, value, found).ratio() >= ALIKE


def _told_services(facts: Facts) -> tuple[str, ...]:
    return () if facts.told is None else facts.told.online + facts.told.offline


def _selects(service: Object, facts: Facts) -> bool:
    wanted = labels(service, "spec", "selector")
    return bool(wanted) and not differences(wanted, facts.labels)


def _slices_of(facts: Facts, service: Object) -> Iterator[Object]:
    name = text(service, "metadata", "name")
    for each in facts.slices:
        if labels(each, "metadata", "labels").get("kubernetes.io/service-name") == name:
            yield each


def _has_endpoints(facts: Facts, service: Object) -> bool:
    return any(objects(each, "endpoints") for each in _slices_of(facts, service))


NO_SUCH_NAME: Final = Saying(
    "The Service {service} sends requests to the port name {port}, but no container of the pod "
    "declares a port with this name.",
    "In the Service {service}, set targetPort to one of: {declared}",
)
NOT_LISTENING: Final = Saying(
    "The Service {service} sends requests to port {port}, but nothing in the pod listens on this "
    "port. Open ports: {open}.",
    "In the Service {service}, set targetPort to the port of the app",
)
LOOPBACK: Final = Saying(
    "The Service {service} sends requests to port {port}, but the app listens on this port only on "
    "127.0.0.1, so clients cannot connect.",
    "Make the app listen on 0.0.0.0:{port}",
)
UNDECLARED: Final = Saying(
    "The Service {service} sends requests to port {port}, which no container of the pod declares. If "
    "the app does not listen on this port either, clients cannot connect.",
    "In the Service {service}, set targetPort to one of: {declared}",
    note=True,
)


@RULES.add("service-port", NO_SUCH_NAME, NOT_LISTENING, LOOPBACK, UNDECLARED)
def port(facts: Facts) -> Iterator[Found]:
    """
    A Service sends requests to a port on which the app does not listen.

    `targetPort` is a number, or the name of a port of a container. Clients connect to the `port` of
    the Service, and reach `targetPort` of the pod.
    """
    if facts.leaving or facts.over:
        return
    declared: dict[str, str] = {}
    numbers: set[int] = set()
    for container in facts.containers:
        for each in objects(container.spec, "ports"):
            number = whole(each, "containerPort")
            numbers.add(number)
            if name := text(each, "name"):
                declared[name] = text(each, "protocol") or "TCP"
    shown = ", ".join(dict.fromkeys([*declared, *map(str, sorted(numbers))])) or "none"
    for service in facts.services:
        if not _selects(service, facts):
            continue
        for at, each in enumerate(objects(service, "spec", "ports")):
            target = part(each, "targetPort")
            target = part(each, "port") if target in (None, 0, "") else target
            protocol = text(each, "protocol") or "TCP"
            if (saying := _of_port(facts, target, protocol, declared, numbers)) is None:
                continue
            name = text(service, "metadata", "name")
            yield saying.found(
                f"Service {name}: spec.ports[{at}].targetPort: {target}",
                f"ports of the containers: {shown}",
                service=name,
                port=target,
                declared=shown,
                open=", ".join(map(str, sorted(facts.answers.listening or {})[:12])) or "none",
                ns=facts.namespace,
            )


def _of_port(
    facts: Facts, target: object, protocol: str, declared: dict[str, str], numbers: set[int]
) -> Saying | None:
    if isinstance(target, str) and not target.isdecimal():
        if declared.get(target) != protocol:
            return NO_SUCH_NAME
        target = next(
            (each.ports()[target] for each in facts.containers if target in each.ports()), 0
        )
    if not isinstance(target, (int, str)) or protocol != "TCP":
        return None
    number, listening = int(target), facts.answers.listening
    if listening is None:
        return UNDECLARED if numbers and number not in numbers else None
    if not facts.ready:
        return None  # the app may not listen yet
    if number not in listening:
        return NOT_LISTENING
    return None if listening[number] else LOOPBACK


NOT_THERE: Final = Saying(
    "The pod has been Ready for {age}, but no EndpointSlice of the Service {service} has it, so "
    "clients do not find it there.",
    "kubectl -n {ns} get endpointslices -l kubernetes.io/service-name={service}",
)
NOT_READY_THERE: Final = Saying(
    "The pod has been Ready for {age}, but the EndpointSlice of the Service {service} has it as not "
    "ready, so clients do not find it there.",
    "kubectl -n {ns} get endpointslices -l kubernetes.io/service-name={service}",
)


@RULES.add("endpoints-late", NOT_THERE, NOT_READY_THERE)
def late(facts: Facts) -> Iterator[Found]:
    """
    The pod is Ready, but the EndpointSlices do not show it.

    kube-controller-manager writes the EndpointSlices, usually within a second. If they stay old for
    longer, look at the log of kube-controller-manager.
    """
    unread = facts.unread("services") or facts.unread("endpointslices")
    if not facts.ready or facts.leaving or facts.over or unread:
        return
    since = moment(text(facts.the_condition("Ready"), "lastTransitionTime"))
    age = facts.now - since if since else 0.0
    if age < SLOW:
        return
    for service in facts.services:
        if not _selects(service, facts) or text(service, "spec", "type") == "ExternalName":
            continue
        found = [
            part(endpoint, "conditions", "ready") is not False
            for piece in _slices_of(facts, service)
            for endpoint in objects(piece, "endpoints")
            if part(endpoint, "targetRef", "name") == facts.name
        ]
        if any(found):
            continue
        name = text(service, "metadata", "name")
        yield (NOT_READY_THERE if found else NOT_THERE).found(
            f"EndpointSlices of the Service {name}",
            service=name,
            age=seconds(age),
            ns=facts.namespace,
        )
