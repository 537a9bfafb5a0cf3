"""Clients for a `Load` whose connections are long: HTTP/2, WebSockets, server-sent events."""

from __future__ import annotations

import asyncio
import random
import time

import websockets

from tests.process.h2_client import H2Client
from tests.process.load import AGENT, TIMEOUT, Connection, Endpoint, Load, Loss, Lost, Tally

GOING_AWAY = 1001


class _Client:
    """What the three have in common: whom they know, and what they have seen."""

    def __init__(self, tally: Tally, seed: int) -> None:
        self.tally = tally
        self.known: list[Endpoint] = []
        self._random = random.Random(seed)

    def _choose(self) -> Endpoint:
        return self._random.choice(self.known)

    def _lost(self, kind: str, cause: str, path: str, endpoint: Endpoint) -> None:
        self.tally.losses.append(Loss(kind, cause, path, endpoint, time.monotonic()))


class Http2(_Client):
    """Sends what is new elsewhere once it was told GOAWAY; several requests are under way."""

    async def run(self, over: asyncio.Event) -> None:
        client: H2Client | None = None
        endpoint: Endpoint | None = None
        opened: list[H2Client] = []
        under_way: list[asyncio.Task[None]] = []
        while not over.is_set():
            if client is None or endpoint is None or not client.usable:
                endpoint = self._choose()
                try:
                    client = await H2Client.open(endpoint)
                    opened.append(client)
                except OSError as error:
                    self.tally.new += 1
                    self._lost("new", f"refused ({type(error).__name__})", "/", endpoint)
                    continue
            path = "/slow" if self._random.random() < 0.01 else "/"
            under_way.append(asyncio.create_task(self._ask(client, endpoint, path)))
            await asyncio.sleep(self._random.uniform(0, 0.06))
        await asyncio.gather(*under_way)
        for each in opened:
            await each.close()

    async def _ask(self, client: H2Client, endpoint: Endpoint, path: str) -> None:
        self.tally.kept += 1
        began = time.monotonic()
        try:
            await client.ask(path)
        except Lost as lost:
            self._lost("kept", str(lost), path, endpoint)
        self.tally.longest = max(self.tally.longest, time.monotonic() - began)


class Talker(_Client):
    """Talks over a WebSocket until it is closed with 1001, then opens another one."""

    async def run(self, over: asyncio.Event) -> None:
        while not over.is_set():
            endpoint = self._choose()
            self.tally.new += 1
            url = f"ws://{endpoint.host}:{endpoint.port}/"
            try:
                async with websockets.connect(url, open_timeout=TIMEOUT) as socket:
                    await self._talk(socket, over)
            except websockets.ConnectionClosed as closed:
                if closed.rcvd is None or closed.rcvd.code != GOING_AWAY:
                    self._lost("kept", f"closed: {closed}", url, endpoint)
                self.tally.closed_idle += 1
            except (OSError, websockets.WebSocketException) as error:
                self._lost("new", f"{type(error).__name__}: {error}", url, endpoint)

    async def _talk(self, socket: websockets.ClientConnection, over: asyncio.Event) -> None:
        while not over.is_set():
            async with asyncio.timeout(TIMEOUT):
                await socket.send("word")
                assert await socket.recv() == "word"
            self.tally.kept += 1
            await asyncio.sleep(self._random.uniform(0, 0.06))


class EventSource(_Client):
    """Listens until its stream has ended whole, then listens elsewhere."""

    async def run(self, over: asyncio.Event) -> None:
        ending = asyncio.create_task(over.wait())
        while not over.is_set():
            listening = asyncio.create_task(self._listen(self._choose()))
            await asyncio.wait({listening, ending}, return_when=asyncio.FIRST_COMPLETED)
            listening.cancel()

    async def _listen(self, endpoint: Endpoint) -> None:
        self.tally.new += 1
        connection: Connection | None = None
        try:
            connection = await Connection.open(endpoint)
            connection._writer.write(
                f"GET /events HTTP/1.1\r\nHost: localhost\r\nUser-Agent: {AGENT}\r\n"
                "Accept: text/event-stream\r\n\r\n".encode()
            )
            body = (await connection._read()).body
            events = body.decode().split("\n\n")
            assert events == [*(f"data: {number}" for number in range(len(events) - 1)), ""]
            self.tally.kept += len(events) - 1
            self.tally.closed_idle += 1
        except (OSError, asyncio.IncompleteReadError, AssertionError) as error:
            self._lost("kept", f"{type(error).__name__}: {error}", "/events", endpoint)
        finally:
            if connection is not None:
                connection.close()


def load_of(kind: type[_Client], clients: int = 5) -> Load:
    """Make a load of one kind of client."""
    load = Load(0)
    load.clients = [kind(load.tally, seed) for seed in range(clients)]  # type: ignore[misc]
    return load
