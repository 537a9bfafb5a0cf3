"""
The services of this process and where they are registered.

Rules of this file:

1. The table is service × registry; each cell has what is wanted (yes or no) and what
   is so (yes, no, unknown), and a reconciler that brings the two together, one
   operation at a time.
2. Registered means acknowledged. Not knowing changes no verdict, so that an outage
   of a registry never takes a healthy provider out.
3. A service is online if nobody holds it offline; the operator and the app each
   hold and release their own.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, Final

from lifecycle.backoff import FIRST, LONGEST, prepare, until_done
from lifecycle.contracts import Instance, Registry
from lifecycle.exceptions import LifecycleError, RegistrationRefused, ServiceNotFound
from lifecycle.log import Log

OPERATOR: Final = "operator"
APP: Final = "app"
LOCAL: Final = "local"
"""The registry that never fails: it is in this process."""
INSIST: Final = 0.1
"""Seconds between two cancellations of an operation that does not end."""


class Actual(StrEnum):
    """What is known of a registration."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Cell:
    """One service in one registry."""

    def __init__(
        self,
        registry: Registry,
        instance: Instance,
        *,
        timeout: float,
        on_change: Callable[[], None],
        log: Log,
    ) -> None:
        self.registry = registry
        self.required = registry.required
        self.wanted = False
        self.actual = Actual.NO
        self.confirmed = False
        self.asking = False
        self.error = ""
        self.refused: RegistrationRefused | None = None
        self._instance = instance
        self._timeout = timeout
        self._on_change = on_change
        self._log = log.info, log.warning
        self._changed = asyncio.Event()
        self._step: asyncio.Task[None] | None = None

    def want(self, wanted: bool) -> None:  # noqa: FBT001 - it is the value
        """Say what is wanted; an operation that serves the opposite is cancelled."""
        if wanted is self.wanted:
            return
        self.wanted = wanted
        self.refused = None
        self._changed.set()
        if self._step is not None:
            _insist(self._step)

    def described(self) -> dict[str, object]:
        """Return what the registry says beside; one that fails at it says nothing."""
        try:
            return dict(self.registry.describe(self._instance))
        except Exception as error:  # noqa: BLE001 - a stranger's
            return {"problem": f"describe raised {type(error).__name__}: {error}"}

    async def reconcile(self) -> None:
        """Bring what is so to what is wanted, for ever."""
        while True:
            self._changed.clear()
            step = self._step = asyncio.create_task(self._next_step())
            try:
                await asyncio.wait({step})
            finally:
                step.cancel()
            if not self._changed.is_set() and (step.cancelled() or step.exception()):
                # Not by us: a client library has cancelled its caller, or worse.
                self._set(Actual.UNKNOWN, "the registry's client broke off")
                await asyncio.sleep(FIRST)

    async def _next_step(self) -> None:
        try:
            if self.wanted and self.refused is None:
                await self._hold()
            elif not self.wanted and self.actual is not Actual.NO:
                await until_done(self._deregister)
            else:
                await self._changed.wait()
        except (SystemExit, KeyboardInterrupt) as leaving:
            # From a task they would end the control loop.
            raise RuntimeError(f"{self.registry.name} raised {leaving!r}") from None

    async def _hold(self) -> None:
        """Register and keep it; one that is lost soon is registered again ever more rarely."""
        with contextlib.suppress(RegistrationRefused):
            await until_done(self._register_and_keep, fatal=(RegistrationRefused,))

    async def _register_and_keep(self) -> None:
        if self.actual is not Actual.YES:
            await self._register()
        now = asyncio.get_running_loop().time
        began = now()
        try:
            reason = await self.registry.keep(self._instance)
        except Exception as error:  # noqa: BLE001 - a client library's own
            self._set(Actual.UNKNOWN, _told(error))
        else:
            self.confirmed = False
            self._set(Actual.NO, reason or "lost")
        if now() - began < LONGEST:
            raise ConnectionError(self.error)

    async def _register(self) -> None:
        # From here on nobody knows, until the registry has answered.
        self.actual = Actual.UNKNOWN
        self.asking = True
        try:
            async with asyncio.timeout(self._timeout):
                await self.registry.register(self._instance)
        except RegistrationRefused as error:
            self.refused = error
            self.confirmed = False
            self._set(Actual.NO, f"refused: {error}")
            raise
        except Exception as error:
            self._set(Actual.UNKNOWN, self._problem(error))
            raise
        finally:
            self.asking = False
        self.confirmed = True
        self._set(Actual.YES, "")

    async def _deregister(self) -> None:
        self.actual, self.confirmed = Actual.UNKNOWN, False  # cut short, it may have been done
        try:
            async with asyncio.timeout(self._timeout):
                await self.registry.deregister(self._instance)
        except Exception as error:
            self._set(Actual.UNKNOWN, self._problem(error))
            raise
        self._set(Actual.NO, "")

    def _problem(self, error: Exception) -> str:
        late = isinstance(error, TimeoutError) and not str(error)
        return f"no answer for {self._timeout:g} s" if late else _told(error)

    def _set(self, actual: Actual, error: str) -> None:
        changed = actual is not self.actual or error != self.error
        self.actual, self.error = actual, error
        if changed:
            say = self._log[1 if error else 0]
            say(
                "registration",
                service=self._instance.service,
                registry=self.registry.name,
                registered=actual.value,
                **({"reason": error} if error else {}),
            )
        self._on_change()


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, LifecycleError) else f"{type(error).__name__}: {error}"


