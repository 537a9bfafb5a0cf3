"""The registries of the two layouts."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Coroutine, Mapping

import lifecycle
from lifecycle_zookeeper.application import ROOT as APPLICATIONS
from lifecycle_zookeeper.applications import Applications, Roots
from lifecycle_zookeeper.base import SessionRegistry
from lifecycle_zookeeper.dubbo import ROOT, Provider, interface_node, provider_of
from lifecycle_zookeeper.nodes import Node
from lifecycle_zookeeper.options import LayoutName, Options
from lifecycle_zookeeper.paths import java_encoded
from lifecycle_zookeeper.plain import plain_node


class PlainRegistry(SessionRegistry):
    """Registers each service with one node."""

    def _node(self, instance: lifecycle.Instance) -> Node:
        address = self.options.address
        namespace = address.namespace or os.environ.get("POD_NAMESPACE") or "default"
        return plain_node(instance, address.path, namespace)

    async def register(self, instance: lifecycle.Instance) -> None:
        node = self._node(instance)
        self.holdings.drop(node.path)
        await self.connected(instance.service)
        async with self.gate:
            await self.ownership.write(node)
        self.holdings.add(node.path)

    async def deregister(self, instance: lifecycle.Instance) -> None:
        path = self._node(instance).path
        self.holdings.drop(path)
        await self.connected(instance.service)
        async with self.gate:
            await self.ownership.remove(path)

    async def keep(self, instance: lifecycle.Instance) -> str:
        return await self.holdings.keep(self._node(instance).path)

    def describe(self, instance: lifecycle.Instance) -> Mapping[str, object]:
        told: dict[str, object] = {}
        with contextlib.suppress(lifecycle.RegistrationRefused):
            if (held := self.holdings.get(self._node(instance).path)) is not None:
                told = {"path": held.path, "session": held.owner}
        return told | self.connection()


class DubboRegistry(SessionRegistry):
    """
    Registers each service as a provider of Dubbo, at interface level and at application level.

    A client that learns that an address is gone closes its connection at once, with all calls on
    it. So `deregister` only makes sure that no new call comes, and `forget` removes the address.
    """

    def __init__(self, life: lifecycle.Lifecycle, options: Options) -> None:
        super().__init__(life, options)
        path, group = options.address.path, options.address.group
        self._roots = Roots(
            interfaces=f"{path}/{group or ROOT}",
            applications=f"{path}/{group or APPLICATIONS}",
            metadata=f"{path}/{group or ROOT}",
        )
        self._started = round(time.time() * 1000)
        self._applications = Applications(
            self._roots, self._started, self.ownership, self.shared, self.holdings
        )

    def _provider(self, instance: lifecycle.Instance) -> Provider:
        options = self.options
        return provider_of(instance, application=options.application, weight=options.weight)

    def _node(self, provider: Provider, *, leaving: bool = False) -> Node:
        return interface_node(provider, self._roots.interfaces, self._started, leaving=leaving)

    async def register(self, instance: lifecycle.Instance) -> None:
        provider = self._provider(instance)
        node, leaving = self._node(provider), self._node(provider, leaving=True)
        self._applications.want(provider)
        self.holdings.drop(node.path)
        await self.connected(instance.service)
        mapping = f"{self._roots.metadata}/mapping/{java_encoded(provider.interface)}"
        async with self.gate:
            await _all(
                self.ownership.write(node, instead_of=leaving.path),
                self.shared.map(mapping, provider.application),
            )
        self.holdings.add(node.path)
        await self._applications.commit(provider)

    async def deregister(self, instance: lifecycle.Instance) -> None:
        provider = self._provider(instance)
        node, leaving = self._node(provider), self._node(provider, leaving=True)
        self._applications.discard(provider)
        self.holdings.drop(node.path)
        await self.connected(instance.service)
        await _all(
            self._applications.commit(provider),
            self._gated(self.ownership.replace(node.path, leaving)),
        )

    async def forget(self, instance: lifecycle.Instance) -> None:
        provider = self._provider(instance)
        node, leaving = self._node(provider), self._node(provider, leaving=True)
        self._applications.discard(provider)
        self.holdings.drop(node.path)
        await self.connected(instance.service)
        await _all(
            self._applications.commit(provider),
            self._gated(self.ownership.remove(node.path, leaving.path)),
        )

    async def _gated(self, call: Coroutine[object, object, None]) -> None:
        try:
            async with self.gate:
                await call
        finally:
            call.close()  # it has not begun if this was cancelled

    async def keep(self, instance: lifecycle.Instance) -> str:
        provider = self._provider(instance)
        record = self._applications.record(provider)
        return await self.holdings.keep(self._node(provider).path, record.path)

    def describe(self, instance: lifecycle.Instance) -> Mapping[str, object]:
        told: dict[str, object] = {}
        with contextlib.suppress(lifecycle.RegistrationRefused):
            provider = self._provider(instance)
            if (held := self.holdings.get(self._node(provider).path)) is not None:
                application = self._applications.record(provider).path
                told = {"path": held.path, "application": application, "session": held.owner}
        return told | self.connection()


def make_registry(life: lifecycle.Lifecycle, options: Options) -> lifecycle.Registry:
    """Return the registry with the layout of the options."""
    dubbo = options.layout is LayoutName.DUBBO
    return DubboRegistry(life, options) if dubbo else PlainRegistry(life, options)


async def _all(*calls: Coroutine[object, object, None]) -> None:
    """Await all calls, and raise the first failure."""
    for told in await asyncio.gather(*calls, return_exceptions=True):
        if isinstance(told, BaseException):
            raise told
