"""The health service `grpc.health.v1`, with the state of the app."""

from __future__ import annotations

import asyncio
from typing import Any

from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio

import lifecycle

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Health(health_pb2_grpc.HealthServicer):
    """
    The health service. The empty name is the process, other names are exported services.

    The status is SERVING while the app is READY and the service is online. `Watch` reports each
    change, for example at the drain start, or when an administrator or the app takes a service
    offline.

    Args:
        life: The `Lifecycle`.
    """

    def __init__(self, life: lifecycle.Lifecycle) -> None:
        self._life = life
        self._servicer = health_aio.HealthServicer()
        self._loop = asyncio.get_running_loop()
        self._untold: set[str] = set()
        self._telling: asyncio.Task[None] | None = None
        self._over = asyncio.Event()

    @lifecycle.hookimpl
    def lifecycle_registries(self) -> lifecycle.Registry:
        """Return a registry, which is notified when a service goes online or offline."""
        return _Listed(self)

    @lifecycle.hookimpl
    async def lifecycle_transition(self) -> None:
        """Notify all watches."""
        await self._tell("", *self._life.services)

    def changed(self, name: str) -> None:
        """Notify the watches of a service and of the process soon. From any thread."""

        def tell() -> None:
            self._untold.add(name)
            if self._telling is None:
                self._telling = self._loop.create_task(self._tell_all())

        self._loop.call_soon_threadsafe(tell)

    async def _tell_all(self) -> None:
        # One task for all changes meanwhile, so that n services cost only n.
        try:
            while self._untold:
                names, self._untold = self._untold, set()
                await self._tell("", *names)
        finally:
            self._telling = None

    async def _tell(self, *names: str) -> None:
        for name in names:
            await self._servicer.set(name, self._status(name))

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802 - grpc's name
        """Return the current status."""
        if self._is_known(request.service):
            return health_pb2.HealthCheckResponse(status=self._status(request.service))
        return await self._servicer.Check(request, context)

    async def Watch(self, request: Any, context: Any) -> None:  # noqa: N802 - grpc's name
        """Send the status now and at every change, until `end_watches`."""
        if self._is_known(request.service):
            await self._tell(request.service)
        watching = asyncio.ensure_future(self._servicer.Watch(request, context))
        over = asyncio.ensure_future(self._over.wait())
        try:
            await asyncio.wait({watching, over}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            watching.cancel()
            over.cancel()

    def end_watches(self) -> None:
        """End all watches, because a server that stops waits for them."""
        self._over.set()

    def _is_known(self, name: str) -> bool:
        return name == "" or name in self._life.services

    def _status(self, name: str) -> int:
        if self._life.state is not lifecycle.State.READY:
            return NOT_SERVING
        services = self._life.services
        if name:
            serving = services[name].online
        else:
            serving = not services or any(each.online for each in services.values())
        return SERVING if serving else NOT_SERVING


class _Listed(lifecycle.Registry):
    """A registry for the health service. It is in this process, so it never fails."""

    name = "grpc-health"
    required = False

    def __init__(self, health: Health) -> None:
        self._health = health

    async def register(self, instance: lifecycle.Instance) -> None:
        """Do nothing, because `keep` follows."""

    async def deregister(self, instance: lifecycle.Instance) -> None:
        """Report that the service is offline."""
        self._health.changed(instance.service)

    async def keep(self, instance: lifecycle.Instance) -> str:
        """
        Report that the service is online, and keep this state.

        The report is here and not in `register`. A service that is offline for a very short time
        is not deregistered, but clients may have seen it offline. `keep` is called again then.
        """
        self._health.changed(instance.service)
        never: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        return await never
