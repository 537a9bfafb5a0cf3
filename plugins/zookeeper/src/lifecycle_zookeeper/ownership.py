"""
Nodes that end with the session of this process: written, replaced and removed.

Rules of this file:

1. A node is ours if its owner is a session of this process. Nothing else is changed or removed.
2. The data of a node of an earlier session are never set, because the node ends with that session.
   It is deleted and created again, in one transaction.
3. The node of a foreign session is replaced only if it has our own host and port. An earlier process
   of this container has left it. A node that a foreign session has taken while we had
   it is never replaced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from lifecycle_zookeeper.errors import ZooKeeperFailed
from lifecycle_zookeeper.link import Link
from lifecycle_zookeeper.nodes import Change, Create, Delete, Found, Node, NotAsFoundError, Step
from lifecycle_zookeeper.shared import Shared
from lifecycle_zookeeper.text import one_line

TRIES: Final = 10
"""How often a change is tried again because another client was faster."""


class Ownership:
    """
    The nodes.

    Args:
        link: The connection.
        shared: The nodes above them.
    """

    def __init__(self, link: Link, shared: Shared) -> None:
        self._link = link
        self._shared = shared
        self.foreign: set[str] = set()
        """Paths that a foreign session has taken while we had them, and that are not back."""

    async def write(self, node: Node, *, instead_of: str = "") -> None:
        """
        Write a node.

        Args:
            node: The node.
            instead_of: The path of a node of ours to remove in the same transaction.

        Raises:
            ZooKeeperFailed: The server has not done it, or the node belongs to another owner.
        """
        if instead_of or not await self._created(node):
            for _ in range(TRIES):
                if await self._did(await self._steps_to_write(node, instead_of)):
                    break
            else:
                raise ZooKeeperFailed("refused", f"{node.path}: the node changes all the time")
        self.foreign.discard(node.path)

    async def replace(self, old: str, new: Node) -> None:
        """Replace a node of ours by another one. If the old one is gone, do nothing."""
        for _ in range(TRIES):
            found, there = await self._read(old, new.path)
            steps: list[Step] = []
            if found is not None and self._is_ours(found):
                steps = [Delete(old, found.version)]
                if there is None:
                    steps.insert(0, Create(new.path, new.data))
            if await self._did(steps):
                return
        raise ZooKeeperFailed("refused", f"{old}: the node changes all the time")

    async def remove(self, *paths: str) -> None:
        """Remove nodes of ours."""
        for _ in range(TRIES):
            steps = self._removals(paths, await self._read(*paths))
            if await self._did(steps):
                return
        raise ZooKeeperFailed("refused", f"{paths[0]}: the node changes all the time")

    async def _created(self, node: Node) -> bool:
        """Create a node, and those above it. Return False if it is there."""
        for _ in range(TRIES):
            try:
                await self._link.client.create(node.path, node.data, ephemeral=True)
            except NotAsFoundError as changed:
                if not changed.missing:
                    return False
                await self._shared.make_parents(node.path)
            else:
                return True
        return False

    async def _steps_to_write(self, node: Node, instead_of: str) -> list[Step]:
        paths = (node.path, instead_of) if instead_of else (node.path,)
        found, *others = await self._read(*paths)
        steps: list[Step] = [*self._removals(paths[1:], others)]
        if found is None:
            return [Create(node.path, node.data), *steps]
        if found.owner == self._link.session:
            if found.data == node.data:
                return steps
            return [Change(node.path, node.data, found.version), *steps]
        left_behind = node.path not in self.foreign and node.is_same_address(found.data)
        if self._is_ours(found) or (found.owner and left_behind):
            return [Delete(node.path, found.version), Create(node.path, node.data), *steps]
        shown = one_line(found.data.decode(errors="replace"), 120)
        raise ZooKeeperFailed("taken", f"{node.path} belongs to another owner: {shown}")

    def _removals(self, paths: Sequence[str], found: Sequence[Found | None]) -> list[Step]:
        pairs = zip(paths, found, strict=True)
        return [Delete(path, one.version) for path, one in pairs if one and self._is_ours(one)]

    def _is_ours(self, found: Found) -> bool:
        return found.owner in self._link.sessions

    async def _read(self, *paths: str) -> Sequence[Found | None]:
        client = self._link.client
        if len(paths) == 1:
            return [await client.read(paths[0])]
        return await asyncio.gather(*(client.read(path) for path in paths))

    async def _did(self, steps: Sequence[Step]) -> bool:
        """Do all steps. Return False if a node has changed since, and all must be read again."""
        if not steps:
            return True
        try:
            await self._link.client.commit(steps)
        except NotAsFoundError as changed:
            if changed.missing:
                for each in steps:
                    if isinstance(each, Create):
                        await self._shared.make_parents(each.path)
            return False
        return True
