"""The drain of a grpc.aio server: GOAWAY to all connections after `settle`."""

from __future__ import annotations

import asyncio
from typing import Final
from weakref import WeakSet

import grpc.aio
from grpc_health.v1 import health_pb2_grpc

import lifecycle
from lifecycle_grpc.health import Health

RENEWALS: Final = 2
"""How often a connection is renewed within `settle`, so `settle` must be that much longer."""
JITTER: Final = 1.1
"""grpc varies the age of connections by a tenth, so that clients do not reconnect at once."""

_renewing: Final[WeakSet[lifecycle.Lifecycle]] = WeakSet()
"""The `Lifecycle` objects whose server renews its connections."""


def options(life: lifecycle.Lifecycle) -> list[tuple[str, int]]:
    """
    Return server options that limit the age of connections, so that no call is lost.

    When a server stops, calls that arrive while its GOAWAY is on the way fail. A server that does
    not stop accepts such calls. Therefore these options renew each connection after half of
    `settle`, always. In a drain, each client then reconnects to another pod in the second half of
    `settle`, when this pod is no longer in its list of addresses. Streams on an old connection are
    not cut off.

    For example, with `settle=10` each connection is renewed after 5 s at the latest.

    Args:
        life: The `Lifecycle`.

    Returns:
        Options for `grpc.aio.server(options=…)`.
    """
    _renewing.add(life)
    age = life.config.settle / 2 / JITTER
    return [("grpc.max_connection_age_ms", max(100, round(age * 1000)))]


def attach(server: grpc.aio.Server, life: lifecycle.Lifecycle) -> Health:
    """
    Add pod-lifecycle to a grpc.aio server. Call this function before `server.start()`.

    The function adds the health service. In a drain, the server stops gracefully after the
    settle time (`settle`). Clients get GOAWAY and reconnect to another pod, and running
    calls are finished. If calls still run when the time of the drain and `stop_timeout` are over,
    they are cut off, and the process exits with 124. grpc cannot send GOAWAY and keep listening,
    so this server stops listening after `settle`.

    Args:
        server: The server from `grpc.aio.server(...)`, with an `Interceptor`.
        life: The `Lifecycle`.

    Returns:
        The health service.
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
        """Stop the server after `settle`. Returns when the last call is finished."""
        await drain.settled()
        drain.stopped_listening(settle_factor=RENEWALS if self._life in _renewing else 1)
        self._health.end_watches()
        # Not the deadline of the drain, because calls may also use `stop_timeout` after it, and
        # the report lists the calls that still run then. `lifecycle_transition` cuts them off.
        self._stopping = asyncio.create_task(self._server.stop(self._life.config.grace_period))
        await asyncio.shield(self._stopping)

    @lifecycle.hookimpl
    async def lifecycle_transition(self, transition: lifecycle.Transition) -> None:
        """End the remaining calls with a status, after the report has listed them."""
        if transition.after in (lifecycle.State.STOPPED, lifecycle.State.FAILED):
            await self._server.stop(0)
