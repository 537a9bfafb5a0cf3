"""A service's replicas, its endpoints, and the load on it."""

from __future__ import annotations

from typing import Self

from kubelet import Pod
from load import Load
from record import Record, Rollout, Track


class Deployment:
    """The replicas of one service and the load on it."""

    def __init__(self, record: Record, rollout: Rollout, run_dir: str) -> None:
        self.record = record
        self.rollout = rollout
        self.load = Load(record, rollout)
        self.pods: list[Pod] = []
        self._run_dir = run_dir
        record.rollouts.append(rollout)

    async def add(self, kind: type[Pod], name: str) -> Pod:
        """Start one more replica, and wait until it is ready."""
        track = Track(name)
        self.rollout.tracks.append(track)
        pod = kind(self.record, track, self._run_dir)
        self.pods.append(pod)
        pod.on_answer = self.publish
        await pod.start()
        await pod.until(ready=True)
        return pod

    def publish(self) -> None:
        """Tell the clients of the endpoints there are; they hear of it one after the other."""
        there = [pod for pod in self.pods if pod.answers and not pod.terminating]
        self.load.hear([(pod.track, pod.port) for pod in there])

    async def replace(self, pod: Pod) -> None:
        """Delete a pod: its endpoint and its process are taken away side by side."""
        began = self.record.now
        pod.terminating = True
        self.publish()
        await pod.terminate()
        self.rollout.took = self.record.now - began

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.load.abandon()
        for pod in self.pods:
            await pod.kill()
