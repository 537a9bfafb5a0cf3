"""Signs that are there and are not the cause, and the conditions under which a rule says anything."""

from __future__ import annotations

from typing import Any

import pytest
from lifecycle_fleet.why.pod import explain

from plugins.fleet.tests.test_why_rules import wrong
from plugins.fleet.tests.why_cases import (
    ALONE,
    KILLED_AT_START,
    NO_GATE,
    NOT_REACHED,
    STEADY,
    UNREADY,
    Case,
    broken,
    budgeted,
    changed,
    container,
    unanswered,
    web,
)
from plugins.fleet.tests.why_objects import (
    Object,
    answers,
    budget,
    crashed,
    event,
    exported,
    facts,
    foreign,
    leaving,
    node,
    pod,
    probe,
    refused,
    running,
    service,
    status,
    terminated,
    unhealthy,
)
from plugins.fleet.tests.why_real_cases import REFUSED

EXITED = crashed(1, ran=6)
KILLED = crashed(137, "OOMKilled", ran=6)
NEXT = {"name": "next", "readinessProbe": probe("/", 8081)}


def with_next(found: Object) -> Object:
    """The pod with a second container, which is not ready."""

    def add(each: Object) -> None:
        each["spec"]["containers"].append(NEXT)
        each["status"]["containerStatuses"].append(running("next", ready=False))

    return changed(found, add)


def hooked(found: Object) -> Object:
    return container(found, lifecycle={"preStop": {"exec": {"command": ["lifecycle", "prestop"]}}})


EXPLAINED: dict[str, Case] = {
    "a liveness probe that fails now, in a ready pod": Case(
        facts(
            foreign(STEADY),
            unhealthy("Liveness", "HTTP probe failed with statuscode: 500", container="web"),
            **ALONE,
        ),
        ("probe-answer",),
        "The livenessProbe of container web requests /healthz on port 80, and the app answers 500.",
    ),
    "a container next to the app that answers 503": Case(
        broken(
            with_next(pod(ready=False)),
            unhealthy("Readiness", "HTTP probe failed with statuscode: 503", container="next"),
        ),
        ("probe-answer",),
        "The readinessProbe of container next requests / on port 8081, and the app answers 503.",
    ),
    "a container that exits by itself when its startup probe has run out": Case(
        broken(
            changed(budgeted(5), lambda each: each["status"].update(containerStatuses=[EXITED])),
            answers=unanswered(),
        ),
        ("crash",),
        "Container orders exited with 1.",
    ),
    "a container out of memory when its startup probe has run out": Case(
        broken(
            changed(budgeted(5), lambda each: each["status"].update(containerStatuses=[KILLED])),
            answers=unanswered(),
        ),
        ("out-of-memory",),
        "Container orders used more memory than its limit of 256Mi",
    ),
    "a startup probe at the wrong port that ends the container": Case(
        broken(
            web(crashed(137, name="web", ran=31), startupProbe=probe("/", 81, failureThreshold=3)),
            event(
                "Killing",
                "Container web failed startup probe, will be restarted",
                container="web",
                ago=6,
            ),
            unhealthy("Startup", refused(81, "/"), container="web", ago=6),
            **ALONE,
        ),
        ("probe-port",),
        "The connection of the startupProbe of container web to port 81 is refused.",
    ),
    "a start that waits for a registry until its startup probe ends it": Case(
        broken(
            changed(
                budgeted(5),
                lambda each: each["status"].update(
                    containerStatuses=[
                        running(ready=False, started=False, ago=2)
                        | {"restartCount": 1, "lastState": terminated(137, ago=5, ran=6)}
                    ]
                ),
            ),
            KILLED_AT_START,
            answers=answers(
                status(
                    "exporting",
                    services=[exported() | {"registrations": {"nacos": NOT_REACHED}}],
                )
            ),
        ),
        ("registration",),
        "The service orders is not registered in the service registry nacos. Its answer: no route",
    ),
    "a container out of memory after all the time that its liveness probe allows": Case(
        broken(
            web(crashed(137, "OOMKilled", name="web", ran=90)),
            unhealthy("Liveness", REFUSED, container="web", ago=6),
            **ALONE,
        ),
        ("out-of-memory",),
        "Container web was ended by the kernel",
    ),
    "a container that exits by itself after all the time that its liveness probe allows": Case(
        broken(
            web(crashed(1, name="web", ran=90)),
            unhealthy("Liveness", REFUSED, container="web", ago=6),
            **ALONE,
        ),
        ("crash",),
        "Container web exited with 1.",
    ),
    "a container that its startup probe has ended, and a liveness probe of the run before": Case(
        broken(
            web(crashed(143, name="web", ran=40), startupProbe=probe("/", 80, failureThreshold=3)),
            unhealthy("Liveness", refused(81), container="web", ago=200),
            event(
                "Killing",
                "Container web failed startup probe, will be restarted",
                container="web",
                ago=6,
            ),
            **ALONE,
        ),
        ("startup-budget",),
        "The kubelet restarts container web because its startup probe did not pass within 30 s",
    ),
    "a crash, and a liveness probe that has ended another container": Case(
        broken(
            web(crashed(1, name="web")),
            event(
                "Killing",
                "Container next failed liveness probe, will be restarted",
                container="next",
                ago=6,
            ),
            unhealthy("Readiness", "HTTP probe failed with statuscode: 500", container="next"),
            **ALONE,
        ),
        ("crash",),
        "Container web exited with 1.",
    ),
    "a TCP probe": Case(
        broken(
            web(running("web", ready=False), readinessProbe={"tcpSocket": {"port": 5432}}),
            unhealthy("Readiness", "dial tcp 10.0.0.7:5432: connection refused", container="web"),
            **ALONE,
        ),
        ("probe-port",),
        "The connection of the readinessProbe of container web to port 5432 is refused.",
    ),
    "a gRPC probe": Case(
        broken(
            web(running("web", ready=False), readinessProbe={"grpc": {"port": 50051}}),
            unhealthy(
                "Readiness",
                'timeout: failed to connect service "10.0.0.7:50051" within 1s: connection refused',
                container="web",
            ),
            **ALONE,
        ),
        ("probe-port",),
        "The connection of the readinessProbe of container web to port 50051 is refused.",
    ),
    "a Service that the app exports": Case(
        facts(
            services=(service("cart", labels={"app.kubernetes.io/name": "x"}),),
            slices=(),
            answers=answers(status(services=[exported() | {"name": "cart"}])),
        ),
        ("service-selector",),
        "No Service selects the pod. The Service cart selects app.kubernetes.io/name=x",
    ),
    "a Service named like the Deployment": Case(
        facts(foreign(), **ALONE | {"services": (service("web", 80, {"app": "shop"}),)}),
        ("service-selector",),
        "No Service selects the pod. The Service web selects app=shop, but the pod has app=web.",
    ),
    "a Service with almost the same value": Case(
        facts(foreign(), **ALONE | {"services": (service("front", 80, {"app": "webs"}),)}),
        ("service-selector",),
        "No Service selects the pod. The Service front selects app=webs",
    ),
    "a Service with a label more": Case(
        facts(foreign(), **ALONE | {"services": (service("front", 80, {"app": "web", "a": "b"}),)}),
        ("service-selector",),
        "No Service selects the pod. The Service front selects a=b, but the pod has no label a.",
    ),
    "an exit code of ours in a foreign pod": Case(
        broken(web(crashed(124, name="web")), **ALONE),
        ("crash",),
        "Container web exited with 124.",
    ),
    "another exit code of ours in a foreign pod": Case(
        broken(web(crashed(2, name="web")), **ALONE),
        ("crash",),
        "Container web exited with 2.",
    ),
    "a deletion with a shorter grace period": Case(
        broken(hooked(pod(ready=False, gate=False, **leaving(8, grace=10)))),
        ("prestop",),
        "The pod was deleted 8 s ago, but the app in container orders has not been told to stop.",
    ),
    "a budget that is broken by the pod itself": Case(
        broken(
            pod(UNREADY, ready=False),
            node=node(cordoned=True),
            budgets=(budget(0, 0, 1, 2),),
            answers=unanswered(),
        ),
        ("eviction", "starting"),
        "The node node-1 is cordoned, but the pod cannot be evicted from it.",
    ),
}


