"""
One service in one registry: the wanted state, the actual state, and the work to make them equal.

Rules of this file:

1. Only one operation runs at a time. If the wanted state changes, the operation for the old one
   is cancelled and waited for.
2. Registered means acknowledged. An unknown state does not change readiness, so that an outage of
   a registry never takes a healthy pod out of traffic.
3. If a registry raises anything, even SystemExit, this affects only its own registrations.
4. From the first request to register until `forget` has succeeded, the registry may know the
   address. `forget` comes last. After it was requested, nothing else is done.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, cast

from lifecycle.calls.durations import Durations
from lifecycle.contracts import Instance, Registry
from lifecycle.control.backoff import FIRST, until_done
from lifecycle.exceptions import LifecycleError, RegistrationRefused, reason_of, text_of
from lifecycle.links import help_page
from lifecycle.log import Log
from lifecycle.start_report import StartReport, Step

if TYPE_CHECKING:
    from lifecycle.status_records import RegistrationStatus

INSIST: Final = 0.1
"""Seconds between two cancellations of an operation that does not end."""


class Actual(StrEnum):
    """The known state of a registration."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Registration:
    """
    One service in one registry.

    Attributes:
        asked: True from the first request to register until `forget` has succeeded.
        since: When `actual` changed the last time, in seconds since the epoch.
        retry_at: When the next try starts, by the clock of the control loop. None if a try is
            running, or no try is needed.
    """

    def __init__(
        self,
        registry: Registry,
        instance: Instance,
        *,
        timeout: float,
        on_change: Callable[[Registration], None],
        durations: Durations,
        log: Log,
        start_report: StartReport | None = None,
    ) -> None:
        self.registry = registry
        self.required = registry.required
        self.wanted = False
        self.actual = Actual.NO
        self.since = time.time()
        self.asked = False
        self.retry_at: float | None = None
        self.confirmed = False
        self.asking = False
        self.error = ""
        self.refused: RegistrationRefused | None = None
        self._instance = instance
        self._forgets = overrides_forget(registry)
        self._forgetting = False
        self._timeout = timeout
        self.on_change = on_change
        """Called after every change of the known state."""
        self._durations = durations
        self._log = log.info, log.warning
        self._start_report = start_report
        self._start_step: Step | None = None
        self._changed = asyncio.Event()
        self._step: asyncio.Task[None] | None = None

    def want(self, wanted: bool) -> None:  # noqa: FBT001 - a value, not an option
        """Set the wanted state. An operation for the old one is cancelled."""
        if wanted is self.wanted:
            return
        self.wanted = wanted
        if self.refused is not None:
            self.refused = None
            self.on_change(self)
        self._changed.set()
        self._measure(wanted)
        if self._step is not None:
            _insist(self._step)

    @property
    def to_forget(self) -> bool:
        """True if the registry may still know the address, and needs `forget` to drop it."""
        return self._forgets and self.asked

    def forget(self) -> None:
        """Have the registry drop the address. Any other operation is cancelled."""
        if not self.to_forget or self._forgetting:
            return
        self.wanted, self._forgetting = False, True
        self._changed.set()
        if self._step is not None:
            _insist(self._step)

    def _measure(self, wanted: bool) -> None:  # noqa: FBT001 - as above
        """Start to measure the first registration, or forget it."""
        report = self._start_report
        if report is None or report.over:
            return
        if wanted:
            name = f"registration {self._instance.service}@{self.registry.name}"
            self._start_step = report.begin(name)
        else:
            report.drop(self._start_step)

    def described(self) -> dict[str, object]:
        """Return the details from the registry in a form that JSON can hold, or the problem."""
        failed = "raised"
        try:
            told = dict(self.registry.describe(self._instance))
            failed = "returned a value that JSON cannot hold:"
            return _as_json(told)
        except BaseException as error:  # noqa: BLE001 - foreign code must not end the control loop
            return {"problem": f"describe {failed} {type(error).__name__}: {text_of(error)}"}

    def status(self) -> RegistrationStatus:
        """Return the registration as `/status` shows it, with details from the registry."""
        told = {
            **self.described(),
            "wanted": self.wanted,
            "registered": self.actual.value,
            "since": round(self.since, 3),
            "required": self.required,
            "reason": self.error,
            "next_try": self.next_try(),
        }
        return cast("RegistrationStatus", told)

    def next_try(self) -> float | None:
        """Return the seconds until the next try. None as for `retry_at`."""
        if self.retry_at is None:
            return None
        return round(max(0.0, self.retry_at - asyncio.get_running_loop().time()), 3)

    def problem(self) -> str:
        """Return in words why it is not registered, for example `unknown for 3.1 s: timed out`."""
        told = f"{self.actual} for {max(0.0, time.time() - self.since):.1f} s"
        told += f": {self.error}" if self.error else ", no answer yet" if self.asking else ""
        left = self.next_try()
        return told if left is None else f"{told}, next try in {left:.1f} s"

    async def reconcile(self) -> None:
        """Make the actual state equal to the wanted state, forever."""
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
                # Foreign: a client library has cancelled its caller or raised something else.
                why = "cancelled its caller" if step.cancelled() else str(step.exception())
                self._set(Actual.UNKNOWN, f"the client of the registry {why}")
                await self._pause(FIRST)

    async def _next_step(self) -> None:
        try:
            if self._forgetting and self.asked:
                await self._until_done(self._forget)
            elif self.wanted and self.refused is None:
                await self._hold()
            elif not self.wanted and self.actual is not Actual.NO:
                await self._until_done(self._deregister)
            else:
                await self._changed.wait()
        except asyncio.CancelledError:
            raise
        except BaseException as leaving:  # noqa: BLE001 - some of these would end the control loop
            raise RuntimeError(f"raised {type(leaving).__name__}") from None

    async def _hold(self) -> None:
        """Register and keep the service. After quick losses, the pauses become longer."""
        with contextlib.suppress(RegistrationRefused):
            await self._until_done(self._register_and_keep, RegistrationRefused)

    async def _until_done(
        self, attempt: Callable[[], Awaitable[None]], *fatal: type[Exception]
    ) -> None:
        await until_done(attempt, fatal=fatal, longest=self.registry.retry, pause=self._pause)

    async def _pause(self, seconds: float) -> None:
        self.retry_at = asyncio.get_running_loop().time() + seconds
        try:
            await asyncio.sleep(seconds)
        finally:
            self.retry_at = None

    async def _register_and_keep(self) -> None:
        if self.actual is not Actual.YES:
            await self._register()
        now = asyncio.get_running_loop().time
        began = now()
        try:
            reason = await self.registry.keep(self._instance)
        except Exception as error:  # noqa: BLE001 - any error of a client library
            self._set(Actual.UNKNOWN, _told(error))
        else:
            self.confirmed = False
            self._set(Actual.NO, reason if isinstance(reason, str) and reason else "lost")
        if now() - began < self.registry.retry:
            raise ConnectionError(self.error)

    async def _register(self) -> None:
        # From here on the state is unknown until the registry has answered.
        self.asked = self.asking = True
        self._become(Actual.UNKNOWN)
        self.on_change(self)
        now = asyncio.get_running_loop().time
        began = now()
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
        self._durations.note(now() - began)
        self.confirmed = True
        if self._start_report is not None:
            self._start_report.end(self._start_step)
        self._set(Actual.YES, "")

    async def _deregister(self) -> None:
        self._become(Actual.UNKNOWN)  # a cancelled call may have worked
        self.confirmed = False
        self.on_change(self)
        try:
            async with asyncio.timeout(self._timeout):
                await self.registry.deregister(self._instance)
        except Exception as error:
            self._set(Actual.UNKNOWN, self._problem(error))
            raise
        self._set(Actual.NO, "")

    async def _forget(self) -> None:
        self.confirmed = False
        try:
            async with asyncio.timeout(self._timeout):
                await self.registry.forget(self._instance)
        except Exception as error:
            self._set(self.actual, f"forget: {self._problem(error)}")
            raise
        self.asked = False
        self._set(Actual.NO, "")

    def _problem(self, error: Exception) -> str:
        late = isinstance(error, TimeoutError) and not text_of(error)
        return reason_of(error, self._timeout) if late else _told(error)

    def _set(self, actual: Actual, error: str) -> None:
        changed = actual is not self.actual or error != self.error
        self._become(actual)
        self.error = error
        if changed:
            say = self._log[1 if error else 0]
            say(
                "registration",
                service=self._instance.service,
                registry=self.registry.name,
                registered=actual.value,
                **({"reason": error} if error else {}),
                see=help_page("registration-lost") if error else "",
            )
        self.on_change(self)

    def _become(self, actual: Actual) -> None:
        if actual is not self.actual:
            self.actual, self.since = actual, time.time()


def overrides_forget(registry: Registry) -> bool:
    """Return True if the registry does anything in `forget`."""
    return getattr(registry.forget, "__func__", None) is not Registry.forget


def _as_json(told: Mapping[Any, object]) -> dict[str, object]:
    """Copy a foreign object, which may change or fail later."""
    if not told:
        return {}
    words = {str(name): value for name, value in told.items()}
    plain: dict[str, object] = json.loads(json.dumps(words, default=str, allow_nan=False))
    return plain


def _told(error: Exception) -> str:
    said = text_of(error)
    return said if isinstance(error, LifecycleError) else f"{type(error).__name__}: {said}"


def _insist(step: asyncio.Task[None]) -> None:
    """Cancel again and again, because a client library may swallow a cancellation."""
    if not step.done():
        step.cancel()
        asyncio.get_running_loop().call_later(INSIST, _insist, step)
