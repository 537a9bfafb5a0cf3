"""
A client: which replica it asks, and on which connection.

A client looks at its connection before it writes. When the request arrives, what the client saw
is as old as one round trip of the network. On a single machine the round trip takes almost no
time, and clients would lose fewer requests to this race than in production.

A client keeps a keep-alive connection until the server closes it, or announces that it will. New
connections may meanwhile go elsewhere. kube-proxy treats an established connection the same way.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import Final

from lifecycle.rehearsal.clients.connection import Connection, Request
from lifecycle.rehearsal.clients.protocols import open_connection
from lifecycle.rehearsal.clients.wire import OwnError
from lifecycle.rehearsal.measuring.losses import Cause, Declined, GoneAway, Loss, Lost
from lifecycle.rehearsal.measuring.tally import BUCKET, Tally
from lifecycle.rehearsal.plan import Protocol, Traffic
from lifecycle.testing import Client as View
from lifecycle.testing import NoEndpoints

REPEATS: Final = 3
"""How often a declined request is sent again."""
AFTER_LOSS: Final = 0.1
"""Seconds that a client waits after a loss, which limits the losses per dead endpoint."""


class _Attempt:
    """A request in flight."""

    def __init__(self, path: str, began: float, connection: Connection | None, pod: str) -> None:
        self.path = path
        self.began = began
        self.connection = connection
        self.pod = pod
        self.kept = connection is not None


class Client:
    """
    A client.

    Args:
        view: The endpoints that this client sees.
        traffic: The requests to send.
        protocol: The protocol of the requests.
        tally: The counters.
        draw: The random numbers.
    """

    def __init__(
        self, view: View, traffic: Traffic, protocol: Protocol, tally: Tally, draw: random.Random
    ) -> None:
        self.view = view
        self._traffic = traffic
        self._protocol = protocol
        self._tally = tally
        self._draw = draw
        self._connection: Connection | None = None
        self._pod = ""

    async def visit(self) -> None:
        """Open a connection for one request."""
        await self._request(self._path(), keep=False)

    async def stay(self, over: asyncio.Event, *, think: float) -> None:
        """
        Send requests on a keep-alive connection until `over` is set, and one more after that.

        The last request shows whether the connection was lost while the client was idle.
        """
        while not over.is_set():
            answered = await self._request(self._path(), keep=True)
            pause = self._draw.uniform(0.5, 1.5) * think if think else 0.0
            if not answered:
                pause = max(pause, AFTER_LOSS)
            if pause:
                due = time.monotonic() + pause
                if not await _happens_within(over, pause):
                    self._tally.lateness.add(time.monotonic() - due)
        await self._request(self._path(), keep=True)
        self._drop()

    def _path(self) -> str:
        traffic = self._traffic
        if traffic.slow is not None and self._draw.random() < traffic.slow_share:
            return traffic.slow
        return self._draw.choice(traffic.paths)

    async def _request(self, path: str, *, keep: bool) -> bool:
        """Send one request. Returns whether it was answered."""
        began = time.monotonic()
        connection = await self._kept(path) if keep else None
        attempt = _Attempt(path, began, connection, self._pod if connection else "")
        self._tally.requests += 1
        try:
            async with asyncio.timeout(self._traffic.timeout + self._wait(attempt)):
                status = await self._exchange(attempt, keep=keep)
        except OwnError as error:
            self._tally.requests -= 1
            self._tally.own_errors[str(error)] += 1
        except TimeoutError:
            detail = f"no whole answer within {self._traffic.timeout:g} s"
            self._lose(Lost(Cause.TIMEOUT, detail), attempt)
        except NoEndpoints:
            detail = "no replica was ready, and none still served"
            self._lose(Lost(Cause.NO_ENDPOINT, detail), attempt)
        except Lost as lost:
            self._lose(lost, attempt)
        else:
            self._answered(status, attempt)
            if keep and attempt.connection is not None and attempt.connection.reusable:
                self._connection, self._pod = attempt.connection, attempt.pod
            else:
                self._close(attempt.connection)
            return True
        self._close(attempt.connection)
        return False

    def _wait(self, attempt: _Attempt) -> float:
        """Return the seconds from the connect to the first request, without the round trip."""
        return 0.0 if attempt.kept else self._traffic.first_after

    async def _exchange(self, attempt: _Attempt, *, keep: bool) -> int:
        request = Request.of(self._traffic, attempt.path)
        wait = self._wait(attempt)
        for _ in range(REPEATS):
            if attempt.connection is None:
                endpoint = self.view.pick()
                attempt.pod = endpoint.name
                attempt.connection = await open_connection(
                    self._protocol, endpoint, attempt.path, keep=keep
                )
            if self._traffic.rtt or wait:
                await asyncio.sleep(self._traffic.rtt + wait)
                attempt.began += wait
                wait = 0.0
            await attempt.connection.wire.look()
            try:
                return await attempt.connection.ask(request)
            except (Declined, GoneAway):
                self._tally.repeated += 1
                attempt.connection.close()
                attempt.connection, attempt.kept = None, False
        raise Lost(Cause.STREAM_RESET, f"the server declined it {REPEATS} times")

    async def _kept(self, path: str) -> Connection | None:
        """Return the keep-alive connection if it can still be used."""
        connection, self._connection = self._connection, None
        if connection is None:
            return None
        await connection.wire.look()
        if not connection.over:
            return connection
        await connection.wire.look()  # how it has ended may have come since
        if (broken := connection.broken) is not None:
            self._tally.requests += 1
            ended = connection.wire.ended_at or time.monotonic()
            self._lose(broken, _Attempt(path, ended, connection, self._pod), at=ended)
        else:
            self._tally.closed_idle += 1
        connection.close()
        return None

    def _answered(self, status: int, attempt: _Attempt) -> None:
        now = time.monotonic()
        tally = self._tally
        tally.answers[int(now / BUCKET), attempt.pod, attempt.kept] += 1
        tally.statuses[status] += 1
        tally.longest = max(tally.longest, now - attempt.began)

    def _lose(self, lost: Lost, attempt: _Attempt, at: float | None = None) -> None:
        self._tally.losses.append(
            Loss(
                at=time.monotonic() if at is None else at,
                sent=attempt.began,
                kept=attempt.kept,
                protocol=self._protocol,
                cause=lost.cause,
                detail=lost.detail,
                path=attempt.path,
                pod=attempt.pod,
                otherwise=lost.otherwise,
            )
        )

    def _close(self, connection: Connection | None) -> None:
        if connection is not None:
            connection.close()

    def _drop(self) -> None:
        self._close(self._connection)
        self._connection = None


async def _happens_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
