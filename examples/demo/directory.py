"""A plugin: a service directory that takes its time to acknowledge, as real ones do."""

from __future__ import annotations

import asyncio

import lifecycle

REGISTER = 0.8
DEREGISTER = 0.2


class Directory(lifecycle.Registry):
    name = "directory"

    async def register(self, instance: lifecycle.Instance) -> None:  # noqa: ARG002
        await asyncio.sleep(REGISTER)

    async def deregister(self, instance: lifecycle.Instance) -> None:  # noqa: ARG002
        await asyncio.sleep(DEREGISTER)

    async def keep(self, instance: lifecycle.Instance) -> str:
        await asyncio.Event().wait()
        return f"{instance.service} was forgotten"


@lifecycle.hookimpl
def lifecycle_registries() -> lifecycle.Registry:
    return Directory()
