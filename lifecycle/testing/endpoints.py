"""
A Service: its endpoints, and which of them each client has noticed so far.

Rules of this file:

1. The EndpointSlice follows the pods at once. Each client notices each change with its own delay.
2. A client notices changes in their order, as a watch delivers them. Additions with a separate
   delay are the exception: a load balancer that still checks a new target does not keep an old
   one in use meanwhile. The changes of one endpoint stay in their order.
3. Established connections are not touched here: a Service never cuts them.
4. The deletion of a pod starts two things: the removal of its endpoint, and the end of its
   container. Neither waits for the other.
"""

from __future__ import annotations

import heapq
import itertools
import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, Protocol

from lifecycle.testing import validation

Spread = tuple[float, float]
"""The earliest and the latest time, in seconds."""

JOIN_SHARE: Final = 0.1
"""The share of the spread within which a client notices additions, which spread faster."""


class NoEndpoints(Exception):
    """The client has no endpoint."""


class Endpoint(NamedTuple):
    """The address at which one pod serves."""

    name: str
    host: str
    port: int


class SliceEntry(NamedTuple):
    """The conditions of one endpoint in the EndpointSlice."""

    endpoint: Endpoint
    ready: bool
    serving: bool
    terminating: bool


class Watched(Protocol):
    """The attributes of a pod that a Service reads."""

    @property
    def name(self) -> str: ...
    @property
    def uid(self) -> str: ...
    @property
    def ip(self) -> str: ...
    @property
    def ready(self) -> bool: ...
    @property
    def finished(self) -> bool: ...
    @property
    def deletion(self) -> object: ...
    def port(self, name: int | str) -> int: ...
    def subscribe(self, callback: Callable[[], None]) -> None: ...


class Service:
    """
    The endpoints of some pods. You can use it from any thread.

    Args:
        propagation: Seconds within which a client notices that an endpoint is gone: the
            earliest and the latest time, or the latest alone.
        propagation_in: Seconds within which a client notices a new ready endpoint, in the same
            form. A load balancer that first checks the health of a new target needs 10 s or
            more. None for a tenth of `propagation`, as from a watch.
        seed: The seed of the delays, so that every run has the same ones.
        clock: The clock, for tests without waiting.

    Raises:
        TypeError: A time is not a number.
        ValueError: A time is negative or not finite, or the earliest is after the latest.
    """

    def __init__(
        self,
        propagation: Spread | float = (0.0, 2.0),
        *,
        propagation_in: Spread | float | None = None,
        seed: int | str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.propagation = _spread("propagation", propagation)
        low, high = self.propagation
        self._soon = (low * JOIN_SHARE, high * JOIN_SHARE)
        self._checks_first = propagation_in is not None
        self.propagation_in = (
            self._soon if propagation_in is None else _spread("propagation_in", propagation_in)
        )
        self.clock = clock
        self._seed = random.Random(seed).random()  # noqa: S311 - no secret
        self._lock = threading.Lock()
        self._slice: dict[str, SliceEntry] = {}
        self._clients: list[Client] = []

    def add(self, pod: Watched, port: int | str) -> Endpoint:
        """
        Add a pod to this Service.

        Args:
            pod: The pod. It is an endpoint while it is ready and not being deleted.
            port: A number, or the name of one of the pod's ports.

        Raises:
            TypeError: The port is neither a number nor a name.
            ValueError: There is no such port.
        """
        validation.port("Service.add: port", port)
        endpoint = Endpoint(pod.name, pod.ip, pod.port(port))

        def update() -> None:
            self._update(pod, endpoint)

        pod.subscribe(update)
        update()
        return endpoint

    @property
    def slice(self) -> tuple[SliceEntry, ...]:
        """The current EndpointSlice."""
        with self._lock:
            return tuple(self._slice.values())

    def client(self) -> Client:
        """Return a new client, which starts with the current EndpointSlice."""
        with self._lock:
            seed = f"{self._seed} {len(self._clients)}"
            client = Client(dict(self._slice), seed, self.clock)
            self._clients.append(client)
        return client

    def _update(self, pod: Watched, endpoint: Endpoint) -> None:
        with self._lock:
            terminating = pod.deletion is not None
            now = SliceEntry(endpoint, pod.ready and not terminating, pod.ready, terminating)
            entry = None if pod.finished else now
            before = self._slice.get(pod.uid)
            if entry == before:
                return
            if entry is None:
                self._slice.pop(pod.uid)
            else:
                self._slice[pod.uid] = entry
            was, is_now = bool(before and before.ready), bool(entry and entry.ready)
            joins, leaves = is_now and not was, was and not is_now
            spread = self.propagation_in if joins else self.propagation if leaves else self._soon
            in_turn = not (joins and self._checks_first)
            for client in self._clients:
                client._tell(pod.uid, entry, spread, in_turn=in_turn)  # noqa: SLF001 - only endpoints tell it


def _spread(name: str, value: Spread | float) -> Spread:
    """Return the earliest and the latest time, or raise."""
    low, high = value if isinstance(value, tuple) and len(value) == 2 else (0.0, value)
    for each in (low, high):
        if isinstance(each, bool) or not isinstance(each, int | float):
            raise TypeError(
                f"Service.{name} must be a number of seconds or a pair (earliest, latest), "
                f"not {value!r}"
            )
    if not (validation.is_finite(high) and 0 <= low <= high):
        raise ValueError(f"{name}: must be 0 <= earliest <= latest, not {low}, {high}")
    return float(low), float(high)


class _News(NamedTuple):
    heard_at: float
    number: int
    uid: str
    entry: SliceEntry | None


class Client:
    """
    One client, node or load balancer, and its endpoints. Made by `Service.client`.

    A client uses the ready endpoints. If there are none, it uses those that are terminating and
    still serve, as kube-proxy does.
    """

    def __init__(
        self,
        known: dict[str, SliceEntry],
        seed: str,
        clock: Callable[[], float],
    ) -> None:
        self._known = known
        self._random = random.Random(seed)  # noqa: S311 - no secret
        self._clock = clock
        self._lock = threading.Lock()
        self._news: list[_News] = []
        self._numbers = itertools.count()
        self._latest = 0.0
        self._latest_of: dict[str, float] = {}

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the endpoints that the client uses at this moment."""
        known = self._hear().values()
        ready = tuple(entry.endpoint for entry in known if entry.ready)
        return ready or tuple(each.endpoint for each in known if each.terminating and each.serving)

    def pick(self) -> Endpoint:
        """
        Choose an endpoint at random.

        Raises:
            NoEndpoints: The client has no endpoint.
        """
        endpoints = self.endpoints()
        if not endpoints:
            raise NoEndpoints("no endpoint is ready, and none still serves")
        return self._random.choice(endpoints)

    def _tell(self, uid: str, entry: SliceEntry | None, spread: Spread, *, in_turn: bool) -> None:
        low, high = spread
        with self._lock:
            heard_at = self._clock() + low + self._random.random() * (high - low)
            if in_turn:
                heard_at = self._latest = max(self._latest, heard_at)
            heard_at = self._latest_of[uid] = max(self._latest_of.get(uid, 0.0), heard_at)
            heapq.heappush(self._news, _News(heard_at, next(self._numbers), uid, entry))

    def _hear(self) -> Mapping[str, SliceEntry]:
        with self._lock:
            now = self._clock()
            while self._news and self._news[0].heard_at <= now:
                _, _, uid, entry = heapq.heappop(self._news)
                if entry is None:
                    self._known.pop(uid, None)
                    self._latest_of.pop(uid, None)
                else:
                    self._known[uid] = entry
            return dict(self._known)
