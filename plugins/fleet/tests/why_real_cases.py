"""Pods with the messages of real clusters, in which one sign of many is the cause."""

from __future__ import annotations

from typing import Any

from plugins.fleet.tests.why_cases import (
    ALONE,
    BACK_OFF,
    UNSCHEDULABLE,
    Case,
    broken,
    changed,
    pending,
    web,
)
from plugins.fleet.tests.why_image_cases import PULLS
from plugins.fleet.tests.why_objects import (
    Object,
    at,
    budget,
    crashed,
    event,
    leaving,
    node,
    probe,
    refused,
    running,
    terminated,
    unhealthy,
    waiting,
)


def creating(*events: Object) -> Any:
    return broken(web(waiting("ContainerCreating", name="web"), phase="Pending"), *events, **ALONE)


def initialized_by(status: Object, **fields: Any) -> Object:
    """A pod of nginx whose container waits for a sidecar or an init container."""
    found = web(waiting("PodInitializing", name="web"), phase="Pending")
    found["spec"]["initContainers"] = [{"name": "first", "image": "first:1", **fields}]
    found["status"]["initContainerStatuses"] = [status]
    return found


def deleted(found: Object, since: float, **more: Any) -> Object:
    return changed(found, lambda each: each["metadata"].update(leaving(since, **more)))


def placed(message: str) -> Any:
    return broken(pending(UNSCHEDULABLE + message), **ALONE)


REFUSED = refused(80, "/healthz")
SIDECAR = {"restartPolicy": "Always", "startupProbe": probe("/", 15021, failureThreshold=30)}
MOUNT = 'MountVolume.SetUp failed for volume "x" : failed to sync configmap cache: timed out'
SANDBOX = "Failed to create pod sandbox: rpc error: code = Unknown desc = "

CRASHES = {
    "a crash loop whose probes were refused": Case(
        broken(
            web(crashed(1, name="web"), startupProbe=probe("/healthz", 80, failureThreshold=30)),
            unhealthy("Startup", REFUSED, container="web", ago=6),
            unhealthy("Readiness", REFUSED, container="web", ago=6),
            BACK_OFF,
            **ALONE,
        ),
        ("crash",),
        "Container web exited with 1.",
    ),
    "a container out of memory whose probes were refused": Case(
        broken(
            web(crashed(137, "OOMKilled", name="web")),
            unhealthy("Readiness", REFUSED, container="web", ago=6),
            unhealthy("Liveness", REFUSED, container="web", ago=6),
            **ALONE,
        ),
        ("out-of-memory",),
        "Container web was ended by the kernel",
    ),
    "a container that ends by itself before its probe could end it": Case(
        broken(
            web(crashed(0, "Completed", name="web", ran=3)),
            unhealthy("Liveness", REFUSED, container="web", ago=6),
            **ALONE,
        ),
        ("crash",),
        "Container web exits with 0",
    ),
    "a container that runs again, and was refused before": Case(
        broken(
            web(
                running("web", ready=False, ago=10)
                | {"lastState": terminated(1, ago=20), "restartCount": 2}
            ),
            unhealthy("Readiness", REFUSED, container="web", ago=30),
            unhealthy("Liveness", REFUSED, container="web", ago=30),
            **ALONE,
        ),
        ("crash",),
        "Container web exited with 1.",
    ),
    "a liveness probe at the wrong port that ends a container": Case(
        broken(
            web(crashed(143, name="web", ran=40), livenessProbe=probe("/live", 81)),
            unhealthy("Liveness", refused(81), container="web", ago=6),
            event(
                "Killing",
                "Container web failed liveness probe, will be restarted",
                container="web",
                ago=6,
            ),
            **ALONE,
        ),
        ("probe-port", "liveness-restart"),
        "The connection of the livenessProbe of container web to port 81 is refused.",
    ),
    "a liveness probe that ends a container, without the event of the end": Case(
        broken(
            web(crashed(143, name="web", ran=40), livenessProbe=probe("/live", 81)),
            unhealthy("Liveness", refused(81), container="web", ago=6),
            **ALONE,
        ),
        ("probe-port", "crash"),
        "The connection of the livenessProbe of container web to port 81 is refused.",
    ),
    "a postStart hook that fails": Case(
        broken(
            web(
                crashed(137, name="web"),
                lifecycle={"postStart": {"exec": {"command": ["register"]}}},
            ),
            event("FailedPostStartHook", "PostStartHook failed", container="web", ago=6),
            **ALONE,
        ),
        ("poststart",),
        "The postStart hook of container web has failed, so the kubelet ends the container.",
    ),
    "a postStart hook that failed an hour ago": Case(
        broken(
            web(crashed(1, name="web")),
            event("FailedPostStartHook", "PostStartHook failed", container="web", ago=3600),
            **ALONE,
        ),
        ("crash",),
        "Container web exited with 1.",
    ),
    "a container that the kubelet has lost": Case(
        broken(web(crashed(137, "ContainerStatusUnknown", name="web")), **ALONE),
        ("crash",),
        "The kubelet has lost container web, so it is not known how the container ended.",
    ),
    "an evicted pod whose container was killed": Case(
        broken(
            web(running("web", ready=False) | {"state": terminated(137)}, phase="Failed")
            | {
                "status": {
                    "phase": "Failed",
                    "reason": "Evicted",
                    "message": "The node was low on resource: memory.",
                    "containerStatuses": [
                        running("web", ready=False) | {"state": terminated(137)},
                    ],
                }
            },
            **ALONE,
        ),
        ("pod-ended",),
        "The pod was ended with the reason Evicted, and does not start again.",
    ),
}

