"""Pods of which something is noted that is no cause, and healthy ones."""

from __future__ import annotations

from typing import Any

from lifecycle_fleet.why.facts import Facts, Missing

from plugins.fleet.tests.why_cases import (
    GONE,
    UNREADY,
    Case,
    broken,
    changed,
    container,
    unanswered,
)
from plugins.fleet.tests.why_objects import (
    TOLD,
    Object,
    answers,
    budget,
    condition,
    event,
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
