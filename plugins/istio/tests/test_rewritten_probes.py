"""
What of the kubelet comes through the sidecar still works, and what of the mesh comes does no more.

The injector rewrites `httpGet` probes and hooks to the agent's status port; the agent passes
them on from 127.0.0.6, with the headers that it got.
"""

from __future__ import annotations

import http.client
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future

import pytest

from plugins.istio.tests.pilot_agent import UPSTREAM, PilotAgent, Prober, passthrough
from tests.process.kit import App, background, wait_for
from tests.process.lookout import ENV, NOTHING_BUT_PROBES, SERVICE, TOKEN, look_around, unharmed
from tests.process.test_qos_outside import own_address

Start = Callable[..., App]

TIMEOUT = 10.0
"""Seconds that a manifest gives the probes: many, because this machine may be busy."""
LONG = {"LIFECYCLE_GRACE_PERIOD": "60", "LIFECYCLE_SETTLE": "30"}
"""A drain that is not over before everything has been looked at."""
LIVE, READY, STARTED = (f"/app-health/orders/{name}z" for name in ("live", "ready", "startup"))
PRESTOP = "/app-lifecycle/orders/prestopz"
POD_IPS = pytest.mark.parametrize("pod_ip", ["127.0.0.1", own_address()])
"""The app as the agent finds it: by the old setting at localhost, else at the pod's address."""
ADDED = (
    b"x-forwarded-proto: http\r\nx-request-id: 7c7a1a1e-0d4b-4c0a-9d3a-1f0e8a3d5b6c\r\n"
    b"x-forwarded-client-cert: By=spiffe://cluster.local/ns/shop/sa/orders\r\n"
    b"x-envoy-attempt-count: 1\r\nx-forwarded-for: 10.244.0.7\r\n"
)

SLOW = """
import os, time
import lifecycle

class Slow:
    answer = True

    @lifecycle.hookimpl
    def lifecycle_readiness(self):
        time.sleep(0 if self.answer else 3600)

slow = Slow()

async def main(life):
    life.export("orders", port=int(os.environ["PORT"]))
    await life.ready()
    slow.answer = False
    await life.drained()

lifecycle.run(main, plugins=[slow])
"""


class Kubelet:
    """A kubelet that finds the probes rewritten."""

    def __init__(self, agent: PilotAgent, app: App) -> None:
        self._agent = agent
        probed = {LIVE: "/live", READY: "/ready", STARTED: "/startup"}
        agent.probers = {name: Prober(app.qos, path, TIMEOUT) for name, path in probed.items()}
        agent.probers[PRESTOP] = Prober(app.qos, "/prestop", timeout=0)

    def get(self, path: str, agent: str = "kube-probe/1.34", **headers: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self._agent.status_port, timeout=30)
        said = {"User-Agent": agent, "Accept": "*/*", "Connection": "close", **headers}
        connection.request("GET", path, headers=said)
        response = connection.getresponse()
        answer = response.status, response.read().decode()
        connection.close()
        return answer

    def pre_stop(self, **headers: str) -> Future[tuple[int, str]]:
        return background(lambda: self.get(PRESTOP, agent="kube-lifecycle/1.34", **headers))


@POD_IPS
def test_the_three_probes(start: Start, agent: PilotAgent, pod_ip: str) -> None:
    """Through the sidecar as without it: false while the start is held, true, and in the drain."""
    agent.pod_ip = pod_ip
    app = start(wait="true", ready_url=agent.ready_url, env=LONG)
    kubelet = Kubelet(agent, app)
    agent.await_asked("/healthz/ready", 2)
    assert kubelet.get(LIVE) == (200, "true")
    assert kubelet.get(STARTED) == kubelet.get(READY) == (503, "false")

    agent.ready.set()
    wait_for(lambda: kubelet.get(READY)[0] == 200, 20, lambda: app.stderr)
    for path in (LIVE, READY, STARTED):
        assert kubelet.get(path) == (200, "true")
        assert kubelet.get(path, Host="orders.example", **{"X-Custom": "1"}) == (200, "true")

    app.signal(signal.SIGTERM)
    app.wait_state("draining")
    assert kubelet.get(READY) == (503, "false")
    assert kubelet.get(LIVE) == (200, "true")
    app.process.kill()
    app.wait()
    assert kubelet.get(LIVE) == (500, "")


def test_an_answer_comes_before_the_agent_gives_up(start: Start, agent: PilotAgent) -> None:
    """It has a probe's timeoutSeconds: a probe that hangs is a 503 of ours, and no 500 of its."""
    app = start(SLOW)
    kubelet = Kubelet(agent, app)
    app.wait_state("ready")

    wait_for(lambda: kubelet.get(READY)[0] != 200, 20, lambda: app.stderr)
    assert {kubelet.get(READY) for _ in range(3)} == {(503, "false")}


@POD_IPS
def test_a_prestop_by_http(start: Start, agent: PilotAgent, pod_ip: str) -> None:
    """Rewritten like the probes, it has its token with it, and is answered when the drain is over."""
    agent.pod_ip = pod_ip
    app = start(env=LONG | {"LIFECYCLE_PRESTOP_TOKEN": TOKEN, "LIFECYCLE_SETTLE": "0.5"})
    kubelet = Kubelet(agent, app)
    app.wait_state("ready")
    assert kubelet.pre_stop().result(30)[0] == 403
    assert unharmed(app)

    answered = kubelet.pre_stop(**{"X-Lifecycle-Token": TOKEN})
    app.wait_state("draining")
    assert kubelet.get(LIVE) == (200, "true")
    assert answered.result(30)[0] == 200
    app.signal(signal.SIGTERM)
    assert app.wait() == 0, app.stderr


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """Serve one service, which nobody from outside may touch."""
    with App.start(SERVICE, cwd=tmp_path_factory.mktemp("mesh"), env=ENV) as app:
        app.wait_state("ready")
        yield app
        assert unharmed(app)


@POD_IPS
@pytest.mark.parametrize(
    ("source", "headers"),
    [(UPSTREAM, b""), (UPSTREAM, ADDED), ("127.0.0.1", ADDED)],
    ids=["tcp", "http", "http from localhost"],
)
def test_what_the_mesh_passes_on(app: App, pod_ip: str, source: str, headers: bytes) -> None:
    """Whoever speaks to the pod through its sidecar gets the probes and nothing else."""
    with passthrough((pod_ip, app.qos), source=source, headers=headers) as port:
        assert look_around(("127.0.0.1", port)) == NOTHING_BUT_PROBES


@POD_IPS
def test_what_the_agent_passes_on(app: App, agent: PilotAgent, pod_ip: str) -> None:
    """A manifest that would have the agent ask for more gets no more either."""
    agent.pod_ip = pod_ip
    kubelet = Kubelet(agent, app)
    for path in ("/status", "/ls", "/config", "/count", "/offline", "/prestop"):
        agent.probers[LIVE] = Prober(app.qos, path, TIMEOUT)
        assert kubelet.get(LIVE)[0] in {403, 405}
    agent.probers[READY] = Prober(app.qos, "/ready?verbose", TIMEOUT)
    assert "swordfish" not in kubelet.get(READY)[1]