@pytest.mark.parametrize("case", EXPLAINED.values(), ids=EXPLAINED)
def test_the_cause_is_found_among_other_signs(case: Case) -> None:
    """The rule of the cause says it, and no rule of a consequence does."""
    verdict = explain(case.facts)

    assert wrong(case.facts) == case.rules
    assert verdict.findings[0].sentence.startswith(case.sentence)


OFF = {
    **{
        value: ({"env": [{"name": "LIFECYCLE_KUBERNETES_ENABLED", "value": value}]}, value)
        for value in ("false", "0", "no", "off", "FALSE")
    },
    "LIFECYCLE_PLUGINS": (
        {"env": [{"name": "LIFECYCLE_PLUGINS", "value": "state no:kubernetes"}]},
        "no:kubernetes in LIFECYCLE_PLUGINS",
    ),
    "-p": (
        {"command": ["lifecycle", "run", "-p", "no:kubernetes", "--asgi", "orders:app"]},
        "-p no:kubernetes",
    ),
}


@pytest.mark.parametrize("asked", [True, False], ids=["asked", "not asked"])
@pytest.mark.parametrize(("fields", "setting"), OFF.values(), ids=OFF)
def test_a_plugin_that_is_turned_off_is_named_with_its_setting(
    fields: dict[str, Any], setting: str, *, asked: bool
) -> None:
    """Whether the app answers or not."""
    without = answers(status(plugins=[{"name": "state", "ok": True}]), installed={"kubernetes": ""})
    given = without if asked else unanswered()
    (found,) = explain(broken(container(pod(**NO_GATE), **fields), answers=given)).findings

    assert found.rule == "gate-unset"
    assert "is turned off in the app" in found.sentence
    assert setting in found.fix


def test_the_loud_lines_of_a_log_are_the_evidence() -> None:
    """Lines of JSON below a warning are left out, unless there is nothing else."""
    quiet, loud = '{"level": "info", "event": "started"}', "KeyError: 'DATABASE_URL'"
    lines = {"both": (quiet, loud, ""), "quiet only": (quiet,)}
    seen = {}
    for name, each in lines.items():
        found = broken(pod(crashed(1), ready=False), logs={"orders": each}, answers=unanswered())
        seen[name] = [one for one in explain(found).findings[0].evidence if one.startswith("log: ")]

    assert seen == {"both": [f"log: {loud}"], "quiet only": [f"log: {quiet}"]}


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (2, "with 2 pieces of work in flight: a0 for 1 s, a1 for 1 s. "),
        (7, "a4 for 1 s and 2 more. "),
    ],
)
def test_several_pieces_of_work_are_counted(number: int, said: str) -> None:
    """The first five are named."""
    entries = [{"name": f"a{each}", "age": 1.0} for each in range(number)]
    found = broken(
        pod(UNREADY, ready=False, gate=False, **leaving(12)),
        answers=answers(status("draining"), inflight={"in_flight": number, "entries": entries}),
    )

    assert said in explain(found).findings[0].sentence
