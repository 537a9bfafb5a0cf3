"""Pods that the cluster does not start, does not find, or does not let go, in one way each."""

from __future__ import annotations

from lifecycle_fleet.why.facts import Missing

from plugins.fleet.tests.why_cases import (
    FORBIDDEN,
    GONE,
    NO_GATE,
    UNREADY,
    UNSCHEDULABLE,
    Case,
    broken,
    changed,
    container,
    pending,
    spec,
    unanswered,
    wrong_readiness,
)
from plugins.fleet.tests.why_objects import (
    OPEN,
    TOLD,
    answers,
    budget,
    event,
    exported,
    facts,
    foreign,
    leaving,
    node,
    piece,
    pod,
    refused,
    running,
    service,
    status,
    terminated,
    unhealthy,
)

PLACES = {
    "a node selector": Case(
        broken(
            pending(UNSCHEDULABLE + "3 node(s) didn't match Pod's node affinity/selector."),
            answers=unanswered(),
        ),
        ("unschedulable",),
        "The nodeSelector or the node affinity of the pod excludes every node.",
    ),
    "a taint": Case(
        broken(
            pending(UNSCHEDULABLE + "3 node(s) had untolerated taint {gpu: true}."),
            answers=unanswered(),
        ),
        ("unschedulable",),
        "The pod does not tolerate the taint {gpu: true} of every node.",
    ),
    "a scheduling gate": Case(
        broken(
            changed(
                pending("", "SchedulingGated"),
                lambda each: each["spec"].update(schedulingGates=[{"name": "shop.example/quota"}]),
            ),
            answers=unanswered(),
        ),
        ("unschedulable",),
        "The scheduling gate shop.example/quota keeps the pod from being scheduled.",
    ),
    "a scheduler that does not run": Case(
        broken(
            changed(
                spec(pending(""), schedulerName="volcano"),
                lambda each: each["status"].update(conditions=[]),
            ),
            answers=unanswered(),
        ),
        ("unschedulable",),
        "No scheduler has looked at the pod for 5 min. Its schedulerName is volcano.",
    ),
    "a node that is silent": Case(
        broken(pod(UNREADY, ready=False), node=node("Unknown", beat=90), answers=unanswered()),
        ("node",),
        "The kubelet of the node node-1 has not reported for 90 s",
    ),
    "a node that is gone": Case(
        broken(pod(UNREADY, ready=False, **leaving(300)), node=None, answers=unanswered()),
        ("node",),
        "The node node-1 no longer exists",
        "--force",
    ),
    "a pod that was evicted": Case(
        broken(
            changed(
                pod(ready=False, phase="Failed"),
                lambda each: each["status"].update(
                    reason="Evicted", message="The node was low on resource: memory."
                ),
            ),
            answers=unanswered(),
        ),
        ("pod-ended",),
        "The pod was ended with the reason Evicted",
    ),
}


