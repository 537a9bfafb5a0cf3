"""
The load of one process: its clients and their requests.

    new connections         open loop: each request is sent at its due time, however long the
                            answers to others take
    keep-alive connections  closed loop: each request follows the last answer, at once (busy)
                            or after some idle time
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from lifecycle.rehearsal.clients.client import Client
from lifecycle.rehearsal.measuring.tally import BUCKET, Tally
from lifecycle.rehearsal.plan import Traffic
from lifecycle.testing import Service


@dataclass
class FarPod:
    """
    A pod in another process, with the attributes that a Service reads.

    Attributes:
        uid: Its unique id.
        name: Its name in losses.
        ip: Its address.
        number: The app's port.
        ready: Whether it gets traffic.
        finished: Whether it has ended.
        deletion: Not None once its deletion has started.
    """

    uid: str
    name: str
    ip: str
    number: int
    ready: bool = False
    finished: bool = False
    deletion: object = None
    changed: Callable[[], None] | None = None

    def port(self, name: int | str) -> int:
        """Return the number of the only port."""
        return self.number if name == "http" else int(name)

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Call a function after every change."""
        self.changed = callback


class Load:
    """
    The clients of one process, and a Service that reports pods to each of them with a delay.

    Args:
        traffic: The requests of these clients.
    """

    def __init__(self, traffic: Traffic) -> None:
        self.tally = Tally()
        self._traffic = traffic
        self._draw = random.Random(traffic.seed)  # noqa: S311 - no secret
        self._service = Service(
            traffic.propagation, propagation_in=traffic.propagation_in, seed=traffic.seed
        )
        self._pods: dict[str, FarPod] = {}
        self._clients = [self._client(number) for number in range(traffic.clients)]
        self._over = asyncio.Event()
        self._keeping: list[asyncio.Task[None]] = []
        self._arriving: asyncio.Task[None] | None = None
        self._counted = int(time.monotonic() / BUCKET)
        self._visits: set[asyncio.Task[None]] = set()
        self._errors: list[BaseException] = []

    def _client(self, number: int) -> Client:
        traffic = self._traffic
        protocol = traffic.protocols[number % len(traffic.protocols)]
        draw = random.Random(f"{traffic.seed} {number}")  # noqa: S311 - no secret
        return Client(self._service.client(), traffic, protocol, self.tally, draw)

    def tell(
        self, uid: str, name: str, ip: str, port: int, *, ready: bool, finished: bool, deleted: bool
    ) -> None:
        """Set the current state of a pod."""
        pod = self._pods.setdefault(uid, FarPod(uid, name, ip, port))
        pod.ready, pod.finished = ready, finished
        pod.deletion = True if deleted else None
        if pod.changed is None:
            self._service.add(pod, "http")
        else:
            pod.changed()

    def begin(self) -> None:
        """Start the clients."""
        traffic = self._traffic
        keepers, visitors = self._shares()
        busy = round(len(keepers) * traffic.busy)
        for number, client in enumerate(keepers):
            think = 0.0 if number < busy else traffic.think
            self._keeping.append(self._start(client.stay(self._over, think=think)))
        if visitors:
            self._arriving = self._start(self._arrive(visitors))

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._visits.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._errors.append(error)

    def check(self) -> None:
        """Raise the exception that a client failed with. Its requests would be counted nowhere."""
        for error in self._errors:
            raise error

    def _shares(self) -> tuple[list[Client], list[Client]]:
        """Assign protocols to clients. Each protocol gets its share of keep-alive connections."""
        kinds = len(self._traffic.protocols)
        order = [each for first in range(kinds) for each in self._clients[first::kinds]]
        wanted = self._traffic.keepers
        keepers: list[Client] = []
        visitors: list[Client] = []
        for number, client in enumerate(order):
            share = wanted * (number + 1) // len(order) > wanted * number // len(order)
            (keepers if share else visitors).append(client)
        return keepers, visitors

    async def _arrive(self, visitors: list[Client]) -> None:
        due = time.monotonic()
        while not self._over.is_set():
            due += self._draw.expovariate(self._traffic.rate)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self.tally.lateness.add(time.monotonic() - due)
            self._visits.add(self._start(self._draw.choice(visitors).visit()))

    def count_known(self) -> None:
        """Count how many clients see each pod at this moment."""
        bucket = int(time.monotonic() / BUCKET)
        known = Counter(each.name for client in self._clients for each in client.view.endpoints())
        for late in range(self._counted + 1, bucket + 1):
            self.tally.known.update({(late, name): count for name, count in known.items()})
        self._counted = bucket

    async def end(self) -> None:
        """Let the clients finish their requests."""
        self._over.set()
        if self._arriving is not None:  # the next one may not be due for long
            self._arriving.cancel()
        await asyncio.gather(*self._keeping, *self._visits, return_exceptions=True)
        self.check()
