"""Rules about several pods, and one node."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from lifecycle.checks.node import Node, digits
from lifecycle.checks.rule import DOCS, Found, Severity, Table
from lifecycle.checks.workloads.container import pairs
from lifecycle.checks.workloads.workload import Workload

RULES: Final = Table()

_BY_STRATEGY: Final = ("Deployment", "Rollout", "DeploymentConfig")
"""Kinds that have `strategy`; the others have `updateStrategy`."""

_TERMINATING: Final = (
    "https://github.com/kubernetes/enhancements/tree/master/keps/sig-network/"
    "1669-proxy-terminating-endpoints"
)


@RULES.add(
    "max-unavailable",
    Severity.ERROR,
    sources=(f"{DOCS}/reference/kubernetes-api/workload-resources/deployment-v1",),
    fix="Set maxUnavailable: 0 and maxSurge: 1 (a StatefulSet, which has no maxSurge: "
    "maxUnavailable: 1), or raise the replicas above maxUnavailable.",
)
def max_unavailable(workload: Workload) -> Iterator[Found]:
    """A rolling update takes all pods at once.

    maxUnavailable is as many as there are: no pod serves until the first new one is ready.
    It is a warning for `Recreate`, which does so by intention, and for a DaemonSet.
    It is also a warning if the manifest has no `replicas`, because an autoscaler or an overlay may set them.
    With `OnDelete`, maxUnavailable has no meaning. With a `partition`, a StatefulSet updates only some of its pods.
    """
    if not _serves(workload):
        return
    strategy = _strategy(workload)
    how = strategy.at("type").text()
    if how == "Recreate":
        message = "Recreate stops every pod before it starts another"
        yield Found(strategy, message, Severity.WARNING)
        return
    limit = _limit(strategy)
    if how == "OnDelete" or not limit:
        return
    if workload.is_partial and workload.kind not in _BY_STRATEGY:
        return  # its base may say OnDelete, or a partition
    if workload.kind == "DaemonSet" and limit.shown() == "100%":
        yield Found(limit, "100% are taken at once", Severity.WARNING)
    elif workload.replicas and not _is_partitioned(workload, strategy):
        if workload.kind == "StatefulSet" and workload.replicas == 1:
            return  # it cannot do otherwise: the rule `one-replica` tells
        taken = _of(limit, workload.replicas)
        if taken is not None and taken >= workload.replicas:
            message = f"{limit.shown()} of {workload.replicas:g} replicas are taken at once"
            yield Found(limit, message, None if _is_certain(workload, limit) else Severity.WARNING)


def _is_certain(workload: Workload, limit: Node) -> bool:
    """Tell whether nothing that was not read can leave a pod: it may set replicas left out."""
    said = workload.node.at("spec", "replicas")
    return bool(said) or workload.scaler is not None or limit.shown() == "100%"


def _strategy(workload: Workload) -> Node:
    """Return how its pods are replaced; nothing where an Argo Rollout replaces them."""
    if workload.kind == "Deployment" and workload.scaler and workload.scaler.is_rollout:
        return Node()
    by_strategy = workload.kind in _BY_STRATEGY
    return workload.node.at("spec", "strategy" if by_strategy else "updateStrategy")


def _limit(strategy: Node) -> Node:
    """Return maxUnavailable, wherever the kinds have it."""
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
    fix="Run two replicas or more. If you want one on purpose, name one-replica in the annotation "
    "pod-lifecycle.dev/ignore.",
)
def one_replica(workload: Workload) -> Iterator[Found]:
    """There is one replica.

    If no endpoint is ready, kube-proxy sends traffic to terminating endpoints that still serve. A drain makes readiness fail, so this fallback is lost.
    If the pod is evicted or its node is drained, your service is down until a new pod is ready.
    """
    if workload.replicas == 1 and workload.kind != "ReplicaSet" and _serves(workload):
        said, scaler = workload.node.at("spec", "replicas"), workload.scaler
        if scaler:
            yield Found(said, f"{scaler.name} may scale it to one replica")
        else:
            yield Found(said, "one replica" + ("" if said else ", which is the default"))


def _serves(workload: Workload) -> bool:
    return any(each.ports or "readiness" in each.probes for each in workload.apps)


@RULES.add(
    "qos-port-clash",
    Severity.ERROR,
    sources=(f"{DOCS}/concepts/configuration/overview/",),
    fix="Leave hostPort and hostNetwork out: the kubelet reaches the pod's own address. Where the "
    "node's network is needed, give each its own LIFECYCLE_QOS_PORT.",
)
def qos_port_clash(workload: Workload) -> Iterator[Found]:
    """Two of a node, or of a pod, want the same QOS port.

    The second one cannot open the port, and does not start; or, as the port is declared, is never scheduled there.
    With a hostPort the QOS port is also open to whoever reaches the node.
    It is a warning where the node's network alone makes it possible, and nothing in these manifests shares it.
    """
    ours = workload.ours
    for container in ours:
        for port in container.ports:
            if not port.at("hostPort") or workload.host_network:
                continue
            message = f"{container.name}: hostPort {port.at('hostPort').shown()}"
            if port.at("containerPort").number(0) == container.qos_port:
                yield Found(port, message)
            elif port.at("hostPort").number(0) == container.qos_port:
                what = "where a pod on the node's network has its QOS port"
                yield Found(port, f"{message}, {what}", Severity.WARNING)
    for first, second in pairs(ours):
        if first.qos_port == second.qos_port and first.is_known("qos_port"):
            message = f"{first.name} and {second.name} share a network, and port {first.qos_port}"
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
        yield Found(where, f"port {shown} of the node is also that of {rivals[0]}{more}")
    else:
        yield Found(where, f"port {shown} is the node's: one a node", Severity.WARNING)
