"""A plugin that brings one of everything, and writes down what is asked of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Self

import lifecycle


@dataclass(frozen=True)
class Options:
    """What the plugin wants to know."""

    host: str = "localhost"


class Consul(lifecycle.Registry):
    """Writes down what is asked of it."""

    name = "consul"

    def __init__(self, diary: list[str]) -> None:
        self.diary = diary
        self.hangs = False
        self.takes = 0.0

    async def __aenter__(self) -> Self:
        self.diary.append("opened")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.diary.append("closed")

    async def register(self, instance: lifecycle.Instance) -> None:
        self.diary.append(f"registered {instance.service}")

    async def deregister(self, instance: lifecycle.Instance) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        await asyncio.sleep(self.takes)
        self.diary.append(f"deregistered {instance.service}")

    async def keep(self, instance: lifecycle.Instance) -> str:
        return await asyncio.Event().wait()  # type: ignore[return-value]


class Plugin:
    """Brings one of everything."""

    def __init__(self) -> None:
        self.diary: list[str] = []
        self.registry = Consul(self.diary)
        self.ok = False

    @lifecycle.hookimpl
    def lifecycle_options(self) -> type[object]:
        return Options

    @lifecycle.hookimpl
    def lifecycle_registries(self) -> lifecycle.Registry:
        return self.registry

    @lifecycle.hookimpl
    def lifecycle_commands(self) -> lifecycle.Command:
        return lifecycle.Command("greet", lambda _: "hello")

    @lifecycle.hookimpl
    def lifecycle_readiness(self) -> bool:
        return self.ok

    @lifecycle.hookimpl
    def lifecycle_startup(self) -> bool:
        return self.ok

    @lifecycle.hookimpl
    def lifecycle_transition(self, transition: lifecycle.Transition) -> None:
        self.diary.append(transition.after.name)

    @lifecycle.hookimpl
    def lifecycle_drain(self) -> None:
        self.diary.append("drain")
