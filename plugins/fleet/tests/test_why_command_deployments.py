"""lifecycle fleet why, for a Deployment with its pods."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from lifecycle_fleet.why import gather

from plugins.fleet.tests.api_server import ApiServer
from plugins.fleet.tests.why_cases import UNREADY
from plugins.fleet.tests.why_deployments import NEW, deployment, replica_set
from plugins.fleet.tests.why_objects import (
    NAME,
    NOW,
    TOLD,
    Object,
    crashed,
    event,
    exported,
    leaving,
    node,
    piece,
    pod,
    service,
    status,
)
from plugins.fleet.tests.why_shop import answering


def rollout(api: ApiServer, *pods: Object) -> None:
    api.put("deployments", deployment(1, 2, 3))
    new = replica_set(NEW, 2, 1)
    new["metadata"]["ownerReferences"] = [{"uid": "deploy-1", "controller": True}]
    api.put("replicasets", new)
    api.put("services", service())
    api.put("nodes", node())
    for each in pods:
        owner = {"uid": f"rs-{NEW}", "controller": True, "kind": "ReplicaSet", "name": "x"}
        each["metadata"]["ownerReferences"] = [owner]
        api.put("pods", each)


@pytest.mark.parametrize("target", [NAME, "deploy/orders"])
@pytest.mark.parametrize("ahead", [-3600.0, -40.0, 40.0])
def test_the_clock_of_the_machine_may_be_wrong(
    api: ApiServer, why: Any, monkeypatch: pytest.MonkeyPatch, target: str, ahead: float
) -> None:
    """The grace period of a pod ends by the clock of the API server."""
    api.ahead = ahead
    monkeypatch.setattr("time.time", lambda: NOW - ahead)
    rollout(api, pod(UNREADY, ready=False, gate=False, **leaving(12, grace=30)))

    _, out, _ = why(target, "--no-exec")

    (left,) = re.findall(r"(\S+) s of the grace period remain", " ".join(out.split()))
    assert 17 <= float(left) <= 19


def test_a_deployment_says_the_same_finding_once(api: ApiServer, why: Any) -> None:
    """Two pods that an administrator holds offline are one finding with two names."""
    found = []
    for name in ("a", "b"):
        each = pod(UNREADY, ready=False, gate=False, told=TOLD)
        each["metadata"] |= {"name": name, "uid": name}
        found.append(each)
    rollout(api, *found)
    held = exported("no", online=False, held_by={"operator": "10.0.0.9"})
    api.execute = answering(status(services=[held]))

    code, out, _ = why("deploy/orders")

    assert code == 1
    assert out.startswith(
        "The rollout of deploy/orders is not complete. 0 of 2 new pods are ready."
    )
    assert out.count("An administrator has taken every service") == 1
    assert "   pods  a, b\n" in out


def test_only_some_pods_of_a_large_deployment_are_looked_at(
    api: ApiServer, why: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that are not ready come first, and the number of the others is said."""
    monkeypatch.setattr(gather, "MOST", 2)
    found = []
    for number in range(4):
        ready = number != 3
        each = pod(told=TOLD) if ready else pod(crashed(1), ready=False)
        each["metadata"] |= {"name": f"p{number}", "uid": f"p{number}"}
        found.append(each)
    rollout(api, *found)
    api.execute = answering(status())
    api.put("endpointslices", piece(pods=("p0", "p1", "p2")))

    code, out, _ = why("deployment.apps/orders", "-o", "json")

    answer = json.loads(out)
    assert code == 1
    assert answer["findings"][0]["pods"] == ["p3"]
    assert answer["caveats"][0]["sentence"].startswith("2 more pods")
    assert len({each.name for each in api.asked if each.verb == "exec"}) == 1


def test_pods_that_were_evicted_are_not_a_part_of_a_deployment(api: ApiServer, why: Any) -> None:
    """They are replaced already, and stay until they are collected."""
    evicted = pod(ready=False, phase="Failed")
    evicted["status"]["reason"] = "Evicted"
    rollout(api, evicted)
    api.put("deployments", deployment())

    code, out, _ = why("deploy/orders")

    assert (code, out) == (0, "The rollout of deploy/orders is complete. 2 pods are available.\n")


def test_events_of_a_replica_set(api: ApiServer, why: Any) -> None:
    """A refusal of the API server is read from the newest ReplicaSet."""
    rollout(api)
    told = event(
        "FailedCreate", 'Error creating: pods "x" is forbidden: exceeded quota: small', container=""
    )
    told["involvedObject"] = {"kind": "ReplicaSet", "name": f"orders-{NEW}", "uid": f"rs-{NEW}"}
    api.put("events", told)

    code, out, _ = why("deploy/orders")

    assert code == 1
    assert "1. The quota small of the namespace allows no more pods of this size." in out
