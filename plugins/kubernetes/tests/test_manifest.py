"""Each disagreement between a manifest and the settings has its sentence; agreement has none."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from lifecycle_kubernetes.layout import REGISTERED
from lifecycle_kubernetes.manifest import disagreements, undeclared_port

import lifecycle
from lifecycle.manifests.names import RUN_DIR
from lifecycle.manifests.plan import Plan
from lifecycle.manifests.pod import pod_spec

TOKEN = "a-token-of-the-test"


def probe(path: str, **more: Any) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": "qos"}, "timeoutSeconds": 1, **more}


def injected(path: str) -> dict[str, Any]:
    """As Istio's injector rewrites a probe."""
    return {"httpGet": {"path": path, "port": 15020}, "timeoutSeconds": 1}


GOOD: dict[str, Any] = {
    "terminationGracePeriodSeconds": 30,
    "readinessGates": [{"conditionType": REGISTERED}],
    "containers": [
        {
            "name": "app",
            "ports": [
                {"name": "http", "containerPort": 8080},
                {"name": "qos", "containerPort": 22222},
            ],
            "startupProbe": probe("/startup"),
            "readinessProbe": probe("/ready"),
            "livenessProbe": probe("/live"),
            "lifecycle": {"preStop": {"exec": {"command": ["lifecycle", "prestop"]}}},
        }
    ],
}


def sentences(changes: dict[str, Any], **settings: Any) -> list[str]:
    """Change the good spec, by paths, and compare."""
    spec = copy.deepcopy(GOOD)
    for path, value in changes.items():
        *way, last = path.split(".")
        place: Any = spec if way and way[0] == "spec" else spec["containers"][0]
        for word in way[1:] if way and way[0] == "spec" else way:
            place = place[word]
        if value is None:
            del place[last]
        else:
            place[last] = value
    return disagreements(spec, lifecycle.Config(**settings))


def http_hook(port: int | str = "qos", path: str = "/prestop", token: str = TOKEN) -> Any:
    header = {"name": "X-Lifecycle-Token", "value": token}
    return {"httpGet": {"port": port, "path": path, "httpHeaders": [header]}}


@pytest.mark.parametrize(
    ("changes", "settings", "said"),
    [
        ({"spec.readinessGates": None}, {}, "no readinessGate"),
        ({}, {"grace_period": 60}, "the kubelet kills the pod before the drain is over"),
        ({}, {"grace_period": 20}, "ends earlier than necessary"),
        ({}, {"qos_port": 22223}, "uses port 22222, but the QOS port is 22223"),
        ({}, {"qos_enabled": False}, "qos_enabled is false"),
        ({}, {"probe_timeout": 1}, "timeoutSeconds 1 is not above probe_timeout"),
        ({"startupProbe": None}, {}, "no startupProbe"),
        ({"livenessProbe": probe("/ready")}, {}, "livenessProbe uses /ready instead of /live"),
        ({"readinessProbe": {"tcpSocket": {"port": 8080}}}, {}, "does not use /ready"),
        ({"livenessProbe.httpGet.scheme": "HTTPS"}, {}, "plain HTTP"),
        ({"livenessProbe.terminationGracePeriodSeconds": 5}, {}, "livenessProbe's own termin"),
        ({"lifecycle": None}, {}, "no preStop"),
        ({"lifecycle.preStop": {"sleep": {"seconds": 5}}}, {}, "preStop sleeps"),
        ({"lifecycle.preStop.exec.command": ["sleep", "5"]}, {}, "preStop runs 'sleep 5'"),
        ({"lifecycle.preStop": http_hook()}, {}, "it is refused"),
        (
            {"lifecycle.preStop": http_hook(port=8080)},
            {"prestop_token": TOKEN},
            "preStop uses port 8080",
        ),
        (
            {"lifecycle.preStop": http_hook(path="/stop")},
            {"prestop_token": TOKEN},
            "preStop uses /stop",
        ),
        (
            {"lifecycle.preStop": http_hook(token="another-one-of-them")},
            {"prestop_token": TOKEN},
            "it is refused",
        ),
    ],
)
def test_a_disagreement_is_said(
    changes: dict[str, Any], settings: dict[str, Any], said: str
) -> None:
    """One change, and the sentence about it."""
    assert any(said in each for each in sentences(changes, **settings))


@pytest.mark.parametrize(
    ("changes", "settings"),
    [
        ({}, {}),
        ({"readinessProbe": probe("/readyz?verbose")}, {}),
        ({"readinessProbe": probe("/ready/postgres")}, {}),
        ({"lifecycle.preStop": http_hook()}, {"prestop_token": TOKEN}),
        (
            {
                "startupProbe": injected("/app-health/orders/startupz"),
                "readinessProbe": injected("/app-health/orders/readyz"),
                "livenessProbe": injected("/app-health/orders/livez"),
                "lifecycle.preStop": http_hook(port=15020, path="/app-lifecycle/orders/prestopz"),
            },
            {},
        ),
        ({"livenessProbe": {"exec": {"command": ["lifecycle", "probe", "live"]}}}, {}),
    ],
)
def test_agreement_is_not_mentioned(changes: dict[str, Any], settings: dict[str, Any]) -> None:
    """What fits brings no warning."""
    assert sentences(changes, **settings) == []


def test_settings_that_do_not_fit_into_the_pods_grace_are_said() -> None:
    """With 8 s of the pod's there is no room for settle 5 + quiet 1 + stop 3 + 2."""
    said = sentences({"spec.terminationGracePeriodSeconds": 8})
    assert any("is longer than terminationGracePeriodSeconds 8" in each for each in said)


def test_the_apps_container_is_found_beside_a_sidecar() -> None:
    """The container that has the QOS port is the app's, wherever it stands."""
    spec = copy.deepcopy(GOOD)
    spec["containers"].insert(0, {"name": "proxy", "readinessProbe": probe("/healthz")})
    assert disagreements(spec, lifecycle.Config()) == []


@pytest.mark.parametrize("prestop", ["exec", "http"])
def test_what_lifecycle_manifests_writes_agrees(prestop: str) -> None:
    """The generated pod has no disagreement with the settings that it was made from."""
    env = {
        "LIFECYCLE_GRACE_PERIOD": "40",
        "LIFECYCLE_PRESTOP_TOKEN": TOKEN,
        "LIFECYCLE_RUN_DIR": RUN_DIR,
    }
    command = ("lifecycle", "run", "a:b")
    plan = Plan(
        name="orders", command=command, services=[("orders", 8080)], env=env, prestop=prestop
    )
    assert disagreements(pod_spec(plan), plan.config) == []


def test_a_port_that_no_container_declares_is_said() -> None:
    """A service on 8081 where 8080 is declared; with nothing declared nobody can tell."""
    orders = lifecycle.Instance("orders", "10.0.0.1", 8081, "x")
    assert "port 8081, but the containers declare 8080, 22222" in undeclared_port(GOOD, orders)
    assert undeclared_port({"containers": [{"name": "app"}]}, orders) == ""