STARTS = {
    "a network plugin that does not run": Case(
        creating(
            event(
                "FailedCreatePodSandBox",
                SANDBOX + 'failed to setup network for sandbox "x": plugin type="calico" failed',
                container="",
            )
        ),
        ("sandbox",),
        "The node node-1 cannot set up the network of the pod, so no container starts.",
    ),
    "a sandbox that cannot be created": Case(
        creating(event("FailedCreatePodSandBox", SANDBOX + "no runtime for gvisor", container="")),
        ("sandbox",),
        "The node node-1 cannot create the sandbox of the pod, so no container starts.",
    ),
    "a volume and a sandbox that have succeeded, and a slow image": Case(
        creating(
            event("FailedMount", MOUNT, container="", ago=60),
            event("FailedCreatePodSandBox", SANDBOX + "network", container="", ago=55),
            event("Pulling", 'Pulling image "nginx:1.27"', container="web", ago=50),
        ),
        ("starting",),
        "The kubelet is still creating container web.",
    ),
    "a sidecar that has not started": Case(
        broken(initialized_by(running("first", ready=False, started=False), **SIDECAR), **ALONE),
        ("starting",),
        "Container first has been running for 60 s, and its startupProbe has not passed yet.",
    ),
    "an init container that waits": Case(
        broken(initialized_by(waiting("PodInitializing", name="first")), **ALONE),
        ("starting",),
        "The kubelet is still creating container first.",
    ),
    "a container after its init container": Case(
        broken(
            initialized_by(running("first", ready=False) | {"state": terminated(0, "Completed")}),
            **ALONE,
        ),
        ("starting",),
        "The kubelet is still creating container web.",
    ),
    "a kubelet that has not seen the pod": Case(
        broken(
            changed(
                web(running("web"), phase="Pending"),
                lambda each: each["status"].pop("containerStatuses"),
            ),
            **ALONE,
        ),
        ("starting",),
        "The kubelet of the node node-1 has not started the pod, which was created 5 min ago.",
    ),
}


PLACED = {
    "a volume in another zone": Case(
        placed("3 node(s) had volume node affinity conflict."),
        ("unschedulable",),
        "The node affinity of a volume of the pod excludes every node.",
    ),
    "a node that is full of pods": Case(
        placed("3 Too many pods."),
        ("unschedulable",),
        "As many pods as allowed already run on every node.",
    ),
    "nodes that are not ready": Case(
        placed("3 node(s) had untolerated taint {node.kubernetes.io/not-ready: }."),
        ("unschedulable",),
        "Kubernetes keeps new pods away from every node, because of the taint "
        "{node.kubernetes.io/not-ready: }.",
    ),
    "a claim that does not exist": Case(
        placed('persistentvolumeclaim "data" not found.'),
        ("unschedulable",),
        "The pod needs the PersistentVolumeClaim data, which does not exist.",
        "Create the PersistentVolumeClaim data in the namespace shop",
    ),
    "a volume that is not provisioned": Case(
        broken(
            pending(
                'running PreBind plugin "VolumeBinding": binding volumes: context deadline exceeded',
                "SchedulerError",
            ),
            **ALONE,
        ),
        ("unschedulable",),
        "The scheduler has chosen a node, but a volume of the pod was not bound in time.",
    ),
    "a volume that is being created": Case(
        broken(
            changed(
                pending(""),
                lambda each: (
                    each["status"].update(conditions=[]),
                    each["spec"].update(
                        volumes=[{"name": "x", "persistentVolumeClaim": {"claimName": "data"}}]
                    ),
                ),
            ),
            **ALONE,
        ),
        ("unschedulable",),
        "The pod has had no node for 5 min. Either a volume of the pod is being created, or the "
        "scheduler default-scheduler has not looked at the pod.",
    ),
}

