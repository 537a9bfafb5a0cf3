"""
A Deployment is rolled over, and every one of its pods watched from first to last.

A pod that is gone has left nothing behind on the API server but events: how it ended is read
from the watch while it goes, and its log is followed from its start.
"""

from __future__ import annotations

import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from lightkube.models.core_v1 import ContainerStatus
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import Pod

from tests.e2e.kit import LATEST, Space
from tests.process.kit import background

ANNOTATION = "kubectl.kubernetes.io/restartedAt"


@dataclass
class Seen:
    """
    What was seen of one pod.

    Attributes:
        moments: Its life in short, by the clock of this machine.
        ends: How its containers have ended: exit code and reason.
        log: What it said, when it has ended; None if it has never run.
        gone: Whether it has left the API server.
    """

    name: str
    moments: dict[str, str] = field(default_factory=dict)
    ends: set[tuple[int, str]] = field(default_factory=set)
    log: Future[list[dict[str, Any]]] | None = None
    gone: bool = False

    def said(self, event: str) -> list[dict[str, Any]]:
        """Return those events of its log, when it has ended."""
        assert self.log is not None, f"{self.name} has never run"
        return [each for each in self.log.result(LATEST) if each["event"] == event]

    def assert_drained_by_prestop(self) -> None:
        """It was drained in order: preStop began it, and SIGTERM came later."""
        (draining,), (report,), (signal,) = map(self.said, ("draining", "drain report", "signal"))
        assert (draining["cause"], report["cause"], report["code"]) == ("preStop", "preStop", 0)
        assert signal["signal"] == "SIGTERM"
        assert draining["timestamp"] < signal["timestamp"]

    def note(self, moment: str) -> None:
        """Note when something was first seen."""
        self.moments.setdefault(moment, datetime.now(UTC).isoformat())


class Fleet:
    """The pods of the only Deployment of a namespace, which is there already."""

    def __init__(self, space: Space, name: str) -> None:
        self.seen: dict[str, Seen] = {}
        self._space = space
        self._name = name
        self._ending = False
        self._watching = background(self._watch)
        space.wait(self._complete, f"the Deployment {name} is complete")

    @property
    def living(self) -> set[str]:
        """The names of the pods that are there."""
        return {name for name, seen in tuple(self.seen.items()) if not seen.gone}

    def roll(self) -> float:
        """Replace every pod, as `kubectl rollout restart` does; return the seconds it took."""
        old, began = self.living, time.monotonic()
        template = {"metadata": {"annotations": {ANNOTATION: str(time.time_ns())}}}
        self._space.client.patch(Deployment, self._name, {"spec": {"template": template}})
        self._space.wait(
            lambda: self._complete() and not old & self.living,
            f"{self._name} is rolled over, and {sorted(old)} are gone",
        )
        return time.monotonic() - began

    def end(self) -> list[Seen]:
        """Delete the Deployment, and return what was seen of its pods when the last is gone."""
        self._ending = True
        self._space.client.delete(Deployment, self._name)
        self._watching.result(LATEST)
        return list(self.seen.values())

    def _complete(self) -> bool:
        deployment = self._space.client.get(Deployment, self._name)
        spec, status = deployment.spec, deployment.status
        if self._watching.done():
            self._watching.result()
        return bool(
            spec
            and status
            and (status.observedGeneration or 0) >= (deployment.metadata.generation or 0)
            and spec.replicas == status.updatedReplicas == status.availableReplicas
            and spec.replicas == status.replicas
        )

    def _watch(self) -> None:
        for change, pod in self._space.client.watch(Pod):
            name = pod.metadata.name
            seen = self.seen.setdefault(name, Seen(name))
            self._look(seen, pod)
            seen.gone = change == "DELETED"
            if seen.gone:
                seen.note("gone")
            if self._ending and not self.living:
                return

    def _look(self, seen: Seen, pod: Pod) -> None:
        status = pod.status
        for each in (status and status.containerStatuses) or ():
            self._look_at(seen, each)
        for condition in (status and status.conditions) or ():
            if condition.status == "True":
                seen.note(condition.type)
        if pod.metadata.deletionTimestamp:
            seen.note("deleted")

    def _look_at(self, seen: Seen, container: ContainerStatus) -> None:
        for state in (container.state, container.lastState):
            if state and state.terminated:
                seen.ends.add((state.terminated.exitCode, state.terminated.reason or ""))
                seen.note("ended")
        if seen.log is None and container.state and container.state.running:
            seen.log = self._space.follow(seen.name)
            seen.note("running")
