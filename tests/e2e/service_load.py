"""
The load of `lifecycle rehearse`, onto a Service of a real cluster.

Two kinds of clients, each half on new connections and half on kept ones: those that know the
ClusterIP alone, whom kube-proxy leads to a pod; and those that follow the EndpointSlices, as a
client of gRPC or Dubbo does. Nobody is told late here: the cluster takes the time it takes.
"""

from __future__ import annotations

import urllib.request
from contextlib import ExitStack
from dataclasses import replace
from typing import Final, Self

from anyio.from_thread import start_blocking_portal
from lightkube.models.discovery_v1 import Endpoint
from lightkube.resources.core_v1 import Service
from lightkube.resources.discovery_v1 import EndpointSlice

from lifecycle.rehearsal.load.generator import LoadGenerator
from lifecycle.rehearsal.load.load import FarPod
from lifecycle.rehearsal.measuring.tally import Tally
from lifecycle.rehearsal.plan import Traffic
from tests.e2e.kit import Space
from tests.process.kit import background

TO_THE_IP: Final = Traffic(
    rate=60.0,
    clients=24,
    busy=0.25,
    paths=("/",) * 50 + ("/stream",),
    slow="/slow",
    propagation=0.0,
    processes=1,
)
"""About 90 requests a second: two in three are on a new connection, most others on three kept."""
BY_SLICES: Final = replace(TO_THE_IP, rate=20.0, clients=8, seed=2)


class ServiceLoad:
    """
    Both kinds of clients at work; a context manager that leaves no process behind.

    Args:
        space: The namespace.
        name: The Service's, which has an endpoint that is ready.
    """

    def __init__(self, space: Space, name: str) -> None:
        self._space = space
        self._name = name
        self._over = False
        self._known: dict[str, FarPod] = {}

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._portal = stack.enter_context(start_blocking_portal())
            self._to_the_ip, self._by_slices = (
                stack.enter_context(self._portal.wrap_async_context_manager(LoadGenerator(each)))
                for each in (TO_THE_IP, BY_SLICES)
            )
            self._service = self._cluster_ip()
            self._portal.call(self._to_the_ip.follow, self._service)
            self._watching = background(self._watch)
            self._space.wait(self._answers, f"the ClusterIP of {self._name} answers")
            self._space.wait(self._anybody_is_known, f"an endpoint of {self._name} is known")
            for each in (self._to_the_ip, self._by_slices):
                self._portal.call(each.begin)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._stack.close()

    def check(self) -> None:
        """Raise what a client, or who tells them of the slices, has failed with."""
        for each in (self._to_the_ip, self._by_slices):
            self._portal.call(each.check)
        if self._watching.done():
            self._watching.result()

    def end(self) -> dict[str, Tally]:
        """Let the clients finish what they have begun, and return what each kind has seen."""
        return {
            "ClusterIP": self._portal.call(self._to_the_ip.end),
            "EndpointSlices": self._portal.call(self._by_slices.end),
        }

    def _cluster_ip(self) -> FarPod:
        spec = self._space.client.get(Service, self._name).spec
        assert spec
        assert spec.clusterIP
        assert spec.ports
        return FarPod(self._name, self._name, spec.clusterIP, spec.ports[0].port, ready=True)

    def _answers(self) -> bool:
        """Ask once: kube-proxy takes about a second to know of a Service."""
        try:
            url = f"http://{self._service.ip}:{self._service.number}/"
            with urllib.request.urlopen(url, timeout=5) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    def _anybody_is_known(self) -> bool:
        if self._watching.done():
            self._watching.result()
        return any(each.ready for each in tuple(self._known.values()))

    def _watch(self) -> None:
        """Follow the slices until it is over: seen with the change that comes next."""
        slices: dict[str, dict[str, FarPod]] = {}
        labels = {"kubernetes.io/service-name": self._name}
        for change, piece in self._space.client.watch(EndpointSlice, labels=labels):
            if self._over:
                return
            slices[piece.metadata.name] = {} if change == "DELETED" else _endpoints(piece)
            now = {uid: each for some in slices.values() for uid, each in some.items()}
            self._portal.call(self._tell, now)

    async def _tell(self, now: dict[str, FarPod]) -> None:
        for uid, found in now.items():
            if (pod := self._known.get(uid)) is None:
                self._known[uid] = found
                self._by_slices.follow(found)  # type: ignore[arg-type] # as far as it asks
            else:
                pod.ready, pod.deletion = found.ready, found.deletion
        for uid, pod in self._known.items():
            pod.finished = uid not in now
            if pod.changed is not None:
                pod.changed()


def _endpoints(piece: EndpointSlice) -> dict[str, FarPod]:
    ports = [each.port for each in piece.ports or ()]  # one; none where there is no endpoint
    return {each.targetRef.uid: _pod(each, ports[0]) for each in piece.endpoints or ()}


def _pod(endpoint: Endpoint, port: int) -> FarPod:
    who, conditions = endpoint.targetRef, endpoint.conditions
    leaving = True if conditions.terminating else None
    ready = bool(conditions.serving)
    return FarPod(who.uid, who.name, endpoint.addresses[0], port, ready=ready, deletion=leaving)
