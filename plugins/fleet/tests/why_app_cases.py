"""Pods whose readiness gate is not set, or whose app is not ready, in one way each."""

from __future__ import annotations

from plugins.fleet.tests.why_cases import (
    NO_GATE,
    STARTING,
    UNREADY,
    Case,
    broken,
    changed,
    container,
    imageless,
    spec,
    unanswered,
    without,
)
from plugins.fleet.tests.why_objects import (
    TOLD,
    answers,
    condition,
    event,
    exported,
    foreign,
    pod,
    running,
    status,
    unhealthy,
)

GATES = {
    "a gate, and the plugin turned off": Case(
        broken(
            container(
                pod(**NO_GATE), env=[{"name": "LIFECYCLE_KUBERNETES_ENABLED", "value": "false"}]
            ),
            answers=answers(status(plugins=[{"name": "state", "ok": True}])),
        ),
        ("gate-unset",),
        "The pod has the readiness gate pod-lifecycle.dev/registered, but lifecycle-kubernetes is "
        "turned off in the app",
        "Remove LIFECYCLE_KUBERNETES_ENABLED=false",
    ),
    "a gate, and the app without the plugin for one of two causes": Case(
        broken(pod(**NO_GATE), answers=answers(status(plugins=[{"name": "state", "ok": True}]))),
        ("gate-unset",),
        "The pod has the readiness gate pod-lifecycle.dev/registered, but the app runs without "
        "lifecycle-kubernetes",
        "lifecycle plugins",
    ),
    "a gate, and the plugin has failed": Case(
        broken(
            pod(**NO_GATE),
            answers=answers(
                status(
                    plugins=[
                        {"name": "kubernetes", "ok": False, "problem": "ImportError: lightkube"}
                    ]
                )
            ),
        ),
        ("gate-unset",),
        "The pod has the readiness gate pod-lifecycle.dev/registered, but the plugin "
        "lifecycle-kubernetes has failed",
    ),
    "a gate, and no token of a ServiceAccount": Case(
        broken(
            spec(without(pod(**NO_GATE), "volumeMounts"), automountServiceAccountToken=False),
            answers=answers(status(services=[exported() | {"registrations": {}}])),
        ),
        ("gate-unset",),
        "The pod has the readiness gate pod-lifecycle.dev/registered, but no token",
        "automountServiceAccountToken: true",
    ),
    "a gate, and an app without services": Case(
        broken(pod(**NO_GATE), answers=answers(status(services=[]))),
        ("gate-unset",),
        "The pod has the readiness gate pod-lifecycle.dev/registered, but the app exports no service",
        "LIFECYCLE_SERVICES",
    ),
    "a gate, and a pod that cannot be asked": Case(
        broken(pod(**NO_GATE), answers=unanswered()),
        ("gate-unset",),
        "All containers are ready, but the readiness gate pod-lifecycle.dev/registered is not set.",
    ),
    "a gate, and a review that says no": Case(
        broken(pod(STARTING, ready=False, gate=None), answers=unanswered(), may_register=False),
        ("gate-rights",),
        "The ServiceAccount orders may not register the pod",
    ),
    "a gate of a load balancer": Case(
        broken(
            changed(
                pod(**NO_GATE),
                lambda each: (
                    each["spec"].update(
                        readinessGates=[{"conditionType": "target-health.elbv2/x"}]
                    ),
                    each["status"]["conditions"].append(
                        condition(
                            "target-health.elbv2/x", "False", reason="Initial", message="wait"
                        )
                    ),
                ),
            )
        ),
        ("gate-foreign",),
        "The readiness gate target-health.elbv2/x is not True.",
    ),
}


