"""The base class of the registries of both layouts: one session, and its problems."""

from __future__ import annotations

import asyncio
import importlib
from types import TracebackType
from typing import Final, Self

import lifecycle
from lifecycle_zookeeper.errors import ZooKeeperFailed
from lifecycle_zookeeper.holdings import Holdings
from lifecycle_zookeeper.link import Link
from lifecycle_zookeeper.options import Options
from lifecycle_zookeeper.ownership import Ownership
from lifecycle_zookeeper.shared import Shared

PATIENCE: Final = 0.8
"""The part of `register_timeout` for which a call waits for the server."""
TOGETHER: Final = 32
"""Services that are written together. With all at once, none would be done before the last one."""


class SessionRegistry(lifecycle.Registry):
    """
    A registry with one session for all services.

    Args:
        life: The `Lifecycle`.
        options: The options of the plugin.

    Attributes:
        link: The connection.
        shared: Nodes that stay.
        ownership: Nodes that end with the session.
        holdings: The nodes that are watched.
        gate: Limits how many services are written together.
    """

    name = "zookeeper"
    retry = 1.0

    def __init__(self, life: lifecycle.Lifecycle, options: Options) -> None:
        self.settle = options.notice
        self.options = options
        self._life = life
        self._told: dict[str, str] = {}
        self._since = 0.0
        self._tasks: list[asyncio.Task[None]] = []
        self.link = Link(options, self._tell, self._opened, self._touched)
        self.shared = Shared(self.link)
        self.ownership = Ownership(self.link, self.shared)
        self.holdings = Holdings(self.link, self.ownership, options.session)
        self.gate = asyncio.Semaphore(TOGETHER)

    async def __aenter__(self) -> Self:
        # The import of kazoo takes 0.1 s, which must not delay a probe.
        await asyncio.to_thread(importlib.import_module, "lifecycle_zookeeper.client")
        self._tasks = [asyncio.create_task(each.run()) for each in (self.link, self.holdings)]
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.holdings.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=0.4)

    async def connected(self, service: str) -> None:
        """
        Return if there is a connection. Fail once for each outage, and then wait for its end.

        Raises:
            ZooKeeperFailed: There is no connection.
        """
        patience = PATIENCE * self._life.config.register_timeout
        await self.link.until_known(patience)
        error = self.link.error
        if error is not None and self._told.get(service) != error.state:
            self._told[service] = error.state
            raise error.again()
        await self.link.until_open(patience)
        self._told.pop(service, None)

    def connection(self) -> dict[str, object]:
        """Return the problem of the connection, for `/status`."""
        return {} if self.link.error is None else {"connection": str(self.link.error)}

    def _opened(self) -> None:
        self.holdings.opened()

    def _touched(self, path: str) -> None:
        self.holdings.look(path)

    def _tell(self, error: ZooKeeperFailed | None) -> None:
        now = asyncio.get_running_loop().time()
        if error is None:
            seconds = round(now - self._since, 3)
            self._life.log.info("zookeeper", connection="restored", seconds=seconds)
            self._since = 0.0
            return
        self.holdings.closed(error)
        self._since = self._since or now
        self._life.log.warning("zookeeper", connection="lost", reason=str(error), see=error.see)