LEAVING = {
    "an image without lifecycle": Case(
        facts(
            answers=unanswered(
                "exec: lifecycle: executable file not found in $PATH", no_program=True
            )
        ),
        ("prestop",),
        "The preStop hook of container orders runs lifecycle, but the image does not have this",
    ),
    "a preStop hook that fails": Case(
        broken(
            pod(UNREADY, ready=False, gate=False, **leaving(12)),
            event("FailedPreStopHook", "PreStopHook failed"),
            answers=unanswered(),
        ),
        ("prestop",),
        "The preStop hook of container orders has failed.",
    ),
    "a preStop hook that hangs": Case(
        broken(
            container(
                pod(UNREADY, ready=False, gate=False, **leaving(12)),
                lifecycle={"preStop": {"exec": {"command": ["sleep", "600"]}}},
            ),
        ),
        ("prestop",),
        "The pod was deleted 12 s ago, but the app in container orders has not been told to stop. "
        "Either its preStop hook is still running, or",
    ),
    "containers that do not end": Case(
        broken(pod(UNREADY, ready=False, gate=False, **leaving(90)), answers=unanswered()),
        ("not-removed",),
        "The grace period ended 60 s ago, but containers of the pod still run.",
    ),
    "a pod that is not removed": Case(
        broken(
            pod(
                running(ready=False) | {"state": terminated(0, "Completed", ago=70)},
                ready=False,
                **leaving(100),
            ),
            event("FailedKillPod", "error killing pod: failed to unmount", container=""),
            answers=unanswered(),
        ),
        ("not-removed",),
        "No container of the pod runs and the grace period ended 70 s ago",
    ),
    "a grace period that is too short": Case(
        facts(pod(told=TOLD | {"grace": 60})),
        ("grace-period",),
        "The app plans 60 s for its drain, but terminationGracePeriodSeconds is 30 s.",
        "terminationGracePeriodSeconds: 60",
    ),
    "two PodDisruptionBudgets": Case(
        facts(budgets=(budget(), budget() | {"metadata": {"name": "all", "generation": 1}})),
        ("eviction",),
        "The pod is selected by several PodDisruptionBudgets (orders, all)",
    ),
    "a PodDisruptionBudget that never allows a drain": Case(
        facts(node=node(cordoned=True), budgets=(budget(0, 2, 2, 2, minAvailable=2),)),
        ("eviction",),
        "The node node-1 is cordoned, but the pod can never be evicted from it.",
    ),
}


SERVICES = {
    "a targetPort on which nothing listens": Case(
        facts(services=(service(target=8000),)),
        ("service-port",),
        "The Service orders sends requests to port 8000, but nothing in the pod listens on this port. "
        "Open ports: 8080, 22222.",
    ),
    "a targetPort that is open on 127.0.0.1 only": Case(
        facts(answers=answers(listening=OPEN | {8080: False})),
        ("service-port",),
        "The Service orders sends requests to port 8080, but the app listens on this port only on",
        "Make the app listen on 0.0.0.0:8080",
    ),
    "a targetPort with a name that no container has": Case(
        facts(services=(service(target="http"),)),
        ("service-port",),
        "The Service orders sends requests to the port name http, but no container of the pod declares",
        "port-8080, qos",
    ),
    "a label that the pod does not have": Case(
        facts(services=(service(labels={"tier": "web"}),), slices=(piece(pods=()),)),
        ("service-selector",),
        "No Service selects the pod. The Service orders selects tier=web, but the pod has no label tier",
    ),
    "slices without the pod": Case(
        facts(slices=()),
        ("endpoints-late",),
        "The pod has been Ready for 60 s, but no EndpointSlice of the Service orders has it",
    ),
    "slices with an old state": Case(
        facts(slices=GONE),
        ("endpoints-late",),
        "The pod has been Ready for 60 s, but the EndpointSlice of the Service orders has it as not",
    ),
}


OTHERS = {
    "a kubelet that sees another answer than the app gives": Case(
        broken(pod(UNREADY, ready=False)),
        ("unexplained",),
        "The app in container orders answers that it is ready, but its readinessProbe has not passed",
    ),
    "a pod that no rule explains": Case(
        broken(foreign(running("web", ready=True), ready=False), services=(), answers=unanswered()),
        ("unexplained",),
        "The pod is not ready, and none of the known causes applies.",
    ),
    "a pod of which only the gate is false, refused in words": Case(
        broken(
            pod(**NO_GATE),
            answers=answers(status(services=[exported("no", FORBIDDEN)])),
        ),
        ("gate-rights",),
        "The ServiceAccount orders may not register the pod",
    ),
    "a pod that may be read only in part": Case(
        broken(
            wrong_readiness(),
            unhealthy("Readiness", refused(8081)),
            services=(),
            slices=(),
            answers=unanswered(),
            missing=(
                Missing("services", "forbidden", "apiGroups: [], resources: [services]"),
                Missing("endpointslices", "forbidden", ""),
            ),
        ),
        ("probe-port",),
        "The readinessProbe of container orders uses port 8081, but pod-lifecycle answers probes on",
    ),
}
