"""An HTTP probe asks, reads and judges as the kubelet's does."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from lifecycle.testing import HttpGet, Kubelet, Pod
from tests.testing.kit import CERTIFICATE, get, paths, quick, record, seen, web


async def probed(node: Kubelet, folder: Path, handler: HttpGet, **fields: object) -> Pod:
    """Run a pod, and wait until its readiness probe has said something."""
    probe = quick(handler, **{"period": 0.2, **fields})
    pod = await node.run(web(folder, readiness=probe, env={"ON_SIGTERM": "ignore"}))

    def judged(pod: Pod) -> bool:
        # Before it listens the connection is refused: that is no verdict on the path.
        return pod.ready or any("refused" not in each for each in pod.said("Unhealthy"))

    await pod.until(judged)
    return pod


async def test_headers_and_connections(node: Kubelet, tmp_path: Path):
    """Each probe has a connection of its own, says so, and names itself as the kubelet does."""
    pod = await probed(node, tmp_path, get("/live?x=1"))
    await seen(pod, tmp_path, "/live", 3)

    requests = record(tmp_path, "request")
    assert {
        "User-Agent": "kube-probe/1.34",
        "Accept": "*/*",
        "Connection": "close",
        "Host": f"127.0.0.1:{pod.port('http')}",
    } == requests[0]["headers"]
    assert len({each["connection"] for each in requests}) == len(requests)


async def test_own_headers(node: Kubelet, tmp_path: Path):
    """A manifest's headers replace the kubelet's; an empty Accept takes it away."""
    headers = [("Host", "shop.example"), ("User-Agent", "me"), ("accept", ""), ("X-Probe", "1")]
    await probed(node, tmp_path, get("/", headers=headers))

    assert record(tmp_path, "request")[0]["headers"] == {
        "Host": "shop.example",
        "User-Agent": "me",
        "X-Probe": "1",
        "Connection": "close",
    }


@pytest.mark.parametrize("status", [200, 204, 299])
async def test_success(node: Kubelet, tmp_path: Path, status: int):
    """200 to 299 is a success."""
    pod = await probed(node, tmp_path, get(f"/status/{status}"))

    assert pod.ready


@pytest.mark.parametrize("status", [400, 404, 500, 503])
async def test_failure(node: Kubelet, tmp_path: Path, status: int):
    """400 and more is a failure, and the event carries the status alone."""
    pod = await probed(node, tmp_path, get(f"/status/{status}"))

    assert not pod.ready
    text = f"Readiness probe failed: HTTP probe failed with statuscode: {status}"
    assert text in pod.said("Unhealthy")


async def test_local_redirect(node: Kubelet, tmp_path: Path):
    """A redirect on the same host is followed, and where it leads decides."""
    pod = await probed(node, tmp_path, get("/redirect?to=/status/503"))

    assert paths(tmp_path)[:2] == ["/redirect", "/status/503"]
    assert not pod.ready
    assert "statuscode: 503" in pod.said("Unhealthy")[-1]


async def test_redirect_to_another_host(node: Kubelet, tmp_path: Path):
    """A redirect to another host is not followed: it passes, with a warning."""
    pod = await probed(node, tmp_path, get("/redirect?to=http://0.0.0.0/"))

    assert pod.ready
    assert pod.said("ProbeWarning")[0] == (
        "Readiness probe warning: Probe terminated redirects, Response body: ok"
    )
    assert set(paths(tmp_path)) == {"/redirect"}


async def test_redirect_loop(node: Kubelet, tmp_path: Path):
    """The tenth redirect is the end of it."""
    pod = await probed(node, tmp_path, get("/loop"), period=1.0)

    assert pod.said("Unhealthy")[-1].endswith('/loop": stopped after 10 redirects')
    assert len(paths(tmp_path)) == 10


async def test_timeout(node: Kubelet, tmp_path: Path):
    """No headers in time is a failure, in Go's words."""
    pod = await probed(node, tmp_path, get("/slow/5"), timeout=0.2)

    url = f"http://127.0.0.1:{pod.port('http')}/slow/5"
    assert pod.said("Unhealthy")[-1] == (
        f'Readiness probe failed: Get "{url}": context deadline exceeded '
        "(Client.Timeout exceeded while awaiting headers)"
    )


async def test_body_counts(node: Kubelet, tmp_path: Path):
    """A body that does not come in time is an error: tried three times, and no verdict at all."""
    spec = web(tmp_path, readiness=quick(get("/stall"), timeout=0.5))
    pod = await node.run(spec)
    await pod.until(lambda pod: any("errored" in each for each in pod.said("Unhealthy")))

    assert not pod.ready
    assert pod.said("Unhealthy")[-1] == (
        "Readiness probe errored and resulted in failure state: context deadline exceeded "
        "(Client.Timeout or context cancellation while reading body)"
    )
    assert len(paths(tmp_path)) >= 3


async def test_body_limit(node: Kubelet, tmp_path: Path):
    """Of a body 10 KiB are read; the rest is not waited for."""
    pod = await probed(node, tmp_path, get("/big"))

    assert pod.ready


async def test_refused(node: Kubelet, tmp_path: Path):
    """Nobody on the port is a failure; an app on 127.0.0.1 alone is nobody to another address."""
    spec = web(tmp_path, readiness=quick(get("/")), ip="127.0.0.2", env={"HOST": "127.0.0.1"})
    pod = await node.run(spec)
    await pod.until(lambda pod: "listening" in pod.output)
    count = len(pod.said("Unhealthy"))
    await pod.until(lambda pod: len(pod.said("Unhealthy")) > count + 1)

    address = f"127.0.0.2:{pod.port('http')}"
    text = f'Get "http://{address}/": dial tcp {address}: connect: connection refused'
    assert pod.said("Unhealthy")[-1] == f"Readiness probe failed: {text}"


async def test_reset(node: Kubelet, tmp_path: Path):
    """A connection that ends without a response is a failure."""
    pod = await probed(node, tmp_path, get("/reset"))

    said = pod.said("Unhealthy")[-1]
    assert said.endswith(("EOF", "read: connection reset by peer")), said


async def test_tls(node: Kubelet, tmp_path: Path):
    """A certificate that nobody has signed will do."""
    spec = web(
        tmp_path,
        readiness=quick(get("/", scheme="https")),
        env={"CERTIFICATE": CERTIFICATE},
    )
    pod = await node.run(spec)
    await pod.until_ready(10)

    assert record(tmp_path, "request")[0]["headers"]["User-Agent"] == "kube-probe/1.34"


async def test_tls_to_plain(node: Kubelet, tmp_path: Path):
    """HTTPS to a server that speaks plain HTTP is a failure that says so."""
    pod = await probed(node, tmp_path, get("/", scheme="https"))

    assert pod.said("Unhealthy")[-1].endswith("http: server gave HTTP response to HTTPS client")


async def test_period(node: Kubelet, tmp_path: Path):
    """Probes come a period apart, whatever a probe itself takes."""
    probe = quick(get("/slow/0.1"), period=0.3, initial_delay=1.0)
    began = time.monotonic()
    pod = await node.run(web(tmp_path, readiness=probe))
    await seen(pod, tmp_path, "/slow/0.1", 4)

    times = [each["at"] for each in record(tmp_path, "request")]
    assert times[0] - began >= 1.0
    assert 0.6 <= times[3] - times[0] < 3  # the first may have been served late
