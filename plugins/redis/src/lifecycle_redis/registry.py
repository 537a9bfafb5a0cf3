"""The registry: one connection and one task that renews entries, for all services."""

from __future__ import annotations

import asyncio
import importlib
import os
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

import lifecycle
from lifecycle_redis.dubbo import Dubbo
from lifecycle_redis.errors import RedisFailed
from lifecycle_redis.layout import Command, Entry, Layout
from lifecycle_redis.leases import Leases
from lifecycle_redis.link import Connection, Link
from lifecycle_redis.options import LayoutName, Options
from lifecycle_redis.plain import Plain
from lifecycle_redis.text import one_line

PATIENCE: Final = 0.8
"""The part of `register_timeout` for which a call waits for the server."""


class RedisRegistry(lifecycle.Registry):
    """
    Registers each service with an entry that expires if this process dies.

    Args:
        life: The `Lifecycle`.
        options: The options of the plugin.
        owner: A random text that only this process has.
    """

    name = "redis"
    retry = 1.0

    def __init__(self, life: lifecycle.Lifecycle, options: Options, owner: str) -> None:
        self.settle = options.notice
        self._life = life
        self._options = options
        self._layout = _layout(options, owner)
        self._link = Link(self._connect, self._tell)
        self._leases = Leases(self._link, self._layout, options.lease)
        self._told: dict[str, str] = {}
        self._since = 0.0
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        # The import of redis-py takes 0.1 s, which must not delay a probe.
        await asyncio.to_thread(importlib.import_module, "lifecycle_redis.session")
        self._tasks = [asyncio.create_task(each.run()) for each in (self._link, self._leases)]
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=0.3)

    async def register(self, instance: lifecycle.Instance) -> None:
        entry = self._layout.entry(instance)
        first = instance.service not in self._leases.foreign
        self._leases.drop(instance.service)
        held = await self._ask(entry, self._layout.put(entry, take_over=first))
        if held:
            raise RedisFailed("taken", f"{entry.key} belongs to another owner: {_shown(held)}")
        self._leases.add(entry)

    async def deregister(self, instance: lifecycle.Instance) -> None:
        self._leases.drop(instance.service)
        entry = self._layout.entry(instance)
        await self._ask(entry, self._layout.remove(entry))

    async def keep(self, instance: lifecycle.Instance) -> str:
        return await self._leases.keep(instance.service)

    def describe(self, instance: lifecycle.Instance) -> Mapping[str, object]:
        told: dict[str, object] = {}
        if (held := self._leases.get(instance.service)) is not None:
            told["key"] = held.entry.key
            passed = asyncio.get_running_loop().time() - held.at
            told["acknowledged"] = round(time.time() - passed, 3)
        if (error := self._link.error) is not None:
            told["connection"] = str(error)
        return told

    async def _ask(self, entry: Entry, command: Command) -> object:
        """Send a command. Fail once for each outage, and then wait for its end."""
        error = self._link.error
        if error is not None and self._told.get(entry.service) == error.state:
            await self._link.until_open(PATIENCE * self._life.config.register_timeout)
        try:
            answer = await self._link.ask(command)
        except RedisFailed as failed:
            self._told[entry.service] = failed.state
            raise
        self._told.pop(entry.service, None)
        return answer

    async def _connect(self) -> Connection:
        from lifecycle_redis.session import connect

        return await connect(self._options, self._layout.probe())

    def _tell(self, error: RedisFailed | None) -> None:
        now = asyncio.get_running_loop().time()
        if error is None:
            self._life.log.info("redis", connection="restored", seconds=round(now - self._since, 3))
            self._since = 0.0
            return
        self._since = self._since or now
        self._life.log.warning("redis", connection="lost", reason=str(error), see=error.see)


def _layout(options: Options, owner: str) -> Layout:
    if options.layout is LayoutName.DUBBO:
        return Dubbo(options.lease, options.address.namespace)
    namespace = options.address.namespace or os.environ.get("POD_NAMESPACE") or "default"
    return Plain(owner, options.lease, namespace)


def _shown(held: object) -> str:
    return one_line(held.decode(errors="replace") if isinstance(held, bytes) else str(held), 120)
