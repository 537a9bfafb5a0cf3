"""The report of a drain: each step's time, what was cut off, and where it hung."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, ParamSpec

from lifecycle.calls.app_loop import AppLoop
from lifecycle.calls.stacks import Straggler
from lifecycle.drain.host import Registrations
from lifecycle.drain.in_flight import Traffic
from lifecycle.drain.kernel_sockets import accept_queue
from lifecycle.exceptions import reason, text_of
from lifecycle.log import Log

P = ParamSpec("P")

FRAMES_SHOWN: Final = 8


class Report:
    """
    What there is to say about a drain when it is over.

    Attributes:
        steps: When each step was done, in seconds after T0.
        forced: True if a second signal made an end of it.
        stubborn: True if something has ignored its cancellation: it cannot be torn down.
        cut_off: What was not waited for any longer.
        disturbed_by: Who kept it from being quiet.
        waited_for: What was still waited for when the wait's deadline came.
        stuck_at: What main awaited when it was to end, or where its thread was; innermost last.
    """

    def __init__(self) -> None:
        self.steps: dict[str, float] = {}
        self.forced = False
        self.stubborn = False
        self.cut_off: list[str] = []
        self.disturbed_by: list[str] = []
        self.waited_for: list[str] = []
        self.stuck_at: list[str] = []

    def say(
        self, log: Log, registrations: Registrations, cause: str, code: int, *, counted: bool
    ) -> None:
        """
        Log it: what went as it should is left out.

        Args:
            log: Where to.
            registrations: What is left of them, and what is said of them.
            cause: What began the drain.
            code: The exit code.
            counted: True if something counts work in flight.
        """
        unregistered = registrations.unregistered()
        details: dict[str, Any] = {
            "forced": self.forced,
            "cut_off": self.cut_off,
            "disturbed_by": self.disturbed_by,
            "waited_for": "; ".join(self.waited_for),
            "stuck_at": self.stuck_at[-FRAMES_SHOWN:],
            "unregistered": unregistered,
            "registries": registrations.described(),
        }
        if registrations.any_exported and not counted:
            details["uncounted"] = "nothing counts work in flight: see Middleware and track()"
        bad = self.cut_off or self.forced or unregistered
        (log.warning if bad else log.info)(
            "drain report",
            cause=cause,
            code=code,
            steps=self.steps,
            **{name: value for name, value in details.items() if value},
        )


def told(find: Callable[P, list[str]], *args: P.args, **kwargs: P.kwargs) -> list[str]:
    """Return what something finds for a report: a drain never fails for a line that it says."""
    try:
        return find(*args, **kwargs)
    except Exception as error:  # noqa: BLE001 - names come from the app, and stand for nothing
        return [f"it cannot be named: {type(error).__name__}: {text_of(error)}"]


def stands(find: Callable[[], Straggler]) -> Straggler:
    """Return where main stands; nowhere if that cannot be told."""
    try:
        return find()
    except Exception:  # noqa: BLE001 - as above
        return Straggler("main", [])


def held_up_by(app_loop: AppLoop, traffic: Traffic, registrations: Registrations) -> list[str]:
    """Name what keeps a drain from being quiet at this moment."""
    found = in_flight(traffic)
    if app_loop.awake_since() == math.inf:
        found.append(f"the app's loop, last seen {app_loop.silent_for():.1f} s ago")
    try:
        if waiting := accept_queue(*registrations.ports()):
            found.append(f"{waiting} to be accepted")
    except OSError as error:
        found.append(f"clients may wait to be accepted: {reason(error)}")
    return found


def in_flight(traffic: Traffic) -> list[str]:
    """Name the work in flight: `2 in flight: GET /orders from curl/8 (2)`; empty if none is."""
    count, names = traffic.in_flight, traffic.names()
    if not count:
        return []
    named = f": {', '.join(names)}" if traffic.entries else ""
    return [f"{count} in flight{named}"]


def may_be_queued(registrations: Registrations) -> bool:
    """Tell whether clients wait to be accepted by a service; True while nobody can tell."""
    try:
        return accept_queue(*registrations.ports()) > 0
    except OSError:  # the kernel's table cannot be read: no descriptor is left
        return True
