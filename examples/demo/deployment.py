"""One service: its replicas on a kubelet, the load on them, and what is seen of both."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from datetime import datetime
from typing import ClassVar, Self

from record import Record, Rollout, Track

from lifecycle.rehearsal.load.generator import LoadGenerator
from lifecycle.rehearsal.plan import Traffic
from lifecycle.rehearsal.replicas.replica import Replica
from lifecycle.testing import Container, Exec, HttpGet, Kubelet, Pod, PodSpec, Probe, Sleep
from lifecycle.testing.endpoints import JOIN_SHARE
from lifecycle.testing.http_get import Failed, fetch, hang_up

HERE = os.path.dirname(os.path.abspath(__file__))
LOOK = 0.1
TRAFFIC = Traffic(
    rate=130.0,
    clients=40,
    busy=1.0,
    paths=("/orders",),
    slow="/orders?slow",
    slow_share=0.03,
    processes=1,
)
"""Who keeps a connection sends the next request at once, as a proxy under load does."""


class Lifecycle:
    """`lifecycle run --asgi`: probed on the QOS port, drained by `lifecycle prestop`."""

    how = "pod-lifecycle"
    probes: ClassVar = {"startup": "qos", "ready": "qos", "live": "qos"}

    def spec(self, name: str, run_dir: str) -> PodSpec:
        def probe(path: str, failures: int) -> Probe:
            return Probe(HttpGet("qos", path), period=0.2, failure_threshold=failures)

        run = ["-m", "lifecycle", "run", "--asgi", "shop:app", "-p", "directory"]
        container = Container(
            [sys.executable, *run, "--bind", "127.0.0.1:$(PORT_HTTP)", "--service", "orders"],
            env={
                "LIFECYCLE_QOS_PORT": "$(PORT_QOS)",
                "LIFECYCLE_RUN_DIR": run_dir,
                "LIFECYCLE_SETTLE": "3",
            },
            ports={"http": 0, "qos": 0},
            startup=probe("/startup", 100),
            readiness=probe("/ready", 1),
            liveness=probe("/live", 3),
            pre_stop=Exec([sys.executable, "-m", "lifecycle", "prestop"]),
            cwd=HERE,
        )
        return PodSpec(container, name)

    def line(self, record: Record, track: Track, line: str) -> None:
        """Read what the app logs: its states, and the report of its drain."""
        event = json.loads(line) if line.startswith("{") else {}
        if event.get("event") in STATES:
            written = datetime.fromisoformat(event["timestamp"]).timestamp()
            at = time.monotonic() - (time.time() - written)
            record.state(track, event["event"], event.get("cause", ""), at)
        track.steps = event.get("steps", track.steps)

    def moment(self, record: Record, track: Track, name: str) -> None:
        """Say what the kubelet does."""
        if name == "pre_stop_started":
            record.say(f"$ lifecycle prestop    (the kubelet, in {track.name})")
        if name == "sigterm":
            record.say("preStop has returned: SIGTERM")


class Uvicorn:
    """The same app under plain uvicorn, with or without a sleep as its preStop hook."""

    probes: ClassVar = {"ready": "http"}

    def __init__(self, sleep: float = 0.0) -> None:
        self.sleep = sleep
        self.how = f"uvicorn, preStop: sleep {sleep:g}" if sleep else "uvicorn"

    def spec(self, name: str, run_dir: str) -> PodSpec:  # noqa: ARG002
        run = ["-m", "uvicorn", "shop:app", "--port", "$(PORT_HTTP)", "--no-access-log"]
        container = Container(
            [sys.executable, *run],
            ports={"http": 0},
            readiness=Probe(HttpGet("http", "/ready"), period=0.2),
            pre_stop=Sleep(self.sleep) if self.sleep else None,
            cwd=HERE,
        )
        return PodSpec(container, name)

    def line(self, record: Record, track: Track, line: str) -> None:
        """Read what uvicorn logs."""
        if "Started server process" in line:
            record.state(track, "starting")
        if "Application startup complete" in line:
            record.state(track, "ready")

    def moment(self, record: Record, track: Track, name: str) -> None:
        """Take its states from what the kubelet does."""
        if name == "pre_stop_started":
            record.state(track, "sleeping", f"preStop: sleep {self.sleep:g}")
        if name == "sigterm":
            record.state(track, "stopping", "SIGTERM")


STATES = {"starting", "exporting", "registered", "ready", "draining", "stopped", "failed"}
MARKS = {"pre_stop_started": "preStop", "sigterm": "SIGTERM"}


class Deployment:
    """
    The replicas of one service and the load on it.

    Args:
        record: Where it is written down.
        kubelet: What runs them.
        kind: How they are served.
        run_dir: A folder for what they need on disk.
    """

    def __init__(
        self, record: Record, kubelet: Kubelet, kind: Lifecycle | Uvicorn, run_dir: str
    ) -> None:
        self.load = LoadGenerator(TRAFFIC)
        self.rollout = Rollout(kind.how, self.load.tally)
        self._record = record
        self._kubelet = kubelet
        self._kind = kind
        self._run_dir = run_dir
        self._watching: dict[Pod, asyncio.Task[None]] = {}
        record.rollouts.append(self.rollout)

    async def add(self, name: str) -> Pod:
        """Start one more replica, and wait until it is ready."""
        track = Track(name)
        self.rollout.tracks.append(track)
        pod = await self._kubelet.run(self._kind.spec(name, self._run_dir))
        self._watching[pod] = asyncio.create_task(self._watch(pod, track))
        self.load.follow(pod)
        await pod.until_ready()
        return pod

    async def begin(self) -> None:
        """Begin the load once every client has heard of who is there."""
        await asyncio.sleep(TRAFFIC.propagation * JOIN_SHARE)
        self.load.begin()

    async def replace(self, pod: Pod) -> None:
        """Delete a pod: its endpoint and its process are taken away side by side."""
        deletion = await pod.delete()
        await self._watching[pod]
        self.rollout.took = deletion.exited or 0.0

    async def switch(self, pod: Pod, which: str) -> None:
        """Take it offline or online by the real command, as `kubectl exec` would."""
        self._record.mark(self.rollout.tracks[0], which)
        self._record.say(f"$ lifecycle {which} orders")
        command = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "lifecycle", which, "orders"),
            *("--port", str(pod.port("qos"))),
            env=os.environ | {"LIFECYCLE_RUN_DIR": self._run_dir},
            stdout=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        await command.wait()
        await pod.until(lambda pod: pod.ready == (which == "online"))

    async def _watch(self, pod: Pod, track: Track) -> None:
        replica = Replica(pod)
        read, told = 0, set()
        while True:
            finished = pod.finished
            lines = pod.output.rpartition("\n")[0].splitlines()
            for line in lines[read:]:
                self._kind.line(self._record, track, line)
            read = len(lines)
            for name in MARKS.keys() - told:
                if (at := replica.moment(name)) is not None:
                    told.add(name)
                    self._record.mark(track, MARKS[name], at)
                    self._kind.moment(self._record, track, name)
            if finished:
                self._record.gone(track, pod.exit_codes[-1])
                return
            for probe, port in self._kind.probes.items():
                verdict = await _ask(f"http://127.0.0.1:{pod.port(port)}/{probe}")
                self._record.verdict(track, probe, verdict=verdict)
            await asyncio.sleep(LOOK)

    async def __aenter__(self) -> Self:
        await self.load.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        for task in self._watching.values():
            task.cancel()
        await self.load.__aexit__(None, None, None)


async def _ask(url: str) -> bool | None:
    """Ask a probe: its verdict, or None if nobody answers."""
    try:
        answer = await fetch(url, [], timeout=1.0)
    except Failed:
        return None
    hang_up(answer.connection)
    return answer.status == 200
