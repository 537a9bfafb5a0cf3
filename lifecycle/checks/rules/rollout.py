"""Rules about several pods, and about pods on one node."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations
from typing import Final

from lifecycle.checks.node import Node, digits
from lifecycle.checks.rule import DOCS, Found, Severity, Table
from lifecycle.checks.workloads.workload import Workload

RULES: Final = Table()

_BY_STRATEGY: Final = ("Deployment", "Rollout", "DeploymentConfig")
"""Kinds with the field `strategy`. Other kinds have `updateStrategy`."""

_TERMINATING: Final = (
    "https://github.com/kubernetes/enhancements/tree/master/keps/sig-network/"
    "1669-proxy-terminating-endpoints"
)


@RULES.add(
    "max-unavailable",
    Severity.ERROR,
    sources=(f"{DOCS}/reference/kubernetes-api/workload-resources/deployment-v1",),
    fix=(
        "Set maxUnavailable: 0 and maxSurge: 1. A StatefulSet has no maxSurge, so set maxUnavailable: "
        "1 there. Or set replicas to more than maxUnavailable."
    ),
)
def max_unavailable(workload: Workload) -> Iterator[Found]:
    """A rolling update may stop all pods at once.

    maxUnavailable is as large as the number of pods. So no pod serves until the first new pod is ready.

    Severity:
        With `Recreate`, which stops all pods on purpose, and in a DaemonSet, the finding is a warning.
        If the manifest has no `replicas`, the finding is a warning too, because an autoscaler or an overlay may set them.

    Scope:
        The rule ignores `OnDelete`, where maxUnavailable has no meaning, and a StatefulSet with a `partition`, which updates only some of its pods.
    """
    if not _serves(workload):
        return
    strategy = _strategy(workload)
    how = strategy.at("type").text()
    if how == "Recreate":
        message = "Recreate stops all pods before it starts new pods"
        yield Found(strategy, message, Severity.WARNING)
        return
    limit = _limit(strategy)
    if how == "OnDelete" or not limit:
        return
    if workload.is_partial and workload.kind not in _BY_STRATEGY:
        return  # the base of the patch may have OnDelete or a partition
    if workload.kind == "DaemonSet" and limit.shown() == "100%":
        yield Found(limit, "an update stops 100% of the pods at once", Severity.WARNING)
    elif workload.replicas and not _is_partitioned(workload, strategy):
        if workload.kind == "StatefulSet" and workload.replicas == 1:
            return  # there is no other way, and the rule `one-replica` reports it
        taken = _of(limit, workload.replicas)
        if taken is not None and taken >= workload.replicas:
            message = f"an update stops {limit.shown()} of {workload.replicas:g} replicas at once"
            yield Found(limit, message, None if _is_certain(workload, limit) else Severity.WARNING)


def _is_certain(workload: Workload, limit: Node) -> bool:
    """Tell whether the finding holds whatever other files add. They may set missing replicas."""
    said = workload.node.at("spec", "replicas")
    return bool(said) or workload.scaler is not None or limit.shown() == "100%"


def _strategy(workload: Workload) -> Node:
    """Return the update strategy. Empty if an Argo Rollout replaces the pods."""
    if workload.kind == "Deployment" and workload.scaler and workload.scaler.is_rollout:
        return Node()
    by_strategy = workload.kind in _BY_STRATEGY
    return workload.node.at("spec", "strategy" if by_strategy else "updateStrategy")


def _limit(strategy: Node) -> Node:
    """Return maxUnavailable from the place where the kind of workload has it."""
    places = (
        strategy.at("rollingUpdate"),
        strategy.at("canary"),
        strategy.at("rollingParams"),
        strategy,
    )
    return next((found for each in places if (found := each.at("maxUnavailable"))), Node())


def _is_partitioned(workload: Workload, strategy: Node) -> bool:
    if workload.kind not in ("StatefulSet", "CloneSet"):
        return False
    partitions = (each.at("partition") for each in (strategy.at("rollingUpdate"), strategy))
    return any(each and each.shown() not in ("0", "0%") for each in partitions)


def _of(limit: Node, replicas: float) -> float | None:
    text = limit.shown()
    number = digits(text.removesuffix("%"))
    if number is not None and text.endswith("%"):
        return math.floor(number * replicas / 100)
    return number


@RULES.add(
    "one-replica",
    Severity.WARNING,
    sources=(_TERMINATING,),
    fix="Run two replicas or more. If you want one replica on purpose, name one-replica in the "
    "annotation pod-lifecycle.dev/ignore.",
)
def one_replica(workload: Workload) -> Iterator[Found]:
    """There is only one replica.

    If the pod is evicted or its node is drained, your service is down until a new pod is ready.
    If no endpoint is ready, kube-proxy sends traffic to terminating endpoints that still serve. A drain makes readiness fail, so this fallback is lost.

    Scope:
        If no client connects to your app, for example to a queue worker, one replica may be enough. Then name one-replica in the annotation.
    """
    if workload.replicas == 1 and workload.kind != "ReplicaSet" and _serves(workload):
        said, scaler = workload.node.at("spec", "replicas"), workload.scaler
        if scaler:
            yield Found(said, f"{scaler.name} may scale the workload to one replica")
        else:
            yield Found(said, "one replica" + ("" if said else ", which is the default"))


def _serves(workload: Workload) -> bool:
    return any(each.ports or "readiness" in each.probes for each in workload.apps)


@RULES.add(
    "qos-port-clash",
    Severity.ERROR,
    sources=(f"{DOCS}/concepts/configuration/overview/",),
    fix="Remove hostPort and hostNetwork, because the kubelet uses the pod's own address. If you need "
    "the network of the node, set a different LIFECYCLE_QOS_PORT in each app.",
)
def qos_port_clash(workload: Workload) -> Iterator[Found]:
    """Two apps on one node, or in one pod, need the same QOS port.

    The second app cannot open pod-lifecycle's probe port (QOS port), so it does not start. If the port is declared, Kubernetes never schedules the second pod on that node.
    With a hostPort, the QOS port is also open to every client that can reach the node.

    Severity:
        If the pod uses the network of the node, but no other app in these manifests needs the same port, the finding is a warning.
    """
    ours = workload.ours
    for container in ours:
        for port in container.ports:
            if not port.at("hostPort") or workload.host_network:
                continue
            message = f"{container.name}: hostPort {port.at('hostPort').shown()}"
            if port.at("containerPort").number(0) == container.qos_port:
                yield Found(port, f"{message} opens the QOS port on the node")
            elif port.at("hostPort").number(0) == container.qos_port:
                what = "is also the QOS port of a pod on the node's network"
                yield Found(port, f"{message} {what}", Severity.WARNING)
    for first, second in combinations(ours, 2):
        if first.qos_port == second.qos_port and first.is_known("qos_port"):
            message = f"{first.name} and {second.name} share a network and port {first.qos_port}"
            yield Found(second.node, message)
    if ours and workload.host_network:
        yield from _on_the_node(workload, {each.qos_port for each in ours})


def _on_the_node(workload: Workload, ports: set[int]) -> Iterator[Found]:
    shown = ", ".join(map(str, sorted(ports)))
    rivals = [
        other
        for port in ports
        for other in workload.around.on_the_node.get(port, ())
        if other.may_run_with(workload)
    ]
    where = workload.pod.at("hostNetwork")
    if rivals:
        more = f" and {len(rivals) - 1} more" if rivals[1:] else ""
        yield Found(where, f"{rivals[0]}{more} may use port {shown} on the same node")
    else:
        message = f"port {shown} is a port of the node, so only one such pod fits on each node"
        yield Found(where, message, Severity.WARNING)
