"""Our own cluster: it is a whole one, it can be broken and mended, and it leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from lightkube.resources.core_v1 import Service

from tests.cluster.cluster import Cluster
from tests.cluster.machine import CGROUPS
from tests.e2e import manifests
from tests.e2e.kit import Space
from tests.e2e.test_pod import EXAMPLE, RUN
from tests.process.kit import wait_for

pytestmark = pytest.mark.usefixtures("cluster")

ASK = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=2).read().decode())"
DISCOVER = """
import os, ssl, urllib.request as u
account = "/var/run/secrets/kubernetes.io/serviceaccount"
token = {"Authorization": "Bearer " + open(f"{account}/token").read()}
trust = ssl.create_default_context(cafile=f"{account}/ca.crt")
where = "https://" + os.environ["KUBERNETES_SERVICE_HOST"] + "/api"
print(u.urlopen(u.Request(where, headers=token), timeout=2, context=trust).read().decode())
"""


@pytest.mark.timeout(300)
def test_a_clusterip_leads_to_the_pod_from_everywhere(space: Space) -> None:
    """Another pod, the pod itself and this machine reach a Service by its ClusterIP."""
    space.files("orders", EXAMPLE)
    space.create(manifests.service("orders"))
    space.files("client", EXAMPLE)
    for pod in ("client", "orders"):
        space.create(manifests.pod(pod, space.image, RUN))
    space.wait_ready("client", "orders")
    spec = space.client.get(Service, "orders").spec
    assert spec is not None
    url = f"http://{spec.clusterIP}/"

    for pod in ("client", "orders"):
        space.wait(
            lambda pod=pod: "ok" in space.run(pod, "python3", "-c", ASK, url),
            f"the pod {pod} is answered",
            about=pod,
        )
    with urllib.request.urlopen(url, timeout=10) as response:
        assert response.read() == b"ok\n"


@pytest.mark.timeout(300)
def test_a_pod_is_known_to_the_api_server_and_trusts_it(space: Space) -> None:
    """Inside a pod, the API server's certificate is trusted and the account's token accepted."""
    space.files("orders", EXAMPLE)
    space.create(manifests.pod("orders", space.image, RUN))
    space.wait_ready("orders")

    space.wait(
        lambda: "APIVersions" in space.run("orders", "python3", "-c", DISCOVER),
        "the API server tells the pod its versions",
        about="orders",
    )


@pytest.mark.timeout(300)
def test_an_api_server_that_is_killed_comes_back_with_what_it_had(
    space: Space, cluster: Cluster
) -> None:
    """The API server is killed and started again: who asked before asks on."""
    space.create(manifests.service("orders"))

    cluster.kill("kube-apiserver")
    assert cluster.get("/readyz") == b""
    cluster.bring_back_api_server()

    assert space.client.get(Service, "orders").metadata is not None


@pytest.mark.timeout(300)
def test_a_cluster_whose_tests_are_killed_leaves_nothing() -> None:
    """Killed with -9 at its work, the cluster's owner leaves no process, mount, link or file."""
    environment = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.cluster"],
        env=environment,
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
    ) as owner:
        assert owner.stdout is not None
        kubeconfig = owner.stdout.readline().split()[1].removeprefix("KUBECONFIG=")
        state = Path(kubeconfig).parents[1]
        owner.send_signal(signal.SIGKILL)

    name = state.name.split("-")[0]
    wait_for(lambda: not state.exists(), 60, f"{state} is removed")
    wait_for(lambda: not _processes(str(state)), 60, f"nothing of {state} runs")
    assert not list(CGROUPS.glob(f"**/{name}"))
    assert not Path("/sys/class/net", name).exists()
    assert str(state) not in Path("/proc/mounts").read_text()


def _processes(word: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if word in line:
            found.append(line)
    return found
