"""Which container `why` takes for that of the app, and whether its annotation is of the present run."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifecycle_fleet.view.container import container_for_commands
from lifecycle_fleet.why.facts import Facts
from lifecycle_fleet.why.pod import explain

from plugins.fleet.tests.why_cases import unanswered
from plugins.fleet.tests.why_objects import (
    NOW,
    TOLD,
    Object,
    crashed,
    facts,
    leaving,
    pod,
    probe,
    running,
)

OFFLINE: Object = TOLD | {"online": [], "offline": ["orders"], "since": NOW - 500}


def rules_of(found: Object) -> list[str]:
    """The findings about a pod whose app cannot be asked."""
    return [each.rule for each in explain(facts(found, answers=unanswered())).findings]


def sidecar(**more: Any) -> Object:
    return {"name": "istio-proxy", "image": "istio/proxyv2:1", **more}


def app(**more: Any) -> Object:
    return {"name": "app", "image": "registry.example/orders:1", **more}


def with_containers(*containers: Object, told: Object | None = None, **annotations: str) -> Object:
    found = pod(*(running(each["name"]) for each in containers), told=told)
    found["spec"]["containers"] = [*containers]
    found["metadata"]["annotations"] |= annotations
    return found


HOOK = {"preStop": {"exec": {"command": ["python", "-m", "lifecycle", "prestop"]}}}
APPS: dict[str, Object] = {
    "a preStop hook of Python, and the probe port with another number": app(
        lifecycle=HOOK, ports=[{"name": "qos", "containerPort": 9000}]
    ),
    "a hook only": app(lifecycle=HOOK),
    "a hook over HTTP": app(lifecycle={"preStop": {"httpGet": {"path": "/prestop", "port": 9000}}}),
    "the name of the probe port only": app(ports=[{"name": "qos", "containerPort": 9000}]),
    "probes at the probe port of the annotation": app(readinessProbe=probe("/ready", 9000)),
    "lifecycle run under an init": app(command=["tini", "--", "lifecycle", "run", "orders:main"]),
}


@pytest.mark.parametrize("container", APPS.values(), ids=APPS)
def test_why_asks_the_container_that_status_asks(container: Object) -> None:
    """Also if a sidecar comes first that has a setting of the same name."""
    setting = {"name": "LIFECYCLE_LOG_LEVEL", "value": "debug"}
    found = with_containers(sidecar(env=[setting]), container, told=TOLD | {"qos_port": 9000})
    chosen = Facts(pod=found, now=NOW).app

    assert chosen is not None
    assert chosen.name == "app" == container_for_commands(found, 9000)


def test_the_default_container_of_kubectl_is_asked_if_nothing_shows_the_app() -> None:
    """The annotation of the app shows only that there is one in the pod."""
    marked = {"kubectl.kubernetes.io/default-container": "app"}
    found = with_containers(sidecar(), app(), told=TOLD, **marked)
    chosen = Facts(pod=found, now=NOW).app

    assert chosen is not None
    assert chosen.name == "app" == container_for_commands(found, 22222)


def test_a_setting_shows_the_app_too() -> None:
    """A container of an app that has no probe and no hook yet is found by its settings."""
    found = with_containers(sidecar(), app(env=[{"name": "LIFECYCLE_GRACE_PERIOD", "value": "30"}]))
    chosen = Facts(pod=found, now=NOW).app

    assert chosen is not None
    assert chosen.name == "app"


def test_a_foreign_pod_has_no_app() -> None:
    """Nothing of ours is in it, not even the annotation or the gate."""
    found = with_containers(sidecar(), app())
    del found["spec"]["readinessGates"]

    assert Facts(pod=found, now=NOW).app is None


def test_an_app_that_crashes_is_not_said_to_be_offline() -> None:
    """The annotation is that of a run that has ended, when everything was offline."""
    found = rules_of(pod(crashed(1), ready=False, gate=False, told=OFFLINE))

    assert "offline" not in found
    assert found[0] == "crash"


def test_an_app_that_was_restarted_is_not_said_to_be_offline() -> None:
    """The container runs for 20 s, and the annotation is older."""
    unready = running(ready=False, ago=20) | {"restartCount": 1}

    assert "offline" not in rules_of(pod(unready, ready=False, gate=False, told=OFFLINE))


def test_a_service_that_was_offline_before_does_not_explain_the_gate() -> None:
    """The app of now passes its probes, so only the gate is missing."""
    found = pod(running(ago=20), ready=False, containers=True, gate=False, told=OFFLINE)

    assert "gate-unset" in rules_of(found)


@pytest.mark.parametrize("state", ["starting", "draining"])
def test_a_state_of_an_earlier_run_is_not_said(state: str) -> None:
    """What the app does now is not known."""
    old = TOLD | {"state": state, "since": NOW - 500}
    unready = running(ready=False, ago=20) | {"restartCount": 1}
    found = pod(unready, ready=False, told=old, **(leaving(12) if state == "draining" else {}))

    said = [each.sentence for each in explain(facts(found, answers=unanswered())).findings]

    assert not [each for each in said if f"state is {state}" in each or "app is draining" in each]


def test_the_settings_of_an_earlier_run_still_count() -> None:
    """A restart of a container changes neither its port nor how long its start takes."""
    old = TOLD | {"since": NOW - 500, "qos_port": 9000}
    found = Facts(pod=pod(running(ago=20), told=old), now=NOW)

    assert found.told_now is None
    assert found.qos_port == 9000


@given(started=st.integers(0, 10_000), ran=st.floats(-10_000, 10_000))
def test_only_the_present_run_counts(started: int, ran: float) -> None:
    """The kubelet reports whole seconds, so an annotation may seem to be up to a second older."""
    told = TOLD | {"since": NOW - started + ran}
    found = Facts(pod=pod(running(ago=started), told=told), now=NOW)

    assert (found.told_now is not None) == (ran >= -1.0)


@pytest.mark.parametrize("stopped", [crashed(1), {"name": "orders"}])
def test_an_app_that_does_not_run_has_told_nothing(stopped: Object) -> None:
    """Even if the annotation is new, its app has ended since."""
    assert Facts(pod=pod(stopped, told=TOLD), now=NOW).told_now is None
