"""Rules on the place of a pod: scheduler, node, volumes, and the end by the kubelet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from lifecycle_fleet.view.pod import moment
from lifecycle_fleet.why.facts import Facts
from lifecycle_fleet.why.finding import Found, Saying, Table
from lifecycle_fleet.why.reading import objects, seconds, text
from lifecycle_fleet.why.rules.images import is_created, is_past

RULES: Final[Table[Facts]] = Table()

UNSEEN: Final = 15.0
"""Seconds after which a pod that no scheduler has seen is mentioned."""
INSUFFICIENT: Final = re.compile(r"Insufficient ([\w./-]+?)[.,]?(?:\s|$)")
PARTS: Final = re.compile(r", (?=\d+ )")
TAINT: Final = re.compile(r"untolerated taint(?:\(s\))?(?: (\{[^}]*\}))?")
NOT_FOUND: Final = re.compile(
    r'(persistentvolumeclaim|configmap|secret)s? "([^"]+)" not found', re.IGNORECASE
)

RESOURCES: Final = Saying(
    "Too little {resource} is left for the pod on {nodes}.",
    "Lower resources.requests in the manifest, or add a node",
)
FULL: Final = Saying(
    "As many pods as allowed already run on {nodes}.",
    "Add a node, or delete pods that you do not need",
)
SELECTOR: Final = Saying(
    "The nodeSelector or the node affinity of the pod excludes {nodes}.",
    "kubectl get nodes --show-labels",
)
TAINTED: Final = Saying(
    "The pod does not tolerate the taint {taint} of {nodes}.",
    "Add a toleration to the manifest, or remove the taint from a node",
)
UNUSABLE: Final = Saying(
    "Kubernetes keeps new pods away from {nodes}, because of the taint {taint}.",
    "kubectl describe nodes",
)
CORDONED: Final = Saying(
    "New pods are not placed on {nodes}, because of a cordon.",
    "kubectl uncordon NODE",
)
SPREAD: Final = Saying(
    "The affinity to other pods, or the spread of the pods, excludes {nodes}.",
    "Compare topologySpreadConstraints and podAntiAffinity with the number of nodes",
)
CLAIM: Final = Saying(
    "The pod waits for a volume that is not bound or does not exist.",
    "kubectl -n {ns} get pvc",
)
ELSEWHERE_BOUND: Final = Saying(
    "The node affinity of a volume of the pod excludes {nodes}.",
    "Compare the node affinity in kubectl describe pv with kubectl get nodes --show-labels",
)
NOT_BOUND: Final = Saying(
    "The scheduler has chosen a node, but a volume of the pod was not bound in time.",
    "kubectl -n {ns} describe pvc",
)
HOST_PORT: Final = Saying(
    "The hostPort of the pod is already used on {nodes}.",
    "Remove hostPort from the manifest",
)
NO_NODE: Final = Saying(
    "The scheduler finds no node for the pod.",
    "kubectl -n {ns} describe pod {pod}",
)
GATED: Final = Saying(
    "The scheduling gate {gate} keeps the pod from being scheduled. The program that has added the "
    "gate has to remove it.",
    "Find the program that removes {gate}, and read its log",
)
NO_SCHEDULER: Final = Saying(
    "No scheduler has looked at the pod for {age}. Its schedulerName is {scheduler}.",
    "Check that this scheduler is running",
)
NO_SCHEDULER_OR_VOLUME: Final = Saying(
    "The pod has had no node for {age}. Either a volume of the pod is being created, or the scheduler "
    "{scheduler} has not looked at the pod.",
    "kubectl -n {ns} describe pvc",
)
REASONS: Final = (
    (r"Too many pods", FULL),
    (r"volume node affinity", ELSEWHERE_BOUND),
    (r"(?<!volume )node affinity|node selector|nodeSelector", SELECTOR),
    (r"topology spread|pod affinity|anti-affinity", SPREAD),
    (r"unbound|persistentvolumeclaim|persistent volume", CLAIM),
    (r"binding volumes|provisioning failed", NOT_BOUND),
    (r"free ports", HOST_PORT),
    (r"were unschedulable", CORDONED),
)
OWN_TAINTS: Final = ("node.kubernetes.io/", "node.cloudprovider.kubernetes.io/")
"""The prefixes of taints that Kubernetes itself sets, for example on a node that is not ready."""


@RULES.add(
    "unschedulable",
    *(RESOURCES, FULL, SELECTOR, TAINTED, UNUSABLE, CORDONED, SPREAD, CLAIM, ELSEWHERE_BOUND),
    *(NOT_BOUND, HOST_PORT, NO_NODE, GATED, NO_SCHEDULER, NO_SCHEDULER_OR_VOLUME),
)
def unschedulable(facts: Facts) -> Iterator[Found]:
    """
    The scheduler finds no node for the pod.

    The condition `PodScheduled` has the sentence of the scheduler, with the number of nodes for each
    reason. Each reason alone rules out a node, so several of them may be given for the same node.
    """
    if text(facts.spec, "nodeName") or facts.leaving or facts.over:
        return
    found = facts.the_condition("PodScheduled")
    message = text(found, "message")
    fields = {"ns": facts.namespace, "pod": facts.name}
    if gates := [text(each, "name") for each in objects(facts.spec, "schedulingGates")]:
        yield GATED.found("spec.schedulingGates", gate=", ".join(gates))
    elif text(found, "status") == "False":
        evidence = f"status.conditions: PodScheduled: {text(found, 'reason')}: {message}"
        # Behind "preemption:" is why no other pod was evicted for this one.
        for saying, more in _reasons(message.partition(" preemption:")[0]):
            yield saying.found(evidence, **fields, **more)
    elif facts.age > UNSEEN:
        volumes = objects(facts.spec, "volumes")
        claims = any("persistentVolumeClaim" in each or "ephemeral" in each for each in volumes)
        yield (NO_SCHEDULER_OR_VOLUME if claims else NO_SCHEDULER).found(
            "spec.nodeName is not set",
            ns=facts.namespace,
            age=seconds(facts.age),
            scheduler=text(facts.spec, "schedulerName") or "default-scheduler",
        )


def _reasons(message: str) -> Iterator[tuple[Saying, dict[str, object]]]:
    """Yield each reason in the sentence of the scheduler, with the nodes that it rules out."""
    head, _, tail = message.partition(" nodes are available: ")
    total = head.rpartition("/")[2] if tail else ""
    counted: dict[tuple[Saying, str], list[int]] = {}
    for part in PARTS.split(tail or message):
        number = re.match(r"\d+ ", part)
        for found in _of_part(part):
            counted.setdefault(found, []).append(int(number[0]) if number else 0)
    for (saying, name), numbers in counted.items():
        some = total.isdecimal() and 0 < max(numbers) < int(total)
        nodes = f"{max(numbers)} of {total} nodes" if some else "every node"
        yield saying, {"nodes": nodes, "resource": name, "taint": name}
    if not counted:
        yield NO_NODE, {}


def _of_part(part: str) -> Iterator[tuple[Saying, str]]:
    for name in INSUFFICIENT.findall(part):
        yield RESOURCES, name
    for pattern, saying in REASONS:
        if re.search(pattern, part, re.IGNORECASE):
            yield saying, ""
    for taint in TAINT.findall(part):
        own = taint.strip("{").startswith(OWN_TAINTS)
        yield UNUSABLE if own else TAINTED, taint


NODE_SILENT: Final = Saying(
    "The kubelet of the node {node} has not reported for {age}, so the state of the pod is not known.",
    "kubectl describe node {node}",
)
NODE_NOT_READY: Final = Saying(
    "The node {node} is not ready.",
    "kubectl describe node {node}",
)
NODE_GONE: Final = Saying(
    "The node {node} no longer exists, so no kubelet takes care of the pod.",
    "kubectl -n {ns} delete pod {pod} --force",
)


@RULES.add("node", NODE_GONE, NODE_SILENT, NODE_NOT_READY)
def node(facts: Facts) -> Iterator[Found]:
    """
    The node of the pod is not ready.

    Without its kubelet, a pod neither becomes ready nor ends. If you are certain that the node is
    switched off, `kubectl delete pod --force` removes the pod from the API server.

    > [!WARNING]
    > `--force` does not end the containers. If the node still runs, the containers continue to run.
    """
    name = text(facts.spec, "nodeName")
    if not name or facts.over:
        return
    fields = {"node": name, "ns": facts.namespace, "pod": facts.name}
    if facts.node is None:
        yield NODE_GONE.found(f"spec.nodeName: {name}", **fields)
        return
    conditions = objects(facts.node, "status", "conditions")
    ready = next((each for each in conditions if text(each, "type") == "Ready"), None)
    if ready is None:
        events = facts.events_of("NodeNotReady")
        if events and not facts.ready and facts.now - events[-1].last < 600:
            yield NODE_NOT_READY.found(events[-1].quoted(facts.now), **fields)
        return
    evidence = f"node {name}: Ready: {text(ready, 'status')}: {text(ready, 'message')}"
    if text(ready, "status") == "Unknown":
        beat = moment(text(ready, "lastHeartbeatTime"))
        age = seconds(facts.now - beat) if beat else "a while"
        yield NODE_SILENT.found(evidence, **fields, age=age)
    elif text(ready, "status") == "False":
        yield NODE_NOT_READY.found(evidence, **fields)


NO_OBJECT: Final = Saying(
    "A volume of the pod needs the {kind} {name}, which does not exist.",
    "Create the {kind} {name} in the namespace {ns}, or correct the name in the manifest",
)
ELSEWHERE: Final = Saying(
    "A volume of the pod is still attached to another node.",
    "Wait until the pod on the other node has ended, or look for a node that is not reachable",
)
NOT_MOUNTED: Final = Saying(
    "A volume of the pod cannot be mounted.",
    "kubectl -n {ns} describe pod {pod}",
)


@RULES.add("volume", NO_OBJECT, ELSEWHERE, NOT_MOUNTED)
def volume(facts: Facts) -> Iterator[Found]:
    """
    A volume cannot be mounted.

    The containers are created only when all volumes are mounted. The kubelet repeats the attempt,
    with pauses of up to 2 minutes.
    """
    events = facts.events_of("FailedMount", "FailedAttachVolume", "FailedMapVolume")
    if not events or not is_created(facts) or is_past(facts, events[-1]):
        return
    event = next((each for each in reversed(events) if NOT_FOUND.search(each.message)), events[-1])
    found = NOT_FOUND.search(event.message)
    fields = {"ns": facts.namespace, "pod": facts.name}
    if found:
        yield NO_OBJECT.found(
            event.quoted(facts.now), **fields, kind=found[1].lower(), name=found[2]
        )
    else:
        saying = ELSEWHERE if "Multi-Attach" in event.message else NOT_MOUNTED
        yield saying.found(event.quoted(facts.now), **fields)


ENDED: Final = Saying(
    "The pod was ended with the reason {reason}, and does not start again.",
    "kubectl -n {ns} delete pod {pod}",
)


@RULES.add("pod-ended", ENDED)
def ended(facts: Facts) -> Iterator[Found]:
    """
    The kubelet has ended the pod, or has refused to start it.

    For example, the reason `Evicted` means that the node had too little memory or disk space, and
    `OutOfcpu` that the pod did not fit on its node. A Deployment has already replaced such a
    pod.
    """
    reason = text(facts.status, "reason")
    if facts.phase == "Failed" and reason and not facts.leaving:
        yield ENDED.found(
            f"status.reason: {reason}: {text(facts.status, 'message')}",
            reason=reason,
            ns=facts.namespace,
            pod=facts.name,
        )
