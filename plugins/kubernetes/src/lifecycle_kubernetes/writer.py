"""
The one who writes: what is wanted on the pod, one request at a time.

Rules of this file:

1. There is one request under way at most, and nobody's cancellation ends it: what was sent may
   arrive, so that whoever comes next has to wait for its answer, and writes after it.
2. What is written is always the newest that is wanted, of all services: many calls, one request.
3. A call is answered by the first request that ends after it and says what the call wants.
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
        write: Makes it so, or raises.
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
        """What is to be registered, by the service's name."""
        return self._wanted

    def again(self) -> None:
        """Write what is wanted once more."""
        self._asked.set()

    async def put(self, service: str, instance: lifecycle.Instance | None) -> None:
        """
        Register a service, or take it out, and return when that is acknowledged.

        Cancelled, it is still wanted.

        Args:
            service: Its name.
            instance: None: it is not to be registered.

        Raises:
            ApiServerError: It is not known to be so.
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
        """Write, for ever."""
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
        """Find out which one it is that is refused: no other is to suffer for it."""
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
        except Exception as error:  # noqa: BLE001 - the callers', whatever it is
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
                continue  # nobody waits any more
            if error is None:
                answer.set_result(None)
            else:
                answer.set_exception(error)
                answer.exception()  # who was cancelled meanwhile does not ask for it
        self._calls = [call for call in left if not call[2].done()]
