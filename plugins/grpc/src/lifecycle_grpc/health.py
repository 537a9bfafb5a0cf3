"""`grpc.health.v1`, mirrored from the lifecycle."""

from __future__ import annotations

from typing import Any

from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio as health_aio

import lifecycle

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Health(health_aio.HealthServicer):  # type: ignore[misc]
    """
    Answers for the process (the empty name) and for each exported service by its name.

    `Check` looks at the moment it is asked, an operator's offline included; `Watch` is
    told of every transition: READY, and the beginning of the drain.

    Args:
        life: The lifecycle.
    """

    def __init__(self, life: lifecycle.Lifecycle) -> None:
        super().__init__()
        self._life = life

    @lifecycle.hookimpl
    async def lifecycle_transition(self) -> None:
        """Tell who watches."""
        for name in ("", *self._life.services):
            await self.set(name, self._status(name))

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802 - grpc's name
        """Answer for now."""
        if request.service == "" or request.service in self._life.services:
            return health_pb2.HealthCheckResponse(status=self._status(request.service))
        return await super().Check(request, context)

    def _status(self, name: str) -> Any:
        services = self._life.services
        online = [each.online for each in services.values() if name in ("", each.name)]
        serving = self._life.state is lifecycle.State.READY and (not services or any(online))
        return SERVING if serving else NOT_SERVING
