"""Pods for the sentences that are seldom said, pods with notes only, and pods with nothing wrong."""

from __future__ import annotations

from plugins.fleet.tests.why_cases import (
    STARTING,
    UNREADY,
    UNSCHEDULABLE,
    Case,
    broken,
    changed,
    container,
    imageless,
    pending,
    unanswered,
)
from plugins.fleet.tests.why_objects import (
    NOW,
    TOLD,
    answers,
    budget,
    condition,
    event,
    exported,
    facts,
    foreign,
    leaving,
    node,
    piece,
    pod,
    running,
    service,
    status,
    terminated,
    unhealthy,
)

STILL_STARTING = running(ready=False, started=False, ago=140)
AFTER_A_DRAIN = running(ready=False, started=False, ago=5) | {
    "restartCount": 1,
    "lastState": terminated(124, ago=6, ran=140),
}
RARE: dict[str, Case] = {
    "a run whose startup probe never passes, without an event of its end": Case(
        broken(pod(STILL_STARTING, ready=False, gate=None), answers=unanswered()),
        ("startup-budget",),
        "Container orders has been running for 2 min, and its startup probe, which allows 2 min, has not "
        "passed. So the kubelet ends the container, and starts it again.",
        "The number is a guess.",
    ),
    "a run that was ended and drained, without an event of its end": Case(
        broken(
            pod(AFTER_A_DRAIN, ready=False, gate=None),
            unhealthy("Startup", "HTTP probe failed with statuscode: 503", ago=120, count=24),
            answers=unanswered(),
        ),
        ("startup-budget",),
        "Container orders exited with 124, 2 min after its start. Its startup probe allows 2 min and has "
        "failed, so either the kubelet has ended the container, or the container has ended by itself.",
        "The number is a guess.",
    ),
    "a registry that has not answered": Case(
        broken(
            pod(STARTING, ready=False, gate=None),
            answers=answers(status("exporting", services=[exported("unknown")])),
        ),
        ("starting",),
        "The app is still starting, for 20 s so far. It waits for an answer of the service registry "
        "kubernetes about the service orders.",
    ),
    "every service offline by both": Case(
        broken(
            pod(UNREADY, ready=False, gate=False),
            answers=answers(
                status(
                    services=[exported("no", online=False, held_by={"app": "x", "operator": "y"})]
                )
            ),
        ),
        ("offline",),
        "An administrator and the app itself have taken every service offline",
    ),
    "a start, as the annotation has it": Case(
        broken(
            pod(
                STARTING,
                ready=False,
                gate=None,
                told=TOLD | {"state": "starting", "since": NOW - 19, "start": None},
            ),
            answers=unanswered(),
        ),
        ("starting",),
        "The app is still starting, for 20 s so far. Its state is starting.",
    ),
    "an image for another architecture": Case(
        broken(
            imageless("ErrImagePull", "no match for platform in manifest: not found"),
            answers=unanswered(),
        ),
        ("image",),
        "The image registry.example/orders:1 of container orders is not built for the architecture",
    ),
    "an image that is pulled too often": Case(
        broken(imageless("ErrImagePull", "toomanyrequests: rate limit"), answers=unanswered()),
        ("image",),
        "The registry limits how often the image",
    ),
    "an image, and no reason": Case(
        broken(imageless("ImagePullBackOff"), answers=unanswered()),
        ("image",),
        "The image registry.example/orders:1 of container orders cannot be pulled.",
    ),
    "a configuration, and no known reason": Case(
        broken(imageless("CreateContainerConfigError", "no such device"), answers=unanswered()),
        ("container-config",),
        "The kubelet cannot configure container orders.",
    ),
    "a container that cannot be created": Case(
        broken(
            imageless("CreateContainerError", "context deadline exceeded"), answers=unanswered()
        ),
        ("container-start",),
        "The node cannot start container orders.",
    ),
    "nodes that are cordoned": Case(
        broken(pending(UNSCHEDULABLE + "3 node(s) were unschedulable."), answers=unanswered()),
        ("unschedulable",),
        "New pods are not placed on every node",
    ),
    "a spread that fits nowhere": Case(
        broken(
            pending(UNSCHEDULABLE + "3 node(s) didn't match pod topology spread constraints."),
            answers=unanswered(),
        ),
        ("unschedulable",),
        "The affinity to other pods, or the spread of the pods, excludes every node.",
    ),
    "a claim that is not bound": Case(
        broken(
            pending(UNSCHEDULABLE + "pod has unbound immediate PersistentVolumeClaims."),
            answers=unanswered(),
        ),
        ("unschedulable",),
        "The pod waits for a volume that is not bound or does not exist.",
    ),
    "a host port that is taken": Case(
        broken(
            pending(
                UNSCHEDULABLE + "3 node(s) didn't have free ports for the requested pod ports."
            ),
            answers=unanswered(),
        ),
        ("unschedulable",),
        "The hostPort of the pod is already used on every node.",
    ),
    "a reason that is not known": Case(
        broken(pending(UNSCHEDULABLE + "3 node(s) had a bad day."), answers=unanswered()),
        ("unschedulable",),
        "The scheduler finds no node for the pod.",
    ),
    "a node that is not ready": Case(
        broken(pod(UNREADY, ready=False), node=node("False"), answers=unanswered()),
        ("node",),
        "The node node-1 is not ready.",
    ),
    "a node that may not be read, and an event": Case(
        broken(
            pod(UNREADY, ready=False),
            event("NodeNotReady", "Node is not ready", container=""),
            node={},
            answers=unanswered(),
        ),
        ("node",),
        "The node node-1 is not ready.",
    ),
    "a volume that is not mounted": Case(
        broken(
            imageless("ContainerCreating"),
            event("FailedMount", "Unable to attach or mount volumes: timed out", container=""),
            answers=unanswered(),
        ),
        ("volume",),
        "A volume of the pod cannot be mounted.",
    ),
    "a command of a probe that is slow": Case(
        broken(
            container(pod(UNREADY, ready=False), readinessProbe={"exec": {"command": ["check"]}}),
            unhealthy("Readiness", 'command "check" timed out after 1s'),
        ),
        ("probe-answer",),
        "The command of the readinessProbe of container orders does not end within 1 s.",
    ),
    "a probe that fails in another way": Case(
        broken(
            foreign(running("web", ready=False), ready=False),
            unhealthy("Readiness", "EOF", container="web"),
            services=(),
            answers=unanswered(),
        ),
        ("probe-answer",),
        "The readinessProbe of container web fails.",
    ),
    "several finalizers": Case(
        broken(
            pod(
                running(ready=False) | {"state": terminated(0, "Completed", ago=70)},
                ready=False,
                **leaving(100, finalizers=["a.example/x", "b.example/y"]),
            ),
            answers=unanswered(),
        ),
        ("finalizer",),
        "No container of the pod runs, but the finalizers a.example/x, b.example/y keep the pod",
    ),
    "a deleted pod without a node": Case(
        broken(
            changed(pod(ready=False, **leaving(90)), lambda each: each["spec"].pop("nodeName")),
            answers=unanswered(),
        ),
        ("not-removed",),
        "The pod was deleted 60 s ago, but no kubelet has seen it",
    ),
    "a budget that is not worked out": Case(
        facts(
            node=node(cordoned=True),
            budgets=(changed(budget(), lambda each: each["metadata"].update(generation=2)),),
        ),
        ("eviction",),
        "The node node-1 is cordoned, but the pod cannot be evicted from it. The controller",
    ),
    "a second Service that selects nothing": Case(
        facts(
            services=(service("found"), service(labels={"app.kubernetes.io/name": "order"})),
            slices=(piece("found"), piece("orders", pods=())),
        ),
        ("service-selector",),
        "The Service orders selects no pod. It selects app.kubernetes.io/name=order, but this pod has",
    ),
    "a kubelet that is late": Case(
        broken(
            foreign(running("web"), ready=False)
            | {
                "status": {
                    "phase": "Running",
                    "conditions": [
                        condition("Ready", "False"),
                        condition("ContainersReady", "True"),
                    ],
                    "containerStatuses": [running("web")],
                }
            },
            services=(),
            answers=unanswered(),
        ),
        ("unexplained",),
        "All containers are ready. The kubelet has not updated the condition Ready yet.",
    ),
    "a pod that has failed": Case(
        broken(
            changed(
                foreign(phase="Failed", ready=False),
                lambda each: each["status"].update(containerStatuses=[]),
            ),
            answers=unanswered(),
            services=(),
        ),
        ("unexplained",),
        "The pod has failed, and none of the known causes applies.",
    ),
}
