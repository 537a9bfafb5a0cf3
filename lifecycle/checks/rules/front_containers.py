"""Rules about containers that forward requests to an app in the same pod."""

from __future__ import annotations

import os.path
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from lifecycle.checks.commands.programs import programs
from lifecycle.checks.errors import Unreadable
from lifecycle.checks.node import Node
from lifecycle.checks.rule import DOCS, Found, Severity, Table
from lifecycle.checks.workloads.container import Container
from lifecycle.checks.workloads.stop_signals import image_name, known_server
from lifecycle.checks.workloads.workload import Workload

RULES: Final = Table()

_FRONTS: Final = frozenset((
    "nginx", "nginx-unprivileged", "openresty", "angie", "envoy", "haproxy", "traefik", "caddy",
    "httpd", "httpd-foreground", "apache2", "apache2-foreground", "varnish", "varnishd",
    "oauth2-proxy",
))  # fmt: skip


def is_front(container: Container) -> bool:
    """Tell whether the command or image of a container is a known proxy or web server."""
    names = {words[0] for words in programs(container.words)} | {image_name(container)}
    return bool(names & _FRONTS)


@RULES.add(
    "front-container",
    Severity.ERROR,
    sources=(
        f"{DOCS}/concepts/workloads/pods/pod-termination/",
        f"{DOCS}/concepts/workloads/pods/sidecar-containers/",
    ),
    fix=(
        "Make the front container a native sidecar (an init container with restartPolicy: Always), "
        "which Kubernetes stops after the app. Or give it a preStop that lasts as long as the app's "
        "drain, for example sleep: {seconds: 15}. For nginx, use exec: [sh, -c, sleep 15; nginx -s "
        "quit]."
    ),
)
def front_container(workload: Workload) -> Iterator[Found]:
    """A container in front of the app stops before the app has drained.

    Kubernetes stops all containers of a pod at the same time. During its drain, the app still accepts new requests for some seconds.
    A front container without a preStop, such as nginx, closes its port at once. So clients that still use the pod are refused.

    Severity:
        If a Service in the same run sends requests to the front container, the finding is an error. If only the `ports` of the container show its role, the finding is a warning.
        If `lifecycle check` does not know the program, the finding is a warning. The Service must then send requests to this container, and to no port of an app under pod-lifecycle.

    Scope:
        The rule knows programs such as nginx, envoy and haproxy.
    """
    drains = [each for each in workload.apps if _drains(each)]
    if not drains:
        return
    targets = _targets(workload)
    ours = [each for each in drains if _serves_under_a_lifecycle(each)]
    behind = ours and not any(_takes(each, targets) for each in drains)
    for container in workload.containers:
        if container.pre_stop or container.is_lifecycle or container.is_native_sidecar:
            continue
        known = is_front(container)
        app = drains[0] if known else next(iter(ours), drains[0])
        message = f"{container.name} has no preStop, and stops before {app.name} has drained"
        if _takes(container, targets) and (known or behind):
            yield Found(container.node, message, None if known else Severity.WARNING)
        elif known and not targets and container.ports and container in workload.apps:
            yield Found(container.node, message, Severity.WARNING)


def _drains(container: Container) -> bool:
    """Tell whether a container drains requests. If it serves nothing, its hook has another purpose."""
    if container.is_lifecycle:
        return True
    serves = container.ports or "readiness" in container.probes
    serves = serves or known_server(container) not in ("", "celery")
    return bool(container.pre_stop and serves) and not is_front(container)


def _serves_under_a_lifecycle(container: Container) -> bool:
    declared = {port.at("containerPort").number(0) for port in container.ports}
    return container.is_lifecycle and bool(declared - {container.qos_port})


def _targets(workload: Workload) -> list[Node]:
    """Return the target ports of the Services for the workload's pods, from the nearest files."""
    labels = workload.template.at("metadata", "labels").plain()
    own = workload.document
    nearest: list[list[Node]] = [[], [], []]
    for each in workload.around.others:
        if each.kind != "Service" or each.namespace != own.namespace:
            continue
        with suppress(Unreadable):
            selector = each.node.at("spec", "selector").plain()
            if _selects(selector, labels):
                nearest[_distance(own.file, each.file)] += [
                    port.at("targetPort") or port.at("port")
                    for port in each.node.at("spec", "ports").each()
                ]
    return next((ports for ports in nearest if ports), [])


def _selects(selector: object, labels: object) -> bool:
    """Tell whether a selector matches labels. Both may have a type that Kubernetes refuses."""
    if not isinstance(selector, dict) or not isinstance(labels, dict):
        return False
    return bool(selector) and selector.items() <= labels.items()


def _distance(one: str, other: str) -> int:
    """Return the distance of two files: 0 is the same file, 1 the same folder, 2 another folder."""
    return (one != other) + (os.path.dirname(one) != os.path.dirname(other))


def _takes(container: Container, targets: list[Node]) -> bool:
    names = {each.at("name").shown() for each in container.ports if each.at("name")}
    numbers = {each.at("containerPort").shown() for each in container.ports}
    return any(each.shown() in names | numbers for each in targets)
