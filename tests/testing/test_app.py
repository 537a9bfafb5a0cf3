"""The e2e cases that concern an app, with `lifecycle run --asgi` as the app."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from lifecycle.testing import (
    Container,
    Exec,
    HttpGet,
    Kubelet,
    PodSpec,
    Probe,
    Service,
    Sleep,
)
from tests.testing.kit import HERE, listening, quick, unhealthy

ARGV = ["lifecycle", "run", "--asgi", "shop:app", "--app-dir", str(HERE), "--service", "shop"]
SETTLE = 0.6
TOKEN = "open sesame, please"
PRESTOP = Exec(["lifecycle", "prestop"])


def shop(folder: Path, *, env: dict[str, str] | None = None, **fields: Any) -> PodSpec:
    """Return a pod of the app with its three probes on QOS."""
    settings = {
        "LIFECYCLE_QOS_PORT": "$(PORT_QOS)",
        "LIFECYCLE_RUN_DIR": str(folder),
        "LIFECYCLE_SETTLE": str(SETTLE),
        "LIFECYCLE_QUIET": "0.2",
        **(env or {}),
    }
    pod = {name: fields.pop(name) for name in {"grace_period", "name"} & set(fields)}
    probes = {
        "startup": quick(HttpGet("qos", "/startup"), failure_threshold=100),
        "readiness": quick(HttpGet("qos", "/ready")),
        "liveness": quick(HttpGet("qos", "/live"), failure_threshold=3),
    }
    container = Container(
        [*ARGV, "--bind", "127.0.0.1:$(PORT_HTTP)"],
        env=settings,
        ports={"http": 0, "qos": 0},
        cwd=str(folder),
        **(probes | fields),
    )
    return PodSpec(container, **pod)


async def ask(port: int, path: str = "/") -> int:
    """Ask once, on a connection of its own: the status."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        assert answer.endswith(b"ok"), answer
        return int(answer.split()[1])
    finally:
        writer.close()


async def test_it_starts_and_leaves(node: Kubelet, tmp_path: Path):
    """Ready after startup; readiness false while it terminates, liveness true; out with 0."""
    pod = await node.run(shop(tmp_path, pre_stop=PRESTOP))
    await pod.until_ready()
    assert await ask(pod.port("http")) == 200
    deletion = pod.delete()
    await pod.until(lambda pod: not pod.ready)
    assert pod.running
    assert await ask(pod.port("http")) == 200
    await deletion

    assert (deletion.exit_code, deletion.killed, pod.phase) == (0, False, "Succeeded")
    assert SETTLE <= deletion.pre_stop_ended <= deletion.sigterm
    assert unhealthy(pod, "Liveness") == []
    assert unhealthy(pod, "Readiness") != []
    assert pod.said("FailedPreStopHook") == []
    assert pod.restart_count == 0


async def test_prestop_over_http(node: Kubelet, tmp_path: Path):
    """The kubelet's own request, with the token, drains; a kept connection holds nobody up."""
    hook = HttpGet("qos", "/prestop", headers=[("X-Lifecycle-Token", TOKEN)])
    spec = shop(tmp_path, pre_stop=hook, env={"LIFECYCLE_PRESTOP_TOKEN": TOKEN})
    pod = await node.run(spec)
    await pod.until_ready()
    deletion = await pod.delete()

    assert SETTLE <= deletion.pre_stop_ended <= deletion.sigterm
    assert (deletion.exit_code, deletion.killed) == (0, False)
    assert pod.said("FailedPreStopHook") == []


async def test_sigterm_alone_and_after_a_sleep(node: Kubelet, tmp_path: Path):
    """Without a preStop of ours SIGTERM drains by itself, after a sleep too."""
    pods = [
        await node.run(shop(tmp_path, name="plain")),
        await node.run(shop(tmp_path, name="sleeps", pre_stop=Sleep(0.5))),
    ]
    for pod in pods:
        await pod.until_ready()
    plain, sleeps = await asyncio.gather(*(pod.delete() for pod in pods))

    for deletion in (plain, sleeps):
        assert (deletion.exit_code, deletion.killed) == (0, False)
        assert deletion.exited - deletion.sigterm >= SETTLE
    assert sleeps.sigterm >= 0.5


