"""A plugin whose registry opens once it is told to, and one that costs nothing."""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType
from typing import Self

from lifecycle.contracts import Command, Instance, Registry
from lifecycle.hookspecs import hookimpl

LIMIT = 10


class Slow(Registry):
    """Opens once it is told to."""

    name = "slow"

    def __init__(self) -> None:
        self.opening = threading.Event()
        self.go_on = threading.Event()
        self.closed = False

    async def __aenter__(self) -> Self:
        self.opening.set()
        try:
            if not await asyncio.to_thread(self.go_on.wait, LIMIT):
                raise TimeoutError("the app's loop stands still")
        except asyncio.CancelledError:
            self.closed = True
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.closed = True

    async def register(self, instance: Instance) -> None: ...

    async def deregister(self, instance: Instance) -> None: ...

    async def keep(self, instance: Instance) -> str:
        await asyncio.Event().wait()
        return ""


class WithSlow:
    """Gives it."""

    def __init__(self) -> None:
        self.registry = Slow()

    @hookimpl
    def lifecycle_registries(self) -> Registry:
        """Give it."""
        return self.registry


class Cheap:
    """Has a probe and a command."""

    @hookimpl
    def lifecycle_readiness(self) -> bool:
        """Fine."""
        return True

    @hookimpl
    def lifecycle_commands(self) -> Command:
        """One."""
        return Command("cheap", lambda _: "cheap")