def _insist(step: asyncio.Task[None]) -> None:
    """Cancel, and again: a client library may swallow a cancellation."""
    if not step.done():
        step.cancel()
        asyncio.get_running_loop().call_later(INSIST, _insist, step)


class Entry:
    """One exported service: who holds it offline, and its cells."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.held_by: dict[str, str] = {}
        self.cells: dict[str, Cell] = {}

    @property
    def online(self) -> bool:
        """True if nobody holds it offline."""
        return not self.held_by

    @property
    def confirmed(self) -> bool:
        """True if every required registry has acknowledged it, as far as is known."""
        return all(cell.confirmed for cell in self.cells.values() if cell.required)

    def refusal(self) -> RegistrationRefused | None:
        """Return why a required registry will never take it, if that is so."""
        cells = (cell for cell in self.cells.values() if cell.required)
        return next((cell.refused for cell in cells if cell.refused is not None), None)

    @property
    def out(self) -> bool:
        """True if it is known to be in no registry."""
        return all(cell.actual is Actual.NO for cell in self.cells.values())


class Services:
    """
    The table. Lives on the control loop.

    Args:
        register_timeout: Seconds for one operation on a registry.
        log: Told of every change of a registration.
    """

    def __init__(self, *, register_timeout: float, log: Log) -> None:
        self.entries: dict[str, Entry] = {}
        self._registries: list[Registry] = []
        self._timeout = register_timeout
        self._log = log
        self._wanted = False
        self._reconcilers: list[asyncio.Task[None]] = []
        self._waiters: set[asyncio.Event] = set()

    @property
    def registries(self) -> list[str]:
        """The names of the registries there are."""
        return [registry.name for registry in self._registries]

    def add_registries(self, registries: Iterable[Registry]) -> None:
        """Add registries; services that are there already get cells in them."""
        for registry in registries:
            if registry.name != LOCAL:
                prepare()
            self._registries.append(registry)
            for entry in self.entries.values():
                self._add_cell(entry, registry)
        self._apply()

    def export(self, instance: Instance) -> Entry:
        """Add a service, or return the one that has the same name already."""
        if (known := self.entries.get(instance.service)) is not None:
            return known
        entry = self.entries[instance.service] = Entry(instance)
        for registry in self._registries:
            self._add_cell(entry, registry)
        self._apply()
        return entry

    def _add_cell(self, entry: Entry, registry: Registry) -> None:
        cell = Cell(
            registry,
            entry.instance,
            timeout=self._timeout,
            on_change=self._changed,
            log=self._log,
        )
        entry.cells[registry.name] = cell
        self._reconcilers.append(asyncio.create_task(cell.reconcile()))

    def register(self) -> None:
        """From now on, everything that is online is to be registered."""
        self._wanted = True
        self._apply()

    def withdraw(self) -> None:
        """From now on, nothing is to be registered."""
        self._wanted = False
        self._apply()

    def hold(self, names: Iterable[str], who: str, reason: str = "") -> None:
        """Hold services offline."""
        for name in names:
            self.entries[name].held_by[who] = reason
        self._apply()

    def release(self, names: Iterable[str], who: str) -> None:
        """Release one's own hold."""
        for name in names:
            self.entries[name].held_by.pop(who, None)
        self._apply()

    def matching(self, glob: str) -> list[str]:
        """
        Return the names that match.

        Raises:
            ServiceNotFound: None does; the message lists what there is.
        """
        names = [name for name in self.entries if fnmatchcase(name, glob)]
        if not names:
            there = ", ".join(self.entries) or "none exported"
            raise ServiceNotFound(f"no service matches {glob!r} (there is: {there})")
        return names

    def _apply(self) -> None:
        for entry in self.entries.values():
            for cell in entry.cells.values():
                cell.want(self._wanted and entry.online)
        self._changed()

    def _changed(self) -> None:
        for waiter in self._waiters:
            waiter.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something is true of the table; looked at whenever the table changes."""
        waiter = asyncio.Event()
        self._waiters.add(waiter)
        try:
            while not condition():
                waiter.clear()
                await waiter.wait()
        finally:
            self._waiters.discard(waiter)

    def refusal(self) -> RegistrationRefused | None:
        """Return why a required registry will never take a service, if that is so."""
        refusals = (entry.refusal() for entry in self.entries.values())
        return next((refusal for refusal in refusals if refusal is not None), None)

    @property
    def asking(self) -> bool:
        """True while a required registry is asked to register something."""
        cells = (cell for entry in self.entries.values() for cell in entry.cells.values())
        return any(cell.asking for cell in cells if cell.required)

    @property
    def all_confirmed(self) -> bool:
        """True if everything that is online is acknowledged."""
        return all(e.confirmed for e in self.entries.values() if e.online)

    @property
    def all_out(self) -> bool:
        """True if no registration is left, as far as is known."""
        return all(entry.out for entry in self.entries.values())

    async def close(self, timeout: float) -> None:
        """Stop reconciling and close the registries, in reverse order of start."""
        for task in self._reconcilers:
            task.cancel()
        now = asyncio.get_running_loop().time
        end = now() + timeout
        if self._reconcilers:
            await asyncio.wait(self._reconcilers, timeout=timeout / 5)
        await self.close_registries(self._registries, end - now())

    async def close_registries(self, registries: Iterable[Registry], timeout: float) -> None:
        """Close registries, the last one first."""
        now = asyncio.get_running_loop().time
        end = now() + timeout
        for left, registry in reversed(list(enumerate(registries, start=1))):
            # In a task, so that one that hangs takes no more than its share.
            closing = asyncio.create_task(self._close_registry(registry))
            await asyncio.wait({closing}, timeout=max(0.0, end - now()) / left)
            closing.cancel()

    async def _close_registry(self, registry: Registry) -> None:
        try:
            await registry.__aexit__(None, None, None)
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001 - the next one is closed all the same
            self._log.warning("registry close", registry=registry.name, reason=str(error))

    def snapshot(self) -> list[dict[str, Any]]:
        """Return the table as `/status` shows it."""
        return [
            {
                "name": entry.instance.service,
                "port": entry.instance.port,
                "online": entry.online,
                "held_by": dict(entry.held_by),
                "registrations": {
                    name: {
                        **cell.described(),
                        "registered": cell.actual.value,
                        "required": cell.required,
                        "reason": cell.error,
                    }
                    for name, cell in entry.cells.items()
                },
            }
            for entry in self.entries.values()
        ]
