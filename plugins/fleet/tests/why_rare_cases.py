"""Pods for the sentences that are seldom said, pods with notes only, and pods with nothing wrong."""

from __future__ import annotations

from typing import Any

from lifecycle_fleet.why.facts import Facts, Missing

from plugins.fleet.tests.why_cases import (
    GONE,
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
    Object,
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
    probe,
    refused,
    running,
    service,
    status,
    terminated,
    unhealthy,
)


def on_port_of_app(status: Object, **metadata: Any) -> Object:
    """A pod of ours whose readiness probe asks the app."""
    found = pod(status, ready=status["ready"], told=TOLD)
    found["metadata"]["annotations"] |= metadata
    return container(found, readinessProbe=probe("/", 8080))


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

NOTED: dict[str, Case] = {
    "a drain that waits": Case(
        broken(
            pod(UNREADY, ready=False, gate=False, **leaving(12)),
            answers=answers(
                status("draining", drain={"step": "settle", "waiting_for": ["settle, 2.1 s"]}),
                inflight={"in_flight": 0, "entries": []},
            ),
        ),
        (),
        "The app is draining. The drain waits for settle, 2.1 s. 18 s of the grace period remain.",
    ),
    "a drain, as the annotation has it": Case(
        broken(
            pod(UNREADY, ready=False, gate=False, told=TOLD | {"state": "draining"}, **leaving(12)),
            answers=unanswered(),
        ),
        (),
        "The app is draining. 18 s of the grace period remain.",
    ),
    "a foreign pod that ends": Case(
        broken(
            changed(foreign(ready=False), lambda each: each["metadata"].update(leaving(12))),
            answers=unanswered(),
            services=(),
        ),
        (),
        "The pod is terminating, and its containers still run. 18 s of the grace period remain.",
    ),
}
"""Pods that are deleted, and leave as they should."""

RIGHTS_AT_LAST = running(ago=90) | {
    "restartCount": 2,
    "lastState": terminated(124, ago=92, ran=150),
}
WORTH_KNOWING: dict[str, Case] = {
    "a startup probe that has passed after all": Case(
        facts(
            pod(RIGHTS_AT_LAST, told=TOLD),
            event("Killing", "Container orders failed startup probe, will be restarted", ago=120),
            unhealthy("Startup", "HTTP probe failed with statuscode: 503", ago=91),
        ),
        (),
        "The kubelet has restarted container orders, because its startup probe had not passed within "
        "2 min. In the present run, the startup probe has passed.",
    ),
    "a budget that never allows an eviction": Case(
        facts(budgets=(budget(0, 2, 2, 2, maxUnavailable=0),)),
        (),
        "No eviction of the pod is ever allowed",
    ),
    "a readinessProbe on the port of the app, which passes": Case(
        facts(on_port_of_app(running())),
        (),
        "The readinessProbe of container orders uses port 8080, but pod-lifecycle answers probes on "
        "port 22222.",
        "path: /ready and port: 22222",
    ),
    "a targetPort that is not declared": Case(
        facts(services=(service(target=9000),), answers=unanswered()),
        (),
        "The Service orders sends requests to port 9000, which no container of the pod declares.",
    ),
}
"""Pods that are ready, with something that is worth knowing."""