REAL: dict[str, Case] = {**CRASHES, **STARTS, **PULLS, **PLACED}

HOOKED = {"lifecycle": {"preStop": {"exec": {"command": ["sleep", "3600"]}}}}
GONE_CONTAINER = running("web", ready=False) | {"state": terminated(0, "Completed")}
ENDING: dict[str, Case] = {
    "a foreign pod with a preStop hook": Case(
        broken(deleted(web(running("web"), **HOOKED), 12), **ALONE),
        (),
        "The pod is terminating, and its containers still run. The preStop hook of container web may "
        "not have returned yet",
    ),
    "a pod whose grace period has just ended": Case(
        broken(deleted(web(running("web")), 34), **ALONE),
        (),
        "The grace period of the pod ended 4 s ago, and the pod is not removed yet.",
    ),
    "a pod whose containers have ended": Case(
        broken(deleted(web(GONE_CONTAINER), 12), **ALONE),
        (),
        "No container of the pod runs any more, and the pod is not removed yet.",
    ),
    "a pod that is deleted during its init container": Case(
        broken(
            deleted(initialized_by(running("first", ready=False)), 12, finalizers=["a/b"]), **ALONE
        ),
        (),
        "The pod is terminating, and its containers still run. 18 s of the grace period remain.",
    ),
}
"""Pods that are deleted, and leave as they should."""

NO_BUDGETS = {
    "a budget without a selector selects no pod": (
        (budget(0, 1, 1, 1) | {"spec": {"maxUnavailable": 0}},),
        "Running",
    ),
    "two budgets do not keep a pod that is pending": ((budget(), budget()), "Pending"),
}
"""Budgets, and the phase of a pod on a cordoned node that they do not keep."""

CORDONED = node(cordoned=True)
LATER = at(-30)

SCHEDULER = {
    "1 Insufficient memory, 2 node(s) had untolerated taint {a: b}": (
        "Too little memory is left for the pod on 1 of 3 nodes.",
        "The pod does not tolerate the taint {a: b} of 2 of 3 nodes.",
    ),
    "1 node(s) had untolerated taint {a: }, 2 node(s) had untolerated taint {b: }": (
        "The pod does not tolerate the taint {a: } of 1 of 3 nodes.",
        "The pod does not tolerate the taint {b: } of 2 of 3 nodes.",
    ),
    "1 Insufficient cpu, 3 Insufficient nvidia.com/gpu": (
        "Too little cpu is left for the pod on 1 of 3 nodes.",
        "Too little nvidia.com/gpu is left for the pod on every node.",
    ),
    "3 node(s) didn't match pod affinity rules": ("The affinity to other pods",),
    "3 node(s) didn't match pod anti-affinity rules": ("The affinity to other pods",),
    "3 node(s) didn't satisfy existing pods anti-affinity rules": ("The affinity to other pods",),
    "3 node(s) didn't match node selector": ("The nodeSelector",),
    'persistentvolumeclaim "data" not found': (
        "The pod needs the PersistentVolumeClaim data, which does not exist.",
    ),
    "pod has unbound immediate PersistentVolumeClaims": ("The pod waits for a volume",),
    "3 node(s) didn't find available persistent volumes to bind": ("The pod waits for a volume",),
    "3 node(s) had untolerated taint(s)": ("The pod does not tolerate the taint",),
}
"""Messages of the scheduler, each with the beginnings of the sentences, and no others."""
