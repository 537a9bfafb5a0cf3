"""The watch of this pod, which serves all registrations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING

from lifecycle_kubernetes.backoff import Backoff
from lifecycle_kubernetes.errors import ApiServerError
from lifecycle_kubernetes.layout import Object, lost

if TYPE_CHECKING:
    from lifecycle_kubernetes.api import ApiServer


class PodWatch:
    """
    Watches this pod from the first registration to the end.

    Args:
        api: The API server.
        uid: The uid of this pod.
        on_pod: Called with each state of the pod, and whether this state was requested now. If it
            returns True, the state is requested again.
    """

    def __init__(self, api: ApiServer, uid: str, on_pod: Callable[[Object, bool], bool]) -> None:
        self._api = api
        self._uid = uid
        self._on_pod = on_pod
        self._keepers: set[asyncio.Future[str]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.requests = False
        """True while the current state is requested. The answer may be older than a write."""

    async def keep(self) -> str:
        """
        Wait until the pod is no longer registered, and return why.

        Raises:
            ApiServerError: The state is unknown.
        """
        if not self._keepers:
            self.restart()  # waiting events of the last watch may be older than this registration
        keeper = asyncio.get_running_loop().create_future()
        self._keepers.add(keeper)
        try:
            return str(await keeper)
        finally:
            self._keepers.discard(keeper)

    def start(self) -> None:
        """Start the watch, unless it runs."""
        if all(task.cancelling() for task in self._tasks):
            task = asyncio.create_task(self._follow())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def restart(self) -> None:
        """Start the watch again, with a request for the current state."""
        self.close()
        self.start()

    def close(self) -> set[asyncio.Task[None]]:
        """Stop the watch. Returns the tasks that have not ended yet."""
        for task in self._tasks:
            task.cancel()
        return set(self._tasks)

    async def _follow(self) -> None:
        backoff = Backoff()
        while True:
            try:
                async with aclosing(self._states()) as states:
                    async for kind, pod in states:
                        backoff.reset()
                        self._tell_if_lost(kind, pod)
                        if self._on_pod(pod, not kind):
                            break
            except Exception as error:  # noqa: BLE001 - passed to the waiters
                self._tell(error)
                await backoff.pause()

    async def _states(self) -> AsyncGenerator[tuple[str, Object], None]:
        from lifecycle_kubernetes.api import Silence

        while True:
            self.requests = True
            try:
                pod = await self._api.get()
            finally:
                self.requests = False
            yield "", pod
            try:
                async with aclosing(
                    self._api.watch_pod(pod["metadata"]["resourceVersion"])
                ) as changes:
                    async for change in changes:
                        yield change
            except Silence:
                pass  # nothing has happened, or the connection is dead, so request the state
            except ApiServerError as error:
                if error.state != "expired":
                    raise

    def _tell_if_lost(self, kind: str, pod: Object) -> None:
        if reason := "the pod is deleted" if kind == "DELETED" else lost(pod, self._uid):
            self._tell(reason)

    def _tell(self, outcome: str | Exception) -> None:
        keepers, self._keepers = self._keepers, set()
        for keeper in keepers:
            if keeper.done():
                continue
            if isinstance(outcome, Exception):
                keeper.set_exception(outcome)
                keeper.exception()  # a cancelled waiter does not retrieve it
            else:
                keeper.set_result(outcome)