async def test_a_deletion_with_less_grace_than_the_pods(node: Kubelet, tmp_path: Path):
    """A preStop that takes longer is cut short by SIGTERM, and the app is out before SIGKILL."""
    env = {"LIFECYCLE_SETTLE": "20"}
    pod = await node.run(shop(tmp_path, pre_stop=PRESTOP, env=env))
    await pod.until_ready()
    deletion = await pod.delete(grace=2)

    assert not deletion.killed
    assert deletion.exited < 15


async def test_a_dead_loop_is_restarted_once(node: Kubelet, tmp_path: Path):
    """With loop_stall_limit a loop that hangs costs one restart, which drains by preStop too."""
    spec = shop(tmp_path, env={"LIFECYCLE_LOOP_STALL_LIMIT": "0.5"}, grace_period=4)
    pod = await node.run(spec)
    await pod.until_ready()
    hanging = asyncio.create_task(ask(pod.port("http"), "/hang"))
    await pod.until(lambda pod: pod.restart_count == 1, 20)
    await asyncio.gather(hanging, return_exceptions=True)
    await pod.until_ready()
    assert await ask(pod.port("http"), "/hang") == 200
    await pod.delete()

    assert pod.said("Killing") == [
        "Container app failed liveness probe, will be restarted",
        "Stopping container app",
    ]
    assert (
        unhealthy(pod, "Liveness")
        == ["Liveness probe failed: HTTP probe failed with statuscode: 503"] * 3
    )
    assert pod.restart_count == 1


async def test_a_main_that_is_never_ready_is_restarted_by_startup(node: Kubelet, tmp_path: Path):
    """startupProbe is the deadline of a start, and nothing else restarts it before."""
    startup = quick(HttpGet("qos", "/startup"), failure_threshold=3, initial_delay=8.0)
    source = "import asyncio\nasync def main(life):\n    print('listening', flush=True)\n"
    source += "    await asyncio.sleep(60)\n"
    (tmp_path / "never.py").write_text(source)
    env = {"LIFECYCLE_GRACE_PERIOD": "4", "LIFECYCLE_STOP_TIMEOUT": "1"}
    spec = shop(tmp_path, startup=startup, env=env)
    argv = ["lifecycle", "run", "never:main", "--app-dir", str(tmp_path)]
    fields = {name: getattr(spec.container, name) for name in ("env", "ports", "cwd", "startup")}
    live = Probe(HttpGet("qos", "/live"), period=0.1, failure_threshold=1)
    pod = await node.run(PodSpec(Container(argv, liveness=live, **fields), grace_period=4))
    await listening(pod)
    await pod.until(lambda pod: pod.restart_count >= 1, 20)

    assert pod.said("Killing")[0] == "Container app failed startup probe, will be restarted"
    assert unhealthy(pod, "Liveness") == []
    assert not pod.endings[0].killed


async def test_knative(node: Kubelet, tmp_path: Path):
    """Six requests of 12 s each, the pod deleted in the middle: all end in 200."""
    pod = await node.run(shop(tmp_path, pre_stop=PRESTOP))
    await pod.until_ready()
    asking = [asyncio.create_task(ask(pod.port("http"), "/slow/12")) for _ in range(6)]
    await asyncio.sleep(6)  # the middle of them is what the case is about
    deletion = await pod.delete()

    assert await asyncio.gather(*asking) == [200] * 6
    assert (deletion.exit_code, deletion.killed) == (0, False)
    assert deletion.exited < 6 + 0.2 + 2


async def test_a_rollout_loses_nothing(node: Kubelet, tmp_path: Path):
    """Clients that hear late of a removal are answered, by whomever they ask."""
    service = Service(0.5, seed=3)
    pods = []
    for name in ("old", "new"):
        pod = await node.run(shop(tmp_path, name=name, pre_stop=PRESTOP))
        await pod.until_ready()
        service.add(pod, "http")
        pods.append(pod)
    asked: list[str] = []

    async def keep_asking() -> None:
        client = service.client()
        while not pods[0].finished:
            endpoint = client.pick()
            assert await ask(endpoint.port) == 200
            asked.append(endpoint.name)
            await asyncio.sleep(0.01)

    clients = [asyncio.create_task(keep_asking()) for _ in range(8)]
    await pods[0].until(lambda _: "old" in asked)
    deletion = await pods[0].delete()
    await asyncio.gather(*clients)

    assert (deletion.exit_code, deletion.killed) == (0, False)
    assert "new" in asked
