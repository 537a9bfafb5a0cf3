"""Registries that do what they are told, and a table of services in them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from lifecycle.contracts import Instance, Registry
from lifecycle.control.services import Services
from lifecycle.hookspecs import hookimpl
from tests.unit.virtual_time import Diary, instance, now

Act = Callable[[], Awaitable[Any]]


async def fine() -> str:
    """Do it at once."""
    return ""


async def hang() -> str:
    """Do it never."""
    await asyncio.get_running_loop().create_future()
    return ""


def failing(error: BaseException) -> Act:
    """Raise."""

    async def act() -> None:
        raise error

    return act


def after(seconds: float, act: Act = fine) -> Act:
    """Do it later."""

    async def later() -> Any:
        await asyncio.sleep(seconds)
        return await act()

    return later


class Unprintable(Exception):
    """Cannot be shown."""

    def __str__(self) -> str:
        raise SystemExit("no")


class Scripted(Registry):
    """A registry that does what it is told, and notes what it was asked."""

    def __init__(self, name: str = "reg", *, required: bool = True) -> None:
        self.name = name
        self.required = required
        self.asked: list[str] = []
        self.there: set[str] = set()
        self.busy: dict[str, int] = {}
        self.overlapped = False
        self.on_register: Act = fine
        self.on_deregister: Act = fine
        self.on_keep: Act = hang
        self.on_close: Act = fine
        self.closed_at = 0.0

    async def _one(self, what: str, each: Instance, act: Act) -> Any:
        self.asked.append(what)
        self.overlapped |= bool(self.busy.get(each.service))
        self.busy[each.service] = self.busy.get(each.service, 0) + 1
        try:
            return await act()
        finally:
            self.busy[each.service] -= 1

    async def register(self, instance: Instance) -> None:
        """Register, unless told otherwise."""
        await self._one("register", instance, self.on_register)
        self.there.add(instance.service)

    async def deregister(self, instance: Instance) -> None:
        """Deregister, unless told otherwise."""
        await self._one("deregister", instance, self.on_deregister)
        self.there.discard(instance.service)

    async def keep(self, instance: Instance) -> str:
        """Keep, for ever unless told otherwise."""
        reason: str = await self._one("keep", instance, self.on_keep)
        self.there.discard(instance.service)
        return reason

    async def __aexit__(self, exc_type: object, exc: object, traceback: object) -> None:
        assert (exc_type, exc, traceback) == (None, None, None)
        await self.on_close()
        self.closed_at = now()


class Forgetful(Scripted):
    """One in which `deregister` leaves the address behind, until it is told to forget it."""

    def __init__(self, name: str = "reg", *, required: bool = True) -> None:
        super().__init__(name, required=required)
        self.known: set[str] = set()
        self.on_forget: Act = fine

    async def register(self, instance: Instance) -> None:
        """Register, unless told otherwise. Its clients may know the address from now on."""
        self.known.add(instance.service)
        await super().register(instance)

    async def forget(self, instance: Instance) -> None:
        """Forget, unless told otherwise."""
        await self._one("forget", instance, self.on_forget)
        self.there.discard(instance.service)
        self.known.discard(instance.service)


class With:
    """A plugin that gives a registry."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry

    @hookimpl
    def lifecycle_registries(self) -> Registry:
        """Give it."""
        return self.registry


def table(*registries: Registry, names: tuple[str, ...] = ("orders",)) -> Services:
    """Make a table of services in registries, wanted from the start."""
    services = Services(register_timeout=10, log=Diary().log)
    services.add_registries(registries)
    for name in names:
        services.export(instance(name))
    services.register()
    return services


def row(services: Services, name: str = "orders", registry: str = "reg") -> Any:
    """Return the registration."""
    return services.entries[name].registrations[registry]
