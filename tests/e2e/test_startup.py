"""`/startup` on a real kubelet: it holds liveness and readiness back."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest
from lightkube.resources.core_v1 import Pod

from tests.cluster.fixtures import Target
from tests.e2e.generated import Kubectl, pods, written
from tests.e2e.kit import Space
from tests.process.kit import wait_for

START = 13
"""Seconds that the app takes: longer than the periods of liveness (10) and readiness (2)."""
SAMPLE = re.compile(r"^prober_probe_total\{(.+)\} (\S+)$", re.MULTILINE)

Asked = Counter[tuple[str, str]]
"""Kind and result of a probe → how often the kubelet has had it."""


@pytest.mark.timeout(300)
def test_startup_holds_the_others_back(space: Space, target: Target) -> None:
    """
    Of an app that takes long to start, the kubelet asks `/startup` alone until that is true, and
    restarts nothing; the same app without a startup probe is asked for all at once.
    """
    kubectl = Kubectl(target, space)
    orders, hasty = (start(space, kubectl, name) for name in ("orders", "hasty"))
    seen: list[tuple[Asked, Asked]] = []

    def started() -> bool:
        seen.append((asked(kubectl, orders), asked(kubectl, hasty)))
        return bool(seen[-1][0]["Startup", "successful"] and space.ready(orders.metadata.name))

    space.wait(started, "it has started", about=orders.metadata.name)

    before = [each for each, _ in seen if not each["Startup", "successful"]]
    assert {kind for each in before for kind, _ in each} <= {"Startup"}
    assert max(each["Startup", "failed"] for each in before) > START / 2  # a period of 1 s
    # The counters would have shown it.
    unstarted = max((each for _, each in seen), key=lambda each: each["Readiness", "failed"])
    assert unstarted["Readiness", "failed"] >= 1
    assert unstarted["Liveness", "successful"] >= 1
    wait_for(
        lambda: asked(kubectl, orders)["Liveness", "successful"], 30, "liveness is asked after it"
    )
    after = asked(kubectl, orders)
    assert not after["Liveness", "failed"] + after["Readiness", "failed"]
    assert after["Startup", "successful"] == 1
    assert space.restarts(orders.metadata.name) == 0
    unhealthy = [
        text for reason, text in space.events(orders.metadata.name) if reason == "Unhealthy"
    ]
    assert unhealthy
    assert all(text.startswith("Startup probe failed") for text in unhealthy)


def start(space: Space, kubectl: Kubectl, name: str) -> Pod:
    """Apply a Deployment of one slow app, `hasty` without its startup probe; return its pod."""
    options = ("--image", space.image, "--replicas=1", "--env", f"START={START}", "-o", "json")
    made = json.loads(written(*options, name=name))
    if name == "hasty":
        (app,) = made["items"][-1]["spec"]["template"]["spec"]["containers"]
        del app["startupProbe"]
    kubectl.apply("-f", "-", stdin=json.dumps(made))
    (pod,) = space.wait(lambda: pods(space, name), f"{name} has its pod")
    space.wait(lambda: space.client.get(Pod, pod.metadata.name).spec.nodeName, "it has its node")
    return space.client.get(Pod, pod.metadata.name)


def asked(kubectl: Kubectl, pod: Pod) -> Asked:
    """Return the kubelet's own count of the probes that it has made of a pod."""
    text = kubectl("get", "--raw", f"/api/v1/nodes/{pod.spec.nodeName}/proxy/metrics/probes")
    counted: Asked = Counter()
    for labels, count in SAMPLE.findall(text):
        of = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        if of["pod_uid"] == pod.metadata.uid:
            counted[of["probe_type"], of["result"]] += int(float(count))
    return counted
