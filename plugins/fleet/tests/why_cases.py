"""Pods that are broken in one way each, with the rules that have to say so, and healthy pods."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

from lifecycle_fleet.why.answers import Answers
from lifecycle_fleet.why.facts import Facts

from plugins.fleet.tests.why_objects import (
    TOLD,
    Object,
    answers,
    app_container,
    at,
    budget,
    condition,
    crashed,
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
    waiting,
)


class Case(NamedTuple):
    """
    One pod.

    Attributes:
        facts: What is known of it.
        rules: The rules that say what is wrong, and no others.
        sentence: The beginning of the first sentence.
        fix: A part of what to do.
    """

    facts: Facts
    rules: tuple[str, ...]
    sentence: str
    fix: str = ""


def changed(found: Object, change: Callable[[Object], object]) -> Object:
    found = copy.deepcopy(found)
    change(found)
    return found


def container(found: Object, **fields: Any) -> Object:
    """The pod with other fields of its container."""
    return changed(found, lambda each: each["spec"]["containers"][0].update(fields))


def spec(found: Object, **fields: Any) -> Object:
    return changed(found, lambda each: each["spec"].update(fields))


def without(found: Object, *names: str) -> Object:
    def remove(each: Object) -> None:
        for name in names:
            each["spec"]["containers"][0].pop(name, None)

    return changed(found, remove)


UNREADY = running(ready=False)
STARTING = running(ready=False, started=False, ago=20)
GONE = (piece(ready=False),)
"""The EndpointSlices of a pod that is not ready."""


def broken(found: Object, *events: Object, **more: Any) -> Facts:
    return facts(found, *events, **({"slices": GONE} | more))


def wrong_readiness(port: int = 8081, path: str = "/ready") -> Object:
    other = app_container()["readinessProbe"] | {"httpGet": {"path": path, "port": port}}
    return container(pod(UNREADY, ready=False, told=TOLD), readinessProbe=other)


def budgeted(threshold: int) -> Object:
    short = app_container()["startupProbe"] | {"failureThreshold": threshold}
    return container(pod(crashed(137), ready=False, gate=None), startupProbe=short)


KILLED_AT_START = event(
    "Killing", "Container orders failed startup probe, will be restarted", ago=6, type="Normal"
)
KILLED_LIVE = event(
    "Killing", "Container orders failed liveness probe, will be restarted", ago=6, type="Normal"
)
BACK_OFF = event("BackOff", "Back-off restarting failed container orders in pod orders")
NO_GATE = {"gate": None, "containers": True, "ready": False}
FORBIDDEN = (
    'forbidden: pods "orders" is forbidden: User "system:serviceaccount:shop:orders" cannot patch '
    'resource "pods/status" in API group "" in the namespace "shop"'
)
UNSCHEDULABLE = "0/3 nodes are available: "


def pending(message: str, reason: str = "Unschedulable") -> Object:
    found = pod(ready=False, phase="Pending", gate=None)
    found["spec"].pop("nodeName")
    found["status"] = {
        "phase": "Pending",
        "conditions": [condition("PodScheduled", "False", reason=reason, message=message)],
    }
    return found


def imageless(reason: str, message: str = "") -> Object:
    """A pod whose container waits for the kubelet."""
    return pod(waiting(reason, message), ready=False, gate=None, phase="Pending")


def unanswered(problem: str = "", **more: Any) -> Answers:
    return Answers(problem=problem, **more)


TWELVE: dict[str, Case] = {
    "1 a probe at the wrong port": Case(
        broken(wrong_readiness(), unhealthy("Readiness", refused(8081))),
        ("probe-port",),
        "The readinessProbe of container orders uses port 8081, but pod-lifecycle answers probes on "
        "port 22222.",
        "set readinessProbe.httpGet.port: 22222",
    ),
    "2 a probe at a wrong path": Case(
        broken(
            wrong_readiness(22222, "/redy"),
            unhealthy("Readiness", "HTTP probe failed with statuscode: 404"),
        ),
        ("probe-path",),
        "The readinessProbe of container orders requests /redy on the probe port 22222",
        "set readinessProbe.httpGet.path: /ready",
    ),
    "3 a gate that nobody sets": Case(
        broken(
            pod(**NO_GATE),
            answers=answers(
                status(plugins=[{"name": "state", "ok": True}], services=[]),
                installed={"prometheus": ""},
            ),
        ),
        ("gate-unset",),
        "The pod has the readiness gate pod-lifecycle.dev/registered, but lifecycle-kubernetes is not "
        "installed in the image",
        "--no-readiness-gate",
    ),
    "4 no right to set the gate": Case(
        broken(
            pod(STARTING, ready=False, gate=None),
            unhealthy("Startup", "HTTP probe failed with statuscode: 503"),
            answers=answers(status("exporting", services=[exported("no", FORBIDDEN)])),
        ),
        ("gate-rights",),
        "The ServiceAccount orders may not register the pod",
        "patch on pods/status",
    ),
    "5 a startup probe that allows too little": Case(
        broken(
            budgeted(5),
            KILLED_AT_START,
            unhealthy("Startup", "HTTP probe failed with statuscode: 503"),
            BACK_OFF,
            start=9.5,
            answers=unanswered(),
        ),
        ("startup-budget",),
        "The startup probe of container orders allows 5 s, but a start of the app has taken 9.5 s.",
        "set startupProbe.failureThreshold: 20",
    ),
    "6 an image that cannot be pulled": Case(
        broken(
            imageless("ImagePullBackOff", 'Back-off pulling image "registry.example/orders:1"'),
            event(
                "Failed",
                'Failed to pull image "registry.example/orders:1": rpc error: code = NotFound desc = '
                'failed to resolve reference "registry.example/orders:1": not found',
            ),
            event("Failed", "Error: ImagePullBackOff", ago=2),
            answers=unanswered(),
        ),
        ("image",),
        "The image registry.example/orders:1 of container orders does not exist in its registry.",
        "kubectl -n shop set image deploy/orders orders=IMAGE",
    ),
    "7 a crash loop": Case(
        broken(
            pod(crashed(1), ready=False),
            BACK_OFF,
            answers=unanswered(),
            logs={"orders": ("Traceback (most recent call last):", "KeyError: 'DATABASE_URL'")},
        ),
        ("crash",),
        "Container orders exited with 1.",
        "logs orders-5d9c7b6f4-x2x8k -c orders --previous",
    ),
    "8 no node": Case(
        broken(
            pending(
                UNSCHEDULABLE + "3 Insufficient cpu. preemption: 0/3 nodes are available: 3 No "
                "preemption victims found for incoming pod."
            ),
            answers=unanswered(),
        ),
        ("unschedulable",),
        "Too little cpu is left for the pod on every node.",
        "resources.requests",
    ),
    "9 a PodDisruptionBudget that blocks a drain": Case(
        facts(node=node(cordoned=True), budgets=(budget(0, 1, 1, 2, minAvailable=1),)),
        ("eviction",),
        "The node node-1 is cordoned, but the pod cannot be evicted from it.",
        "raise the replicas",
    ),
    "10 a finalizer": Case(
        broken(
            pod(
                running(ready=False) | {"state": terminated(0, "Completed", ago=70)},
                ready=False,
                **leaving(100, finalizers=["shop.example/backup"]),
            ),
            answers=unanswered(),
        ),
        ("finalizer",),
        "No container of the pod runs, but the finalizer shop.example/backup keeps the pod",
        "program that removes shop.example/backup",
    ),
    "11 a drain with work in flight": Case(
        broken(
            pod(UNREADY, ready=False, gate=False, **leaving(12), told=TOLD | {"state": "draining"}),
            answers=answers(
                status("draining", drain={"step": "wait", "waiting_for": ["GET /export"]}),
                inflight={
                    "in_flight": 1,
                    "shown": 1,
                    "entries": [{"name": "GET /export", "age": 14.2, "agent": "curl", "worker": 1}],
                },
            ),
        ),
        (),
        "The app is draining, with 1 piece of work in flight: GET /export for 14 s. 18 s of the grace "
        "period remain.",
        "lifecycle inflight",
    ),
    "12 a Service that does not select the pod": Case(
        facts(
            services=(service(labels={"app.kubernetes.io/name": "order"}),),
            slices=(piece(pods=()),),
        ),
        ("service-selector",),
        "No Service selects the pod. The Service orders selects app.kubernetes.io/name=order, but the "
        "pod has app.kubernetes.io/name=orders.",
        "patch service orders --type=merge -p "
        '\'{"spec": {"selector": {"app.kubernetes.io/name": "orders"}}}\'',
    ),
}
"""The twelve ways of the issue."""


LONG_AGO = at(9000)
STEADY = running("web", ago=300)
NOT_REACHED = {"registered": "no", "required": True, "reason": "no route"}
ALONE: dict[str, Any] = {"services": (), "slices": (), "answers": unanswered()}
"""No Service, and no answer of the pod."""


def web(*statuses: Object, phase: str = "Running", **fields: Any) -> Object:
    """A pod of nginx that is not ready, with other fields of its container."""
    found = foreign(*statuses, ready=False, phase=phase)
    found["spec"]["containers"][0].update(fields)
    return found