OLD_GLITCH = unhealthy("Readiness", "HTTP probe failed with statuscode: 503", ago=40)
HEALTHY: dict[str, tuple[Facts, str]] = {
    "a pod whose manifest wants its probe on the port of the app": (
        facts(on_port_of_app(running(), **{"pod-lifecycle.dev/ignore": "pdb, app-probe"})),
        "is ready, and clients find it.",
    ),
    "a pod of ours": (facts(), "is ready, and clients find it."),
    "a pod of ours that cannot be asked": (
        facts(answers=unanswered()),
        "is ready, and clients find it.",
    ),
    "a pod of ours without lifecycle-kubernetes": (
        facts(changed(pod(gate=None), lambda each: each["spec"].pop("readinessGates"))),
        "is ready, and clients find it.",
    ),
    "a pod that failed a probe at its start": (
        facts(pod(running(ago=50)), OLD_GLITCH, unhealthy("Startup", refused(22222), ago=49)),
        "is ready, and clients find it.",
    ),
    "a pod that was restarted an hour ago": (
        facts(
            pod(running(ago=3600) | {"restartCount": 1, "lastState": terminated(1, ago=3601)}),
            event("Killing", "Container orders failed liveness probe, will be restarted", ago=3602),
        ),
        "is ready, and clients find it.",
    ),
    "a pod that crashed once, and runs again": (
        facts(
            pod(running(ago=100) | {"restartCount": 1, "lastState": terminated(2, ago=101, ran=22)})
        ),
        "is ready, and clients find it.",
    ),
    "a pod that was out of memory yesterday": (
        facts(
            pod(
                running(ago=86000)
                | {"restartCount": 1, "lastState": terminated(137, "OOMKilled", ago=86001)}
            )
        ),
        "is ready, and clients find it.",
    ),
    "a foreign pod": (
        facts(
            foreign(),
            services=(service("web", 80, {"app": "web"}),),
            slices=(piece("web"),),
            budgets=(),
            answers=unanswered(listening={80: True}),
        ),
        "is ready, and clients find it.",
    ),
    "a foreign pod without a Service": (
        facts(foreign(), services=(), slices=(), budgets=(), answers=unanswered()),
        "is ready. No Service has it as an endpoint.",
    ),
    "a foreign pod among the Services of others": (
        facts(
            foreign(),
            services=tuple(service(name, 80, {"app": name}) for name in ("cart", "users", "mail")),
            slices=(),
            budgets=(),
            answers=unanswered(),
        ),
        "is ready. No Service has it as an endpoint.",
    ),
    "a blue pod next to a green Service": (
        facts(
            changed(pod(), lambda each: each["metadata"]["labels"].update(colour="blue")),
            services=(
                service("blue", labels={"app.kubernetes.io/name": "orders", "colour": "blue"}),
                service("green", labels={"app.kubernetes.io/name": "orders", "colour": "green"}),
            ),
            slices=(piece("blue"), piece("green", pods=())),
        ),
        "is ready, and clients find it.",
    ),
    "a pod of a Service without a selector": (
        facts(services=(service(), service("db", labels={}))),
        "is ready, and clients find it.",
    ),
    "a pod that became ready a moment ago": (
        facts(
            changed(
                pod(),
                lambda each: each["status"].update(
                    conditions=[
                        condition("Ready", "True", ago=1),
                        condition("ContainersReady", "True"),
                        condition("pod-lifecycle.dev/registered", "True"),
                    ]
                ),
            ),
            slices=GONE,
        ),
        "is ready, but clients do not find it.",
    ),
    "a pod whose EndpointSlices may not be read": (
        facts(slices=(), missing=(Missing("endpointslices", "forbidden", "resources: [x]"),)),
        "is ready.",
    ),
    "a pod with a sidecar": (
        facts(
            changed(
                pod(),
                lambda each: (
                    each["spec"].update(
                        initContainers=[{"name": "proxy", "restartPolicy": "Always"}]
                    ),
                    each["status"].update(initContainerStatuses=[running("proxy")]),
                ),
            )
        ),
        "is ready, and clients find it.",
    ),
    "a pod with init containers that have ended": (
        facts(
            changed(
                pod(),
                lambda each: (
                    each["spec"].update(initContainers=[{"name": "migrate"}]),
                    each["status"].update(
                        initContainerStatuses=[
                            running("migrate") | {"state": terminated(0, "Completed")}
                        ]
                    ),
                ),
            )
        ),
        "is ready, and clients find it.",
    ),
    "a pod on a cordoned node with a budget that allows it": (
        facts(node=node(cordoned=True), budgets=(budget(1),)),
        "is ready, and clients find it.",
    ),
    "a pod of a worker": (
        facts(services=(), slices=(), budgets=(), answers=answers(status(services=[]))),
        "is ready. No Service has it as an endpoint.",
    ),
    "a job that is complete": (
        facts(
            changed(
                foreign(ready=False, phase="Succeeded"),
                lambda each: (
                    each["spec"].update(restartPolicy="Never"),
                    each["status"].update(
                        containerStatuses=[
                            running("web", ready=False) | {"state": terminated(0, "Completed")}
                        ]
                    ),
                ),
            ),
            services=(),
            slices=(),
            budgets=(),
            answers=unanswered(),
        ),
        "is complete.",
    ),
    "a pod with UDP": (
        facts(
            services=(
                service(),
                changed(
                    service("dns", 53),
                    lambda each: each["spec"]["ports"][0].update(protocol="UDP"),
                ),
            ),
            slices=(piece(), piece("dns")),
        ),
        "is ready, and clients find it.",
    ),
}
