"""
One service in one registry: what is wanted, what is so, and what brings the two together.

Rules of this file:

1. One operation at a time: what serves the opposite of what is wanted is cancelled, and
   waited for.
2. Registered means acknowledged. Not knowing changes no verdict, so that an outage
   of a registry never takes a healthy provider out.
3. Whatever a registry raises, SystemExit too, is a failure of its own and of nobody else.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

from lifecycle.contracts import Instance, Registry
from lifecycle.control.backoff import FIRST, LONGEST, until_done
from lifecycle.exceptions import LifecycleError, RegistrationRefused, text_of
from lifecycle.log import Log

if TYPE_CHECKING:
    from lifecycle.status_records import RegistrationStatus

INSIST: Final = 0.1
"""Seconds between two cancellations of an operation that does not end."""


T = TypeVar("T")


class Actual(StrEnum):
    """What is known of a registration."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Registration:
    """One service in one registry."""

    def __init__(
        self,
        registry: Registry,
        instance: Instance,
        *,
        timeout: float,
        on_change: Callable[[Registration], None],
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
        self.on_change = on_change
        """Told of every change of what is known."""
        self._log = log.info, log.warning
        self._changed = asyncio.Event()
        self._step: asyncio.Task[None] | None = None

    def want(self, wanted: bool) -> None:  # noqa: FBT001 - it is the value
        """Say what is wanted; an operation that serves the opposite is cancelled."""
        if wanted is self.wanted:
            return
        self.wanted = wanted
        if self.refused is not None:
            self.refused = None
            self.on_change(self)
        self._changed.set()
        if self._step is not None:
            _insist(self._step)

    def described(self) -> dict[str, object]:
        """Return what the registry says beside, as JSON can hold it; if it fails at it, how."""
        failed = "raised"
        try:
            told = dict(self.registry.describe(self._instance))
            failed = "returned what JSON cannot hold:"
            return _as_json(told)
        except BaseException as error:  # noqa: BLE001 - a stranger's, which must end no loop of ours
            return {"problem": f"describe {failed} {type(error).__name__}: {text_of(error)}"}

    def status(self) -> RegistrationStatus:
        """Return what `/status` shows of it, and what the registry says beside."""
        told = {
            **self.described(),
            "registered": self.actual.value,
            "required": self.required,
            "reason": self.error,
        }
        return cast("RegistrationStatus", told)

    async def reconcile(self) -> None:
        """Bring what is so to what is wanted, for ever."""
        while True:
            self._changed.clear()
            step = self._step = asyncio.create_task(self._next_step())
            try:
                await asyncio.wait({step})
            except asyncio.CancelledError:
                _insist(step)
                await asyncio.wait({step})
                raise
            if not self._changed.is_set() and (step.cancelled() or step.exception()):
                # Not by us: a client library has cancelled its caller, or worse.
                why = "cancelled its caller" if step.cancelled() else str(step.exception())
                self._set(Actual.UNKNOWN, f"the registry's client {why}")
                await asyncio.sleep(FIRST)

    async def _next_step(self) -> None:
        try:
            if self.wanted and self.refused is None:
                await self._hold()
            elif not self.wanted and self.actual is not Actual.NO:
                await until_done(self._deregister)
            else:
                await self._changed.wait()
        except asyncio.CancelledError:
            raise
        except BaseException as leaving:  # noqa: BLE001 - from a task some would end the control loop
            raise RuntimeError(f"raised {type(leaving).__name__}") from None

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
            self._set(Actual.NO, reason if isinstance(reason, str) and reason else "lost")
        if now() - began < LONGEST:
            raise ConnectionError(self.error)

    async def _register(self) -> None:
        # From here on nobody knows, until the registry has answered.
        self.actual, self.asking = Actual.UNKNOWN, True
        self.on_change(self)
        try:
            async with asyncio.timeout(self._timeout):
                await self.registry.register(self._instance)
        except RegistrationRefused as error:
            self.refused = error
            self.confirmed = False
            self._set(Actual.NO, f"refused: {text_of(error)}")
            raise
        except Exception as error:
            self._set(Actual.UNKNOWN, self._problem(error))
            raise
        finally:
            self.asking = False
            self.on_change(self)
        self.confirmed = True
        self._set(Actual.YES, "")

    async def _deregister(self) -> None:
        self.actual, self.confirmed = Actual.UNKNOWN, False  # cut short, it may have been done
        self.on_change(self)
        try:
            async with asyncio.timeout(self._timeout):
                await self.registry.deregister(self._instance)
        except Exception as error:
            self._set(Actual.UNKNOWN, self._problem(error))
            raise
        self._set(Actual.NO, "")

    def _problem(self, error: Exception) -> str:
        late = isinstance(error, TimeoutError) and not text_of(error)
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
        self.on_change(self)


class Those(Generic[T]):
    """Which of many are so, in the order in which they became so: kept by each that changes."""

    def __init__(self) -> None:
        self._those: dict[T, None] = {}

    def note(self, one: T, *, so: bool) -> None:
        """Say whether one is so."""
        if so:
            self._those.setdefault(one)
        else:
            self._those.pop(one, None)

    def __len__(self) -> int:
        return len(self._those)

    def first(self, most: int) -> list[T]:
        """Return the first few."""
        return list(islice(self._those, most))


class LeavingRegistry:
    """
    A registry that is taken out: no verdict asks for it, and it is still registered there.

    Args:
        registry: It.
        tasks: What keeps its registrations.
        on_change: Called when one of them has changed.

    Attributes:
        registrations: Those in it, with the names of their services.
    """

    def __init__(
        self,
        registry: Registry,
        tasks: list[asyncio.Task[None]],
        on_change: Callable[[], None],
    ) -> None:
        self.registry = registry
        self.tasks = tasks
        self.registrations: list[tuple[str, Registration]] = []
        self._on_change = on_change
        self._left: Those[Registration] = Those()

    @property
    def out(self) -> bool:
        """True once it is known that nothing is registered there."""
        return not self._left

    def take(self, service: str, registration: Registration) -> None:
        """Have one registration deregistered."""
        self.registrations.append((service, registration))
        registration.on_change = self._note
        self._note(registration)
        registration.want(wanted=False)

    def _note(self, registration: Registration) -> None:
        self._left.note(registration, so=registration.actual is not Actual.NO)
        self._on_change()


def _as_json(told: Mapping[Any, object]) -> dict[str, object]:
    """Copy it: what is a stranger's may change, or fail, whenever it is looked at."""
    if not told:
        return {}
    words = {str(name): value for name, value in told.items()}
    plain: dict[str, object] = json.loads(json.dumps(words, default=str, allow_nan=False))
    return plain


def _told(error: Exception) -> str:
    said = text_of(error)
    return said if isinstance(error, LifecycleError) else f"{type(error).__name__}: {said}"


def _insist(step: asyncio.Task[None]) -> None:
    """Cancel, and again: a client library may swallow a cancellation."""
    if not step.done():
        step.cancel()
        asyncio.get_running_loop().call_later(INSIST, _insist, step)
