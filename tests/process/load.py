"""
Clients that keep asking, and an honest count of what they lost.

Rules of this file:

1. A request is lost if it was refused, reset, cut off before the whole response,
   timed out, or answered with 5xx. Nobody retries.
2. A kept connection that the server closed while it was idle, seen before the next
   request is written, is not lost: every client library looks before it writes.
3. A kept connection is kept until the server ends it or says so, wherever new
   connections go meanwhile: so does a kube-proxy with an established flow.
"""

from __future__ import annotations

import asyncio
import random
import select
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Self

TIMEOUT: Final = 5.0
"""Seconds for a whole response."""
AGENT: Final = "rollout/1"
BODY: Final = b"0123456789abcdef" * 128


class Lost(Exception):
    """A request got no whole response; the argument says why."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where one replica serves."""

    name: str
    port: int
    host: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Loss:
    """One lost request."""

    kind: str
    cause: str
    path: str
    endpoint: Endpoint
    at: float


@dataclass(slots=True)
class Response:
    """One whole response."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def closes(self) -> bool:
        """True if the server said that the connection ends with it."""
        return "close" in self.headers.get("connection", "").lower()


@dataclass(slots=True)
class Tally:
    """What all clients have seen."""

    new: int = 0
    kept: int = 0
    closed_idle: int = 0
    longest: float = 0.0
    losses: list[Loss] = field(default_factory=list)

    @property
    def requests(self) -> int:
        """How many requests were sent, or tried."""
        return self.new + self.kept

    def lost(self, kind: str) -> int:
        """Return how many requests on new or kept connections were lost."""
        return sum(loss.kind == kind for loss in self.losses)


class Connection:
    """One HTTP/1.1 connection over raw streams."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._poll = select.poll()
        self._poll.register(writer.get_extra_info("socket").fileno(), select.POLLIN)

    @classmethod
    async def open(cls, endpoint: Endpoint) -> Self:
        """
        Connect.

        Raises:
            OSError: It cannot be had.
        """
        return cls(*await asyncio.open_connection(endpoint.host, endpoint.port))

    @property
    def over(self) -> bool:
        """True if the server has closed it, or sent what nobody asked for."""
        # Asked of the kernel: what this loop has not got round to read counts as seen too.
        return self._reader.at_eof() or bool(self._poll.poll(0))

    async def ask(
        self, path: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Response:
        """
        Send one request and read its whole response.

        Raises:
            Lost: There is none.
        """
        method = "POST" if body else "GET"
        lines = {"Host": "localhost", "User-Agent": AGENT, **(headers or {})}
        if body:
            lines["Content-Length"] = str(len(body))
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        try:
            async with asyncio.timeout(TIMEOUT):
                self._writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
                return await self._read()
        except TimeoutError:
            raise Lost("timeout") from None
        except asyncio.IncompleteReadError as cut:
            raise Lost("cut off" if cut.partial else "eof") from None
        except OSError as error:
            raise Lost(f"reset ({type(error).__name__})") from None

    async def _read(self) -> Response:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(head[0].split()[1])
        pairs = (line.partition(":") for line in head[1:] if line)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        if headers.get("transfer-encoding") == "chunked":
            body = await self._chunks()
        elif "content-length" in headers:
            body = await self._reader.readexactly(int(headers["content-length"]))
        else:
            raise Lost("a response without a length")
        return Response(status, headers, body)

    async def _chunks(self) -> bytes:
        body = b""
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            body += (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readexactly(2)
        return body

    async def read(self) -> bytes:
        """Return what comes next, b"" at the end."""
        return await self._reader.read(65536)

    def close(self) -> None:
        """Close it."""
        self._writer.close()


@dataclass(slots=True)
class Client:
    """
    One client.

    Attributes:
        kept: Whether it keeps its connection from one request to the next.
        pause: Gives the seconds until its next request.
        path: Gives what it asks for; a path that ends in `echo` is sent a body.
        known: The endpoints it knows at this moment.
    """

    name: str
    tally: Tally
    kept: bool
    pause: Callable[[], float]
    path: Callable[[], str]
    headers: Mapping[str, str] = field(default_factory=dict)
    known: list[Endpoint] = field(default_factory=list)
    _connection: Connection | None = None
    _endpoint: Endpoint | None = None

    async def run(self, over: asyncio.Event) -> None:
        """Ask until it is over, and once more, so that who was idle tells what it finds."""
        while not over.is_set():
            await self._ask_once()
            try:
                async with asyncio.timeout(self.pause()):
                    await over.wait()
            except TimeoutError:
                continue
        await self._ask_once()
        self._drop()

    async def _ask_once(self) -> None:
        path = self.path()
        if self._connection is not None and self._connection.over:
            self.tally.closed_idle += 1
            self._drop()
        kind = "new" if self._connection is None else "kept"
        if kind == "new":
            self.tally.new += 1
            self._endpoint = random.choice(self.known)
        else:
            self.tally.kept += 1
        began = time.monotonic()
        try:
            await self._exchange(path)
        except Lost as lost:
            assert self._endpoint is not None
            self.tally.losses.append(Loss(kind, str(lost), path, self._endpoint, time.monotonic()))
            self._drop()
        self.tally.longest = max(self.tally.longest, time.monotonic() - began)

    async def _exchange(self, path: str) -> None:
        assert self._endpoint is not None
        if self._connection is None:
            try:
                async with asyncio.timeout(TIMEOUT):
                    self._connection = await Connection.open(self._endpoint)
            except (OSError, TimeoutError) as error:
                raise Lost(f"refused ({type(error).__name__})") from None
        sent = BODY if path.endswith("echo") else b""
        response = await self._connection.ask(path, self.headers, sent)
        if response.status >= 500:
            raise Lost(str(response.status))
        if sent and response.body != sent:
            raise Lost("another body")
        if response.closes or not self.kept:
            self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Load:
    """
    Clients at work, and what each of them knows of the endpoints.

    Args:
        clients: How many; every other one keeps its connection, and of these every
            fourth is idle for `long_pause` between requests.
        pause: Seconds between two requests of one client, on average.
        long_pause: Longer than the drain's settle time.
        slow: The share of requests that take a second; of as many the response does.
    """

    def __init__(
        self,
        clients: int = 20,
        *,
        pause: float = 0.03,
        long_pause: float = 2.6,
        slow: float = 0.01,
        seed: int = 1,
    ) -> None:
        self.tally = Tally()
        self._over = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._random = random.Random(seed)
        draw = self._random

        def path() -> str:
            kind = draw.random()
            if kind < slow:
                return "/slow"
            return "/stream" if kind < 2 * slow else "/echo" if kind < 0.2 else "/"

        def often() -> float:
            return draw.uniform(0, 2 * pause)

        def rarely() -> float:
            return draw.uniform(long_pause, 1.5 * long_pause)

        self.clients = [
            Client(
                name=f"client {number}",
                tally=self.tally,
                kept=bool(number % 2),
                pause=rarely if number % 8 == 1 else often,
                path=path,
                headers={"Connection": "close"} if number % 4 == 0 else {},
            )
            for number in range(clients)
        ]

    def add(self, endpoint: Endpoint) -> None:
        """Let every client know of an endpoint."""
        for client in self.clients:
            client.known.append(endpoint)

    def remove(self, endpoint: Endpoint, spread: float) -> None:
        """Let every client know that an endpoint is gone, up to `spread` seconds from now."""
        loop = asyncio.get_running_loop()
        for number, client in enumerate(self.clients):
            late = spread if number < 2 else self._random.uniform(0, spread)
            loop.call_later(late, client.known.remove, endpoint)

    def begin(self) -> None:
        """Set the clients to work."""
        self._tasks = [asyncio.create_task(each.run(self._over)) for each in self.clients]

    async def end(self) -> Tally:
        """Let the clients finish what they have begun, and return what they have seen."""
        self._over.set()
        await asyncio.gather(*self._tasks)
        return self.tally


async def keep_asking(endpoint: Endpoint, agent: str, every: float, *, kept: bool = False) -> int:
    """Ask `/health` as a probe, a health check or a scraper does, until cancelled or refused."""
    answers = 0
    connection: Connection | None = None
    try:
        while True:
            try:
                if connection is None or connection.over:
                    connection = await Connection.open(endpoint)
                response = await connection.ask("/health", {"User-Agent": agent})
            except (OSError, Lost):
                return answers
            answers += 1
            if response.closes or not kept:
                connection.close()
                connection = None
            await asyncio.sleep(every)
    finally:
        if connection is not None:
            connection.close()
