"""Rules about a container that stands in front of an app in the same pod."""

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
    """Tell whether a container is known as one that passes requests on, by command or image."""
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
        "Make the front a native sidecar (an init container with restartPolicy: Always), which "
        "Kubernetes ends after the app. Or give it a preStop that lasts as long as the app's drain, "
        "for example sleep: {seconds: 15}. For nginx: exec: [sh, -c, sleep 15; nginx -s quit]."
    ),
)
def front_container(workload: Workload) -> Iterator[Found]:
    """A container in front of the app stops before the app has drained.

    Kubernetes stops all containers of a pod at the same time. The app drains, and its drain needs new requests to arrive for some seconds.
    A front without a preStop, such as nginx, closes its port at once. So clients that still know the pod are refused.
    It is an error if a Service shown with the workload sends requests to the front. It is a warning if only the front's `ports` tell of it.
    The rule knows fronts such as nginx, envoy and haproxy. Of another program, it is a warning if a Service sends requests to it, and to no port of an app under a lifecycle.
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
    """Tell whether a container drains requests: a hook of what serves nothing is about other work."""
    if container.is_lifecycle:
        return True
    serves = container.ports or "readiness" in container.probes
    serves = serves or known_server(container) not in ("", "celery")
    return bool(container.pre_stop and serves) and not is_front(container)


def _serves_under_a_lifecycle(container: Container) -> bool:
    declared = {port.at("containerPort").number(0) for port in container.ports}
    return container.is_lifecycle and bool(declared - {container.qos_port})


def _targets(workload: Workload) -> list[Node]:
    """Return the ports of the Services that select the workload's pods, of the nearest files."""
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
    """Tell whether a Service's selector selects: both may be of a type that Kubernetes refuses."""
    if not isinstance(selector, dict) or not isinstance(labels, dict):
        return False
    return bool(selector) and selector.items() <= labels.items()


def _distance(one: str, other: str) -> int:
    """Tell how far files are from each other: environments have their own, with the same names."""
    return (one != other) + (os.path.dirname(one) != os.path.dirname(other))


def _takes(container: Container, targets: list[Node]) -> bool:
    names = {each.at("name").shown() for each in container.ports if each.at("name")}
    numbers = {each.at("containerPort").shown() for each in container.ports}
    return any(each.shown() in names | numbers for each in targets)