APPS = {
    "a registry that cannot be reached": Case(
        broken(
            pod(STARTING, ready=False, gate=None),
            unhealthy("Startup", "HTTP probe failed with statuscode: 503"),
            answers=answers(
                status("exporting", services=[exported("unknown", "unreachable: no route to host")])
            ),
        ),
        ("registration",),
        "The service orders is not registered in the service registry kubernetes. Its answer: "
        "unreachable: no route to host",
    ),
    "every service offline by an administrator": Case(
        broken(
            pod(
                UNREADY, ready=False, gate=False, told=TOLD | {"online": [], "offline": ["orders"]}
            ),
            unhealthy("Readiness", "HTTP probe failed with statuscode: 503"),
            answers=answers(
                status(services=[exported("no", online=False, held_by={"operator": "10.0.0.9"})])
            ),
        ),
        ("offline",),
        "An administrator has taken every service of the app offline",
        "-- lifecycle online",
    ),
    "every service offline by the app": Case(
        broken(
            pod(UNREADY, ready=False, gate=False),
            answers=answers(
                status(services=[exported("no", online=False, held_by={"app": "warm-up"})])
            ),
        ),
        ("offline",),
        "The app itself has taken every service offline",
        "set_offline",
    ),
    "every service offline, as the annotation has it": Case(
        broken(
            pod(
                UNREADY, ready=False, gate=False, told=TOLD | {"online": [], "offline": ["orders"]}
            ),
            answers=unanswered(),
        ),
        ("offline",),
        "Every service of the app is offline",
    ),
    "a blocked event loop": Case(
        broken(
            pod(UNREADY, ready=False, told=TOLD),
            unhealthy("Readiness", "HTTP probe failed with statuscode: 503"),
            answers=answers(
                status(
                    probes=[
                        {
                            "kind": "readiness",
                            "name": "loop",
                            "ok": False,
                            "reason": "the app's loop was last seen 12.1 s ago",
                        }
                    ]
                )
            ),
        ),
        ("loop-blocked",),
        "The event loop of the app is blocked",
        "lifecycle inflight --stacks",
    ),
    "a probe of the app that fails": Case(
        broken(
            pod(UNREADY, ready=False, told=TOLD),
            unhealthy("Readiness", "HTTP probe failed with statuscode: 503"),
            answers=answers(
                status(
                    probes=[
                        {"kind": "readiness", "name": "postgres", "ok": False, "reason": "no route"}
                    ]
                )
            ),
        ),
        ("probe-fails",),
        "The readiness probe postgres of the app fails with the reason: no route",
        "lifecycle probe ready",
    ),
    "a 503 of ours, whose reason cannot be read": Case(
        broken(
            pod(UNREADY, ready=False, told=TOLD),
            unhealthy("Readiness", "HTTP probe failed with statuscode: 503"),
            answers=unanswered(),
        ),
        ("probe-fails",),
        "The readinessProbe of container orders fails because pod-lifecycle itself answers that the "
        "app is not ready.",
    ),
    "a start that takes its time": Case(
        broken(
            pod(STARTING, ready=False, gate=None),
            unhealthy("Startup", "HTTP probe failed with statuscode: 503"),
            answers=answers(
                status(
                    "starting",
                    start={"steps": [{"name": "program", "seconds": 18.5, "running": True}]},
                )
            ),
        ),
        ("starting",),
        "The app is still starting, for 20 s so far. This step of the start is running: program (18 s)",
        "The startup probe allows 2 min",
    ),
    "a step of the start that was read later than the pod": Case(
        broken(
            pod(STARTING, ready=False, gate=None),
            answers=answers(
                status(
                    "starting",
                    start={"steps": [{"name": "first worker", "seconds": 22.4, "running": True}]},
                )
            ),
        ),
        ("starting",),
        "The app is still starting, for 22 s so far. This step of the start is running: first worker "
        "(22 s)",
    ),
    "a container that is being created": Case(
        broken(
            imageless("ContainerCreating"),
            event("Pulling", 'Pulling image "registry.example/orders:1"', type="Normal"),
            answers=unanswered(),
        ),
        ("starting",),
        "The kubelet is still creating container orders.",
    ),
    "a foreign container that is not ready yet": Case(
        broken(
            foreign(running("web", ready=False, ago=3), ready=False),
            services=(),
            answers=unanswered(),
        ),
        ("starting",),
        "Container web has been running for 3 s, and its readinessProbe has not passed yet.",
    ),
}
