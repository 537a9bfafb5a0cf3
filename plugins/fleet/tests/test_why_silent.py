"""Signs that are not the cause are not mentioned."""

from __future__ import annotations

import pytest
from lifecycle_fleet.why.facts import Facts, Missing
from lifecycle_fleet.why.pod import explain

from plugins.fleet.tests.test_why_rules import wrong
from plugins.fleet.tests.why_cases import (
    ALONE,
    NO_GATE,
    NOT_REACHED,
    STEADY,
    UNREADY,
    broken,
    changed,
    spec,
    unanswered,
)
from plugins.fleet.tests.why_objects import (
    TOLD,
    answers,
    budget,
    event,
    exported,
    facts,
    foreign,
    node,
    pod,
    probe,
    service,
    status,
    unhealthy,
)
from plugins.fleet.tests.why_real_cases import REFUSED

SILENT: dict[str, tuple[Facts, str]] = {
    "probes that failed, and pass now": (
        facts(
            changed(
                foreign(STEADY),
                lambda each: each["spec"]["containers"][0].update(startupProbe=probe("/", 80)),
            ),
            unhealthy("Startup", REFUSED, container="web", ago=290),
            unhealthy("Readiness", REFUSED, container="web", ago=280),
            unhealthy("Liveness", REFUSED, container="web", ago=200),
            **ALONE,
        ),
        "probe-port",
    ),
    "a Service, if EndpointSlices may not be read": (
        facts(
            foreign(),
            **ALONE | {"services": (service("web", 80, {"app": "shop"}),)},
            missing=(Missing("endpointslices", "forbidden"),),
        ),
        "service-selector",
    ),
    "a Service, if Services may not be read": (
        facts(slices=(), missing=(Missing("services", "forbidden"),)),
        "endpoints-late",
    ),
    "a Service of another name with a label more, if one is found": (
        facts(
            services=(
                service(),
                service("b", labels={"app.kubernetes.io/name": "orders", "b": "c"}),
            )
        ),
        "service-selector",
    ),
    "the port of a Service of other pods": (
        facts(services=(service(), service("b", 9999, labels={"app": "other"}))),
        "service-port",
    ),
    "the port of a Service, of a pod that is not ready yet": (
        broken(pod(UNREADY, ready=False), answers=answers(listening={22222: True})),
        "service-port",
    ),
    "a Service, if no Service may be read in time": (
        facts(
            foreign(),
            **ALONE | {"services": (service("web", 80, {"app": "shop"}),)},
            missing=(Missing("services", "slow"),),
        ),
        "service-selector",
    ),
    "a hook that has failed at a restart": (
        facts(pod(), event("FailedPreStopHook", "exit 1")),
        "prestop",
    ),
    "a gate of a pod whose containers are not ready": (
        broken(pod(UNREADY, ready=False, gate=None), answers=unanswered()),
        "gate-unset",
    ),
    "a gate of a pod that is young": (
        broken(pod(**NO_GATE, age=2), answers=unanswered()),
        "gate-unset",
    ),
    "a gate of a pod that is offline": (
        broken(
            pod(**NO_GATE, told=TOLD | {"online": [], "offline": ["orders"]}), answers=unanswered()
        ),
        "gate-unset",
    ),
    "a gate of a pod that starts": (
        broken(pod(**NO_GATE, told=TOLD | {"state": "starting"}), answers=unanswered()),
        "gate-unset",
    ),
    "a gate of a pod that exports": (
        broken(pod(**NO_GATE, told=TOLD | {"state": "exporting"}), answers=unanswered()),
        "gate-unset",
    ),
    "a gate that is refused": (
        broken(pod(**NO_GATE), answers=unanswered(), may_register=False),
        "gate-unset",
    ),
    "a foreign gate of a pod whose containers are not ready": (
        broken(
            spec(pod(UNREADY, ready=False), readinessGates=[{"conditionType": "lb.example/x"}]),
            answers=unanswered(),
        ),
        "gate-foreign",
    ),
    "a budget that lets pods go that are not ready": (
        broken(
            pod(UNREADY, ready=False),
            node=node(cordoned=True),
            budgets=(budget(0, 0, 1, 2, unhealthyPodEvictionPolicy="AlwaysAllow"),),
            answers=unanswered(),
        ),
        "eviction",
    ),
    "a budget that the other pods fulfil": (
        broken(
            pod(UNREADY, ready=False),
            node=node(cordoned=True),
            budgets=(budget(0, 1, 1, 2),),
            answers=unanswered(),
        ),
        "eviction",
    ),
    "a budget of other pods": (
        facts(
            node=node(cordoned=True),
            budgets=(budget(0, 1, 1, 2, selector={"matchLabels": {"app": "other"}}),),
        ),
        "eviction",
    ),
    "a node that was not ready an hour ago": (
        broken(
            pod(UNREADY, ready=False),
            event("NodeNotReady", "Node is not ready", container="", ago=3600),
            node={},
            answers=unanswered(),
        ),
        "node",
    ),
    "a node that was not ready, of a pod that is": (
        facts(pod(), event("NodeNotReady", "Node is not ready", container=""), node={}),
        "node",
    ),
    "a mount that failed, of a container that runs": (
        broken(
            pod(UNREADY, ready=False),
            event("FailedMount", "timed out", container=""),
            answers=unanswered(),
        ),
        "volume",
    ),
    "a registry that is not required": (
        facts(
            answers=answers(
                status(
                    services=[
                        exported() | {"registrations": {"nacos": NOT_REACHED | {"required": False}}}
                    ]
                )
            )
        ),
        "registration",
    ),
    "a registry of a service that is offline": (
        facts(
            answers=answers(
                status(
                    services=[
                        exported(online=False) | {"registrations": {"nacos": NOT_REACHED}},
                        exported() | {"name": "other"},
                    ]
                )
            )
        ),
        "registration",
    ),
}


@pytest.mark.parametrize(("found", "rule"), SILENT.values(), ids=SILENT)
def test_a_sign_that_is_not_the_cause_is_not_mentioned(found: Facts, rule: str) -> None:
    """The rule of this sign says nothing."""
    assert rule not in [each.rule for each in explain(found).findings]


@pytest.mark.parametrize("name", ["state", "services", "loop", "startup", "start", "drain"])
def test_a_built_in_probe_is_not_a_check_of_the_app(name: str) -> None:
    """Each of them has a rule of its own."""
    failing = {"kind": "readiness", "name": name, "ok": False, "reason": "x"}
    found = broken(pod(UNREADY, ready=False), answers=answers(status(probes=[failing])))

    assert "probe-fails" not in wrong(found)
