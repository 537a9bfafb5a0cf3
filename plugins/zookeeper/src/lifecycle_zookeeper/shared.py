"""Nodes that stay: those above ours, and what the pods of an application have in common."""

from __future__ import annotations

import contextlib
from typing import Final

from lifecycle_zookeeper.application import mapped
from lifecycle_zookeeper.errors import ZooKeeperFailed
from lifecycle_zookeeper.link import Link
from lifecycle_zookeeper.nodes import NotAsFoundError

LARGEST: Final = 1_000_000
"""Bytes of the data of a node at most. A server closes the connection if a request has 1 MiB."""
TRIES: Final = 50
"""How often a change is tried again because another client was faster."""


class Shared:
    """
    The nodes.

    Args:
        link: The connection.
    """

    def __init__(self, link: Link) -> None:
        self._link = link

    async def make_parents(self, path: str) -> None:
        """Create the nodes above a node. The lowest one is tried first, because most are there."""
        above = path.rpartition("/")[0]
        if not above:
            return
        try:
            await self._link.client.create(above, b"", ephemeral=False)
        except NotAsFoundError as changed:
            if not changed.missing:
                return  # it is there
            await self.make_parents(above)
            with contextlib.suppress(NotAsFoundError):  # another client was faster
                await self._link.client.create(above, b"", ephemeral=False)

    async def ensure(self, path: str, data: bytes) -> None:
        """
        Create a node that stays, if it is missing.

        Raises:
            ZooKeeperFailed: The server has not done it, or the data are too large for a node.
        """
        if len(data) > LARGEST:
            raise ZooKeeperFailed(
                "too large", f"{path}: {len(data)} bytes, and a node has at most {LARGEST}"
            )
        if await self._link.client.read(path) is not None:
            return
        await self._create(path, data)

    async def map(self, path: str, application: str) -> None:
        """
        Add an application to those that have an interface. Names of others stay.

        Args:
            path: The node of the interface.
            application: The name to add.
        """
        client = self._link.client
        for _ in range(TRIES):
            found = await client.read(path)
            names = mapped(found.data if found else b"", application)
            if names is None:
                return
            try:
                if found is None:
                    await self._create(path, names, strict=True)
                else:
                    await client.change(path, names, found.version)
            except NotAsFoundError:
                continue
            return
        raise ZooKeeperFailed("refused", f"{path}: the node changes all the time")

    async def _create(self, path: str, data: bytes, *, strict: bool = False) -> None:
        try:
            await self._link.client.create(path, data, ephemeral=False)
        except NotAsFoundError as changed:
            if changed.missing:
                await self.make_parents(path)
                await self._create(path, data, strict=strict)
            elif strict:
                raise
