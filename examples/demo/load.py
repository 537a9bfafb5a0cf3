"""The clients: half keep their connections, some ask for slow work, all learn late who left."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable

from record import Record, Rollout, Track
from wire import Connection, Lost

CLIENTS = 40
PROPAGATION = 2.0
"""Seconds until the last client has heard of a change of endpoints."""
SLOW_SHARE = 0.03
PAUSE = 0.1
"""Seconds, on average, between two requests of who opens a connection for each. Who keeps
a connection sends the next request at once, as a proxy under load does."""

Endpoint = tuple[Track, int]


class Client:
    """One client: its own view of the endpoints, its own delay in hearing of changes."""

    def __init__(self, record: Record, rollout: Rollout, *, keeps: bool, lag: float) -> None:
        self._record = record
        self._rollout = rollout
        self._keeps = keeps
        self._lag = lag
        self._view: tuple[Endpoint, ...] = ()
        self._heard = asyncio.Event()
        self._connection: Connection | None = None
        self._track: Track | None = None

    def hear(self, endpoints: tuple[Endpoint, ...]) -> None:
        asyncio.get_running_loop().call_later(self._lag, self._learn, endpoints)

    def _learn(self, endpoints: tuple[Endpoint, ...]) -> None:
        self._view = endpoints
        if endpoints:
            self._heard.set()
        else:
            self._heard.clear()

    async def work(self, stop: asyncio.Event) -> None:
        try:
            while not stop.is_set():
                await self._heard.wait()
                answered = await self._order()
                if not (answered and self._keeps):
                    await asyncio.sleep(random.expovariate(1 / PAUSE))
        finally:
            if self._connection is not None:
                await self._connection.close()

    async def _order(self) -> bool:
        connection, self._connection = self._connection, None
        kept = connection is not None and connection.usable
        if connection is not None and not kept:
            await connection.close()
        if not kept:
            self._track, port = random.choice(self._view)
        path = "/orders?slow" if random.random() < SLOW_SHARE else "/orders"
        try:
            if not kept:
                connection = await Connection.open(port)
            await connection.ask("POST", path, keep=self._keeps)
        except Lost as lost:
            self._record.loss(self._rollout, self._track, str(lost), kept=kept)
            if connection is not None:
                await connection.close()
            return False
        self._record.answer(self._rollout, self._track)
        if self._keeps:
            self._connection = connection
        else:
            await connection.close()
        return True


class Load:
    """All clients of one service."""

    def __init__(self, record: Record, rollout: Rollout, clients: int = CLIENTS) -> None:
        self._clients = [
            Client(record, rollout, keeps=n % 2 == 0, lag=PROPAGATION * n / (clients - 1))
            for n in range(clients)
        ]
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def hear(self, endpoints: Iterable[Endpoint]) -> None:
        for client in self._clients:
            client.hear(tuple(endpoints))

    def begin(self) -> None:
        self._tasks = [asyncio.create_task(client.work(self._stop)) for client in self._clients]

    async def end(self) -> None:
        """Let every client finish what it has begun."""
        self._stop.set()
        await asyncio.gather(*self._tasks)

    def abandon(self) -> None:
        for task in self._tasks:
            task.cancel()
