"""
The wait of `lifecycle offline --wait`, until no client uses the services any more.

Rules of this file:

1. Deregistration and `settle` are waited for in any case. Requests cannot be told apart by service,
   so they are waited for only if every service is offline.
2. When nothing is in flight any more is decided by the rules of a drain, in `Traffic.gone`.
3. The wait ends early if a service is online again, if the drain starts, or if its caller is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from lifecycle.calls.app_loop import AppLoop
from lifecycle.calls.transitions import Transitions
from lifecycle.control.maintenance import Maintenance
from lifecycle.control.registration import Actual
from lifecycle.control.service_entry import ServiceEntry
from lifecycle.control.services import Services, some
from lifecycle.drain.in_flight import Traffic
from lifecycle.drain.offline import Offline
from lifecycle.drain.report import held_up_by, may_be_queued, told
from lifecycle.exceptions import Draining, OnlineAgain, StillServing
from lifecycle.settings import Settings
from lifecycle.states import State

SEE: Final = "errors.md#offline-wait-ended"
UNCOUNTED: Final = (
    "This app does not count running requests, so they were not waited for. "
    "Use lifecycle.asgi.Middleware or track()"
)
UNSEEN: Final = (
    "The command is not instrumented, so clients may still send requests on keep-alive connections"
)


class OfflineWait:
    """
    Waits until services that were taken offline are not used any more. For the control loop.

    Args:
        settings: The settings, for `quiet`.
        services: The table of services.
        maintenance: Whether every service is offline, and since when.
        traffic: The work in flight.
        transitions: The state machine, for the drain start.
        app_loop: The app's loop, which notices requests.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        services: Services,
        maintenance: Maintenance,
        traffic: Traffic,
        transitions: Transitions,
        app_loop: AppLoop,
    ) -> None:
        self._settings = settings
        self._services = services
        self._maintenance = maintenance
        self._traffic = traffic
        self._transitions = transitions
        self._app_loop = app_loop
        self._clock = asyncio.get_running_loop().time

    async def __call__(
        self, names: Sequence[str], seconds: float, gone: Callable[[], Awaitable[None]]
    ) -> str:
        """
        Wait, and return the result in words.

        Args:
            names: The services. They are offline.
            seconds: The time limit.
            gone: Returns when the caller has disconnected.

        Raises:
            StillServing: The time is over.
            OnlineAgain: A service is online again.
            Draining: The drain has started.
        """
        began = self._clock()
        self._refuse_draining()
        offline = self._maintenance.offline
        table = self._services.entries
        entries = [table[name] for name in names]
        watched: Mapping[str, ServiceEntry] = (
            dict(zip(names, entries, strict=True)) if offline is None else table
        )
        out = asyncio.ensure_future(self._until_out(entries, offline))
        online = asyncio.ensure_future(self._until_online(watched))
        drain = asyncio.ensure_future(self._transitions.reached[State.DRAINING].wait())
        waits = {out, online, drain, asyncio.ensure_future(gone())}
        try:
            done, _ = await asyncio.wait(
                waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
            self._refuse_draining()
            if online in done:
                raise OnlineAgain(
                    "the wait is over, because an app service is online again: "
                    f"{_names(_online(watched))}",
                    see=SEE,
                )
            if out in done:
                others = [] if offline is not None else _online(table)
                return done_in_words(names, self._clock() - began, others, out.result())
            if done:
                return ""  # the caller is gone
            raise StillServing(
                late_in_words(
                    seconds,
                    registered=_registered(entries),
                    settle_left=self._settles_at(entries, offline) - self._clock(),
                    served=[] if offline is None else await self._served(),
                ),
                see=SEE,
            )
        finally:
            for each in waits:
                each.add_done_callback(lambda task: task.cancelled() or task.exception())
                each.cancel()

    def _refuse_draining(self) -> None:
        state = self._transitions.state
        if state.leaving:
            raise Draining(
                f"offline --wait is not possible while the app is {state}", see="draining"
            )

    async def _until_out(self, entries: Sequence[ServiceEntry], offline: Offline | None) -> str:
        """Wait, and return a sentence about clients that were not waited for, or nothing."""
        left = [*entries]

        def all_out() -> bool:
            while left and left[-1].out:  # so that n services cost n
                left.pop()
            return not left

        if offline is None:
            await self._services.until(all_out)
            await asyncio.sleep(max(0.0, self._settles_at(entries, None) - self._clock()))
            return ""
        quiet = self._settings.quiet
        with self._traffic.elsewhere.watched() as all_seen:
            await self._services.until(all_out)
            await self._traffic.gone(
                # Idle connections are closed when settle ends, by workers a moment later.
                not_before=lambda: self._settles_at(entries, offline) + quiet,
                quiet=quiet,
                app=self._app_loop,
                queued=lambda: may_be_queued(self._services),
            )
        if not all_seen:
            return UNSEEN
        return "" if self._traffic.in_use else UNCOUNTED

    def _settles_at(self, entries: Sequence[ServiceEntry], offline: Offline | None) -> float:
        if offline is not None:
            return (self._maintenance.offline or offline).settles_at  # it may be a later one
        return max(each.settles_at for each in entries)

    async def _until_online(self, watched: Mapping[str, ServiceEntry]) -> None:
        services, seen = self._services, self._services.came_online

        def some_online() -> bool:
            nonlocal seen
            if services.came_online == seen:  # so that other changes cost nothing
                return False
            seen = services.came_online
            return bool(_online(watched))

        await services.until(some_online)

    async def _served(self) -> list[str]:
        """Return the work in flight, or else the clients that still send requests."""
        with suppress(Exception):  # only the names would be missing
            await self._traffic.elsewhere.locate()
        found = told(held_up_by, self._app_loop, self._traffic, self._services)
        clients = told(self._traffic.last_disturbers)
        if found or not clients:
            return found
        return [f"requests still arrive: {', '.join(clients)}"]


def _online(entries: Mapping[str, ServiceEntry]) -> list[str]:
    return [name for name, each in entries.items() if each.online]


def _names(names: Sequence[str]) -> str:
    return some(names, len(names))


def _registered(entries: Iterable[ServiceEntry]) -> list[str]:
    return [
        f"{entry.instance.service}@{name} ({each.error or 'no answer yet'})"
        for entry in entries
        for name, each in entry.registrations.items()
        if each.actual is not Actual.NO
    ]


def done_in_words(names: Sequence[str], seconds: float, others: Sequence[str], note: str) -> str:
    """
    Return the answer after the wait.

    Args:
        names: The services that are offline.
        seconds: How long the wait took.
        others: The services that are online.
        note: A sentence about clients that were not waited for, or empty.
    """
    waited = f"(waited {seconds:.1f} s)"
    if others:
        note = (
            f"Other app services are online ({_names(others)}), so running requests were not "
            "waited for"
        )
    if note:
        return f"OK: {_names(names)} offline {waited}. {note}"
    return f"OK: {_names(names)} offline, no client is served {waited}"


def late_in_words(
    seconds: float, *, registered: Sequence[str], settle_left: float, served: Sequence[str]
) -> str:
    """
    Return the reason why the time was too short.

    Args:
        seconds: The time limit.
        registered: The registrations that are left.
        settle_left: The seconds that are left of `settle`. Negative if it is over.
        served: The work in flight, or the clients that still send requests.
    """
    reasons = []
    if registered:
        reasons.append(f"still registered: {_names(registered)}")
    if settle_left > 0:
        reasons.append(f"settle ends in {settle_left:.1f} s")
    reasons += served
    why = "; ".join(reasons) or "the last request came a moment ago"
    return (
        f"timed out after {seconds:g} s ({why}). The app services stay offline. To wait longer, "
        "repeat the command. To serve again, run lifecycle online"
    )
