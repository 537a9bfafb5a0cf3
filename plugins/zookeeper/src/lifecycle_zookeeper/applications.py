"""
The records of applications: one node for all services that have one application, host and port.

Rules of this file:

1. A record covers the services that are wanted now. The first call of `commit` writes it for all of
   them, so that n services need a few writes, and not n.
2. The metadata come first, and then the record that names them. Metadata are shared by all pods of a
   release, and are never removed.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from lifecycle_zookeeper.application import application_node, metadata_of
from lifecycle_zookeeper.dubbo import Provider
from lifecycle_zookeeper.holdings import Holdings
from lifecycle_zookeeper.ownership import Ownership
from lifecycle_zookeeper.shared import Shared


class Roots(NamedTuple):
    """
    The nodes below which the layout `dubbo` is written.

    Attributes:
        interfaces: The root of the interface level.
        applications: The root of the application level.
        metadata: The root of metadata and mappings.
    """

    interfaces: str
    applications: str
    metadata: str


class Record:
    """
    The record of one application, host and port.

    Attributes:
        providers: The services that are wanted, by their names.
        path: The path of the node, or empty if there has never been one.
        lock: For the one that writes.
        changes: How often the services have changed.
        written: How many of these changes are written.
    """

    def __init__(self) -> None:
        self.providers: dict[str, Provider] = {}
        self.path = ""
        self.lock = asyncio.Lock()
        self.changes = 0
        self.written = 0


class Applications:
    """
    All records of this process.

    Args:
        roots: Where they are written.
        started: When this process has started, in milliseconds since the epoch.
        ownership: Writes nodes that end with the session.
        shared: Writes nodes that stay.
        holdings: The nodes that are watched.
    """

    def __init__(
        self,
        roots: Roots,
        started: int,
        ownership: Ownership,
        shared: Shared,
        holdings: Holdings,
    ) -> None:
        self._roots = roots
        self._started = started
        self._ownership = ownership
        self._shared = shared
        self._holdings = holdings
        self._records: dict[tuple[str, str, int], Record] = {}

    def record(self, provider: Provider) -> Record:
        """Return the record of a service."""
        where = (provider.application, provider.host, provider.port)
        return self._records.setdefault(where, Record())

    def want(self, provider: Provider) -> None:
        """Have the next commit cover a service."""
        record = self.record(provider)
        if record.providers.get(provider.interface) != provider:
            record.providers[provider.interface] = provider
            record.changes += 1

    def discard(self, provider: Provider) -> None:
        """Have the next commit leave a service out."""
        record = self.record(provider)
        if record.providers.pop(provider.interface, None) is not None:
            record.changes += 1

    async def commit(self, provider: Provider) -> None:
        """
        Write the record of a service as it is wanted now.

        Raises:
            ZooKeeperFailed: The server has not done it.
        """
        record = self.record(provider)
        async with record.lock:
            there = self._holdings.get(record.path) is not None
            if record.written == record.changes and there is bool(record.providers):
                return
            changes = record.changes
            await self._write(provider.application, record)
            record.written = changes

    async def _write(self, application: str, record: Record) -> None:
        providers = [*record.providers.values()]
        if not providers:
            if record.path:
                self._holdings.drop(record.path)
                await self._ownership.remove(record.path)
            return
        revision, metadata = metadata_of(application, providers)
        path = f"{self._roots.metadata}/metadata/{application}/{revision}"
        await self._shared.ensure(path, metadata)
        node = application_node(self._roots.applications, providers, revision, self._started)
        record.path = node.path
        await self._ownership.write(node)
        if self._holdings.get(node.path) is None:
            self._holdings.add(node.path)
