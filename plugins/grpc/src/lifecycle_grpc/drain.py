"""Leaving: GOAWAY to kept connections when the settle time is over."""

from __future__ import annotations

import asyncio
from typing import Final

import grpc.aio
from grpc_health.v1 import health_pb2_grpc

import lifecycle
from lifecycle_grpc.health import Health

JITTER: Final = 1.1
"""grpc spreads a connection's age by a tenth, so that clients do not all come back at once."""


def options(life: lifecycle.Lifecycle) -> list[tuple[str, int]]:
    """
    Return options of a server whose clients have all left before it stops.

    A server that stops fails the calls that reach it while its GOAWAY is on the way. One
    that goes on does not, so each connection is told GOAWAY at half of `settle`, always:
    in a drain each is renewed, elsewhere, in the half after the removal was heard of.
    Streams on an old connection are not cut off.

    Args:
        life: The lifecycle.
    """
    age = life.config.settle / 2 / JITTER
    return [("grpc.max_connection_age_ms", max(100, round(age * 1000)))]


def attach(server: grpc.aio.Server, life: lifecycle.Lifecycle) -> Health:
    """
    Put a grpc.aio server under the lifecycle; before `server.start()`.

    Adds the health service. In a drain, once consumers have had `settle` seconds to
    notice, the server is stopped gracefully: clients of kept connections are sent
    elsewhere with GOAWAY, calls under way are finished. What is still in flight when the time
    of the drain and `stop_timeout` are over is cut off: the process exits with 124. grpc cannot
    send GOAWAY and go on listening, so this server's listener closes when settle is over.

    Args:
        server: From `grpc.aio.server(...)`, with an `Interceptor` among its interceptors.
        life: The lifecycle.

    Returns:
        The health service that was added.
    """
    health = Health(life)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    life.use(health, name="grpc-health")
    life.use(_Stop(server, health, life), name="grpc")
    return health


class _Stop:
    def __init__(self, server: grpc.aio.Server, health: Health, life: lifecycle.Lifecycle) -> None:
        self._server = server
        self._health = health
        self._life = life
        self._stopping: asyncio.Task[None] | None = None

    @lifecycle.hookimpl
    async def lifecycle_drain(self, drain: lifecycle.Drain) -> None:
        """Stop when consumers have noticed; returns when the last call is finished."""
        await drain.settled()
        self._health.end_watches()
        # Not the drain's own deadline: calls have `stop_timeout` after it, as everywhere, and
        # what is in flight then is in the report. `lifecycle_transition` cuts it off.
        self._stopping = asyncio.create_task(self._server.stop(self._life.config.grace_period))
        await asyncio.shield(self._stopping)

    @lifecycle.hookimpl
    async def lifecycle_transition(self, transition: lifecycle.Transition) -> None:
        """End what is left, with a status, once the report has named it."""
        if transition.after in (lifecycle.State.STOPPED, lifecycle.State.FAILED):
            await self._server.stop(0)
