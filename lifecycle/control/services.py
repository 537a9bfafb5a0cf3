"""
The app services of this process, and their registrations.

Rules of this file:

1. The table has one row per service and one column per registry. `registration.py` implements
   one cell.
2. Values for the whole table are updated with each change, and not computed from all cells. So
   n services cost only n.
3. A service is online if it has no offline reason. An administrator and the app each have their
   own reason.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from itertools import islice
from typing import TYPE_CHECKING, Final

from lifecycle.calls.durations import Durations
from lifecycle.contracts import Instance, Registry
from lifecycle.control.backoff import prepare
from lifecycle.control.closing import close
from lifecycle.control.leaving_registry import LeavingRegistry
from lifecycle.control.registration import Actual, Registration
from lifecycle.control.service_entry import ServiceEntry
from lifecycle.control.settle_times import SettleTimes
from lifecycle.control.those import Those
from lifecycle.drain.timetable import FORGET_TIME, SettleTime
from lifecycle.exceptions import RegistrationRefused, ServiceNotFound
from lifecycle.log import Log
from lifecycle.start_report import StartReport

if TYPE_CHECKING:
    from lifecycle.status_records import ServiceStatus

OPERATOR: Final = "operator"
APP: Final = "app"
LOCAL: Final = "local"
"""The name of the registry in this process, which never fails."""
SHOWN: Final = 5
"""Names that a message lists at most."""


def some(names: Iterable[str], count: int) -> str:
    """Join the first names of many, for example "a, b, c, d, e and 4,995 more"."""
    shown = ", ".join(islice(names, SHOWN))
    return f"{shown} and {count - SHOWN:,} more" if count > SHOWN else shown


class Services:
    """
    The table of all services and registries. For the control loop.

    Args:
        register_timeout: Seconds for one operation on a registry.
        log: The log, for every change of a registration.
        start_report: Gets the seconds of each first registration.
        settle: The setting `settle`, in seconds.
    """

    def __init__(
        self,
        *,
        register_timeout: float,
        log: Log,
        start_report: StartReport | None = None,
        settle: float = 0.0,
    ) -> None:
        self._start_report = start_report
        self.entries: dict[str, ServiceEntry] = {}
        self.serving: Those[ServiceEntry] = Those()
        """The services that are online and acknowledged."""
        self.closed = False
        """True once the registries are being closed. No registry can be added any more."""
        self.on_held: Callable[[bool], object] = lambda _: None
        """Called with True when the last service goes offline, with False when one is online."""
        self.came_online = 0
        """How often a service has come online."""
        self.durations: dict[str, Durations] = {}
        """How long the registrations took, by the name of the registry."""
        self._online: Those[ServiceEntry] = Those()
        self._held = False
        self._registries: list[Registry] = []
        self._timeout = register_timeout
        self._log = log
        self._wanted = False
        self._withdrawn = False
        self._leaving: list[LeavingRegistry] = []
        self._reconcilers: dict[str, list[asyncio.Task[None]]] = {}
        self._waiters: set[asyncio.Event] = set()
        self._unconfirmed: Those[ServiceEntry] = Those()
        self._left: Those[ServiceEntry] = Those()
        self._refused: Those[ServiceEntry] = Those()
        self._asking: Those[Registration] = Those()
        self._to_forget: Those[Registration] = Those()
        self._settle_times = SettleTimes(settle)

    @property
    def registries(self) -> list[str]:
        """The names of all registries."""
        return [registry.name for registry in self._registries]

    def add_registries(self, registries: Iterable[Registry]) -> None:
        """Add registries. Existing services get registrations in them."""
        for registry in registries:
            if registry.name != LOCAL:
                prepare()
            self._registries.append(registry)
            self._reconcilers[registry.name] = []
            for entry in self.entries.values():
                self._add_registration(entry, registry)

    def export(self, instance: Instance) -> ServiceEntry:
        """Add a service, or return the existing one of the same name."""
        if (known := self.entries.get(instance.service)) is not None:
            return known
        entry = self.entries[instance.service] = ServiceEntry(instance)
        for registry in self._registries:
            self._add_registration(entry, registry)
        self._changed(entry)
        return entry

    def _add_registration(self, entry: ServiceEntry, registry: Registry) -> None:
        registration = Registration(
            registry,
            entry.instance,
            timeout=self._timeout,
            durations=self.durations.setdefault(registry.name, Durations()),
            on_change=lambda registration: self._registration_changed(entry, registration),
            log=self._log,
            start_report=None if registry.name == LOCAL else self._start_report,
        )
        entry.registrations[registry.name] = registration
        registration.want(self._wanted and entry.online)
        self._registration_changed(entry, registration)
        self._reconcilers[registry.name].append(asyncio.create_task(registration.reconcile()))

    def register(self) -> None:
        """Register all online services from now on."""
        self._wanted = True
        self._apply(self.entries.values())

    def withdraw(self) -> None:
        """Deregister everything from now on."""
        self._wanted, self._withdrawn = False, True
        self._apply(self.entries.values())

    @property
    def settle(self) -> SettleTime:
        """The settle time of a drain that starts now."""
        return self._settle_times.longest()

    def forget(self) -> None:
        """Have the registries drop every address that they may still know, from now on."""
        for registration in self._to_forget:
            registration.forget()
        for each in self._leaving:
            each.forget()

    @property
    def all_forgotten(self) -> bool:
        """True if no registry needs `forget` any more, also those that are being removed."""
        return not self._to_forget and not any(each.to_forget for each in self._leaving)

    def hold(self, names: Iterable[str], who: str, reason: str = "") -> None:
        """Take services offline, with the reason of `who`."""
        entries = [self.entries[name] for name in names]
        settles_at = asyncio.get_running_loop().time() + self.settle.seconds
        for entry in entries:
            if entry.online:
                entry.settles_at = settles_at
            entry.held_by[who] = reason
        self._apply(entries)

    def release(self, names: Iterable[str], who: str) -> None:
        """Remove the offline reason of `who`."""
        entries = [self.entries[name] for name in names]
        for entry in entries:
            entry.held_by.pop(who, None)
        self._apply(entries)

    def matching(self, glob: str) -> list[str]:
        """
        Return the names of all services that match a pattern.

        Raises:
            ServiceNotFound: No service matches. The message lists all services.
        """
        names = [name for name in self.entries if fnmatchcase(name, glob)]
        if not names:
            there = some(self.entries, len(self.entries)) or "none"
            raise ServiceNotFound(
                f"no service matches {glob!r} (services: {there})", see="service-not-found"
            )
        return names

    def _apply(self, entries: Iterable[ServiceEntry]) -> None:
        for entry in entries:
            for registration in entry.registrations.values():
                registration.want(self._wanted and entry.online)
            self._changed(entry)

    def _registration_changed(self, entry: ServiceEntry, registration: Registration) -> None:
        entry.note(registration)
        self._asking.note(registration, so=registration.required and registration.asking)
        self._to_forget.note(registration, so=registration.to_forget)
        self._settle_times.note(registration)
        self._changed(entry)

    def _changed(self, entry: ServiceEntry) -> None:
        before = len(self._online)
        self._online.note(entry, so=entry.online)
        self.came_online += len(self._online) > before
        if self._held == bool(self._online):
            self._held = not self._held
            self.on_held(self._held)
        self.serving.note(entry, so=entry.online and entry.confirmed)
        self._unconfirmed.note(entry, so=entry.online and not entry.confirmed)
        self._left.note(entry, so=not entry.out)
        self._refused.note(entry, so=entry.refusal() is not None)
        for waiter in entry.waiters:
            waiter.set()
        self._wake()

    def _wake(self) -> None:
        for waiter in self._waiters:
            waiter.set()

    async def until(self, condition: Callable[[], bool], entry: ServiceEntry | None = None) -> None:
        """
        Wait until a condition on the table is true.

        Args:
            condition: Checked after every change of the table, so it must be cheap. If it is only
                about one service, pass this service.
            entry: The service whose changes matter. None means all services.
        """
        waiters = self._waiters if entry is None else entry.waiters
        waiter = asyncio.Event()
        waiters.add(waiter)
        try:
            while not condition():
                waiter.clear()
                await waiter.wait()
        finally:
            waiters.discard(waiter)

    async def _until_time(self, end: float, condition: Callable[[], bool]) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(end):
                await self.until(condition)

    def refusal(self) -> RegistrationRefused | None:
        """Return the permanent refusal of a service by a required registry, if there is one."""
        return next((entry.refusal() for entry in self._refused.first(1)), None)

    @property
    def asking(self) -> bool:
        """True while a registration in a required registry is running."""
        return bool(self._asking)

    @property
    def all_confirmed(self) -> bool:
        """True if all online services are acknowledged."""
        return not self._unconfirmed

    @property
    def all_out(self) -> bool:
        """True if no registration is left, also in registries that are being removed."""
        return not self._left and all(each.out for each in self._leaving)

    def names(self) -> list[str]:
        """Return the names of the exported services."""
        return [*self.entries]

    def ports(self) -> set[int]:
        """Return the ports of the services."""
        ports = {entry.instance.port for entry in self.entries.values()}
        return {port for port in ports if port is not None}

    def unregistered(self) -> list[str]:
        """List what may still be registered, for example `orders@consul: no answer yet`."""
        return [
            f"{at}: {registration.error or 'no answer yet'}"
            for at, registration in self._registrations()
            if registration.actual is not Actual.NO
        ]

    def not_forgotten(self) -> list[str]:
        """List the addresses that a registry may still know, as `unregistered` does."""
        return [
            f"{at}: {registration.error or 'no answer yet'}"
            for at, registration in self._registrations()
            if registration.to_forget
        ]

    def described(self) -> dict[str, dict[str, object]]:
        """Return the details from the registries, by registration, for example `orders@consul`."""
        return {
            at: said
            for at, registration in self._registrations()
            if (said := registration.described())
        }

    def _registrations(self) -> Iterator[tuple[str, Registration]]:
        for entry in self.entries.values():
            for name, registration in entry.registrations.items():
                yield f"{entry.instance.service}@{name}", registration
        for leaving in self._leaving:
            for service, registration in leaving.registrations:
                yield f"{service}@{leaving.registry.name}", registration

    async def close(self, timeout: float) -> None:
        """Stop reconciling and close the registries, in reverse order of start."""
        self.closed = True
        leaving, self._leaving = self._leaving, []
        under_way = [task for tasks in self._reconcilers.values() for task in tasks]
        under_way += [task for each in leaving for task in each.tasks]
        for task in under_way:
            task.cancel()
        now = asyncio.get_running_loop().time
        end = now() + timeout
        if under_way:
            # A registry runs one method at a time, so wait for all of them, in parallel. A task
            # that ignores its cancellation is not waited for any longer.
            await asyncio.wait(under_way, timeout=timeout / 2)
        registries = [*self._registries, *(each.registry for each in leaving)]
        await self.close_registries(registries, end - now())

    async def remove_registries(self, registries: Iterable[Registry], close_time: float) -> None:
        """
        Remove registries. Readiness ignores them from now on.

        First, their services are deregistered and forgotten, within `register_timeout` in all. If a
        deregistration takes too long, `forget` still has half a second. If a drain has started,
        the registries stay, because the drain deregisters the services and closes the registries.

        Args:
            registries: The registries to remove.
            close_time: Seconds that closing them may take.
        """
        if self._withdrawn or self.closed:
            return
        leaving = [self._detach(each) for each in registries]
        self._leaving += leaving
        end = asyncio.get_running_loop().time() + self._timeout
        forgets = any(each.to_forget for each in leaving)
        reserve = min(FORGET_TIME, self._timeout / 2) if forgets else 0.0
        await self._until_time(end - reserve, lambda: all(each.out for each in leaving))
        for each in leaving:
            each.forget()
        await self._until_time(end, lambda: not any(each.to_forget for each in leaving))
        mine = [each for each in leaving if each in self._leaving]  # the others are already closed
        self._leaving = [each for each in self._leaving if each not in mine]
        self._wake()  # a drain may wait for these
        tasks = [task for each in mine for task in each.tasks]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=close_time)
        await self.close_registries([each.registry for each in mine], close_time)

    def _detach(self, registry: Registry) -> LeavingRegistry:
        self._registries = [each for each in self._registries if each is not registry]
        tasks = self._reconcilers.pop(registry.name)
        leaving = LeavingRegistry(registry, tasks, self._leaving_changed)
        for entry in self.entries.values():
            registration = entry.registrations[registry.name]
            entry.drop(registration)
            self._asking.note(registration, so=False)
            self._to_forget.note(registration, so=False)
            leaving.take(entry.instance.service, registration)
            self._changed(entry)
        return leaving

    def _leaving_changed(self, registration: Registration) -> None:
        self._settle_times.note(registration)
        self._wake()

    async def close_registries(self, registries: Iterable[Registry], timeout: float) -> None:
        """Close registries, the last one first."""
        await close(registries, timeout, self._log)

    def status(self) -> list[ServiceStatus]:
        """Return the table as `/status` shows it."""
        return [entry.status() for entry in self.entries.values()]
