"""EndpointSlices follow `lifecycle offline` and `online`: how fast, and where the time goes."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import pytest
from lightkube.resources.core_v1 import Pod
from lightkube.resources.discovery_v1 import EndpointSlice

from lifecycle.manifests.names import REGISTERED
from tests.cluster.fixtures import Target
from tests.e2e.generated import Kubectl, conditions, written
from tests.e2e.kit import LATEST, Space
from tests.process.kit import background

PROMISED = 1.0
"""Seconds in which the EndpointSlices follow."""
SETTLED = 3.0
"""
Seconds for which a pod has not changed.

The kubelet looks at a pod's containers once a second, and handles a pod once between two looks:
what changes within a second of another change waits for the next look, or for two. `online` in a
pod whose readiness probe has failed is handled twice: first the probe, then the gate.
"""
MARGIN = 2.0
"""More seconds that a single one may take on a busy machine: two of the kubelet's looks."""
HASTY, FLIPS = 4, 8


class Sightings:
    """When watches of a pod and of its EndpointSlices have seen what."""

    def __init__(self, space: Space, pod: str) -> None:
        self._space = space
        self._pod = pod
        self._seen: list[tuple[float, str, bool]] = []
        self._news = threading.Condition()
        background(self._watch_pod)
        background(self._watch_slices)

    def _watch_pod(self) -> None:
        for _, pod in self._space.client.watch(Pod, fields={"metadata.name": self._pod}):
            held = conditions(pod)
            self._note(condition=held.get(REGISTERED), ready=held.get("Ready"))

    def _watch_slices(self) -> None:
        for _, piece in self._space.client.watch(EndpointSlice):
            for each in piece.endpoints or ():
                if each.targetRef and each.targetRef.name == self._pod and each.conditions:
                    self._note(slice=str(each.conditions.ready))

    def _note(self, **values: str | None) -> None:
        now = time.time()
        with self._news:
            self._seen += [(now, what, value == "True") for what, value in values.items()]
            self._news.notify_all()

    def first(self, what: str, value: bool, since: float) -> float:
        """Return when something was seen first, or wait for it."""

        def found() -> list[float]:
            return [at for at, *it in self._seen if at >= since and it == [what, value]]

        self._wait(found, f"{what} is {value}")
        return found()[0]

    def wait_settled(self) -> None:
        """Return when nothing has been seen for a while."""
        self._wait(
            lambda: self._seen and time.time() - self._seen[-1][0] > SETTLED, "it is settled"
        )

    def _wait(self, condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + LATEST
        with self._news:
            while not condition():
                assert time.monotonic() < deadline, f"{what}: {self._seen}"
                self._news.wait(0.1)


@dataclass
class Flip:
    """One command, and when what it does was seen."""

    command: str
    started: float
    asked: float
    acknowledged: float
    condition: float
    returned: float
    ready: float
    slice: float

    @property
    def after_start(self) -> float:
        return self.slice - self.started

    @property
    def after_return(self) -> float:
        return max(0.0, self.slice - self.returned)

    def __str__(self) -> str:
        steps = ("asked", "acknowledged", "condition", "returned", "ready", "slice")
        times = (f"{step} {getattr(self, step) - self.started:.3f}" for step in steps)
        return f"{self.command:8}{'  '.join(times)}"


def flip(space: Space, kubectl: Kubectl, pod: str, command: str, seen: Sightings) -> Flip:
    """Run a command in the pod, and wait for what it does."""
    online, started = command == "online", time.time()
    kubectl("exec", pod, "--", "lifecycle", command)
    returned = time.time()
    sightings = {
        what: seen.first(what, online, started) for what in ("condition", "ready", "slice")
    }
    said = {each["event"]: each["timestamp"] for each in space.log(pod) if each["event"] != "probe"}
    asked, acknowledged = (
        datetime.fromisoformat(said[each]).timestamp() for each in ("command", "registration")
    )
    return Flip(command, started, asked, acknowledged, returned=returned, **sightings)


@pytest.mark.timeout(300)
def test_endpointslices_follow_the_operator_in_under_a_second(space: Space, target: Target) -> None:
    """
    When `lifecycle offline` or `online` returns in a pod that has not just changed, the
    EndpointSlices have followed, or do so in less than a second.
    """
    kubectl = Kubectl(target, space)
    kubectl.apply("-f", "-", stdin=written("--image", space.image))
    pod = kubectl.rolled_out("orders")[0].metadata.name
    seen = Sightings(space, pod)

    hasty, settled = [], []
    for number in range(HASTY):
        hasty.append(flip(space, kubectl, pod, ("offline", "online")[number % 2], seen))
    for number in range(FLIPS):
        seen.wait_settled()
        settled.append(flip(space, kubectl, pod, ("offline", "online")[number % 2], seen))

    for name, flips in (("one after another, from the first on", hasty), ("settled", settled)):
        print(f"\n{name}, in seconds from the command's start:")
        for each in flips:
            print(f"  {each}")
        for what in ("after_start", "after_return"):
            times = sorted(getattr(each, what) for each in flips)
            print(f"  EndpointSlices {what.replace('_', ' its ')}: {[f'{t:.2f}' for t in times]}")
    took = [each.after_return for each in settled]
    assert statistics.median(took) < PROMISED
    assert max(took) < PROMISED + MARGIN
