"""
Writes the wanted registrations to the pod, one request at a time.

Rules of this file:

1. At most one request is running, and no cancellation ends it. The request may arrive even so.
   Therefore the next one waits for its answer.
2. A request always contains the newest wanted state of all services. Many calls need only one
   request.
3. A call returns with the first later request that contains the wanted state of this call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final

from lifecycle_kubernetes.errors import ApiServerError

if TYPE_CHECKING:
    import lifecycle

Instances = Mapping[str, "lifecycle.Instance"]
_Call = tuple[str, "lifecycle.Instance | None", asyncio.Future[None]]
INVALID: Final = "invalid"


class Writer:
    """
    Writes the set of registered services.

    Args:
        write: Writes a set of services to the pod, or raises.
    """

    def __init__(self, write: Callable[[Instances], Awaitable[None]]) -> None:
        self._write = write
        self._wanted: dict[str, lifecycle.Instance] = {}
        self._sent: Instances | None = None
        self._accepted: Instances = {}
        self._calls: list[_Call] = []
        self._asked = asyncio.Event()

    @property
    def wanted(self) -> Instances:
        """The services to register, by name."""
        return self._wanted

    @property
    def busy(self) -> bool:
        """True if a request is running, or comes next."""
        return self._sent is not None or self._asked.is_set() or bool(self._calls)

    def again(self) -> None:
        """Write the wanted state once more."""
        self._asked.set()

    async def put(self, service: str, instance: lifecycle.Instance | None) -> None:
        """
        Register or deregister a service. Returns when this is acknowledged.

        If the call is cancelled, the wanted state stays.

        Args:
            service: The name of the service.
            instance: The service. None deregisters it.

        Raises:
            ApiServerError: The state is not acknowledged.
        """
        if instance is None:
            self._wanted.pop(service, None)
        else:
            self._wanted[service] = instance
        if self._sent is None or self._sent.get(service) != instance:
            self._asked.set()
        answer = asyncio.get_running_loop().create_future()
        self._calls.append((service, instance, answer))
        await answer

    async def run(self) -> None:
        """Write forever."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            wanted = dict(self._wanted)
            new = [name for name in wanted if wanted[name] != self._accepted.get(name)]
            error = await self._send(wanted)
            if len(new) > 1 and isinstance(error, ApiServerError) and error.state == INVALID:
                await self._send_one_by_one(new)
            else:
                self._answer(wanted, error)

    async def _send_one_by_one(self, new: list[str]) -> None:
        """Send each new service alone, so that only the refused one fails."""
        for name in new:
            wanted = {
                each: instance
                for each, instance in self._wanted.items()
                if each == name or each in self._accepted
            }
            self._answer(wanted, await self._send(wanted), only=name)
        self._asked.set()

    async def _send(self, wanted: Instances) -> Exception | None:
        self._sent = wanted
        try:
            await self._write(wanted)
        except Exception as error:  # noqa: BLE001 - passed to the callers
            return error
        finally:
            self._sent = None
        self._accepted = wanted
        return None

    def _answer(self, wanted: Instances, error: Exception | None, only: str = "") -> None:
        refused = isinstance(error, ApiServerError) and error.state == INVALID
        left: list[_Call] = []
        for service, instance, answer in self._calls:
            if wanted.get(service) != instance or (only and service != only):
                left.append((service, instance, answer))
                continue
            if refused and self._wanted.get(service) == instance:
                self._wanted.pop(service, None)
            if answer.done():
                continue  # the caller no longer waits
            if error is None:
                answer.set_result(None)
            else:
                answer.set_exception(error)
                answer.exception()  # a cancelled caller does not retrieve it
        self._calls = [call for call in left if not call[2].done()]
