"""The report of a drain: each step's time, what was cut off, and where it hung."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, ParamSpec

from lifecycle.calls.stacks import Straggler
from lifecycle.drain.kernel_sockets import accept_queue
from lifecycle.exceptions import reason, text_of

if TYPE_CHECKING:
    from lifecycle.control.conductor import Conductor
    from lifecycle.drain.traffic import Traffic

P = ParamSpec("P")

FRAMES_SHOWN: Final = 8


class Report:
    """
    What there is to say about a drain when it is over.

    Attributes:
        steps: When each step was done, in seconds after T0.
        forced: True if a second signal made an end of it.
        cut_off: What was not waited for any longer.
        disturbed_by: Who kept it from being quiet.
        waited_for: What was still waited for when the wait's deadline came.
        stuck_at: What main awaited when it was to end, or where its thread was; innermost last.
    """

    def __init__(self) -> None:
        self.steps: dict[str, float] = {}
        self.forced = False
        self.cut_off: list[str] = []
        self.disturbed_by: list[str] = []
        self.waited_for: list[str] = []
        self.stuck_at: list[str] = []

    def say(self, conductor: Conductor, cause: str, code: int) -> None:
        """Log it: what went as it should is left out."""
        cells = {
            f"{entry.instance.service}@{name}": cell
            for entry in conductor.services.entries.values()
            for name, cell in entry.cells.items()
        }
        unregistered = [
            f"{at}: {cell.error or 'no answer yet'}"
            for at, cell in cells.items()
            if cell.actual != "no"
        ]
        details: dict[str, Any] = {
            "forced": self.forced,
            "cut_off": self.cut_off,
            "disturbed_by": self.disturbed_by,
            "waited_for": "; ".join(self.waited_for),
            "stuck_at": self.stuck_at[-FRAMES_SHOWN:],
            "unregistered": unregistered,
            "registries": {at: said for at, cell in cells.items() if (said := cell.described())},
        }
        if conductor.services.entries and not conductor.traffic.in_use:
            details["uncounted"] = "nothing counts work in flight: see Middleware and track()"
        bad = self.cut_off or self.forced or unregistered
        say = conductor.log.warning if bad else conductor.log.info
        say(
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


def held_up_by(conductor: Conductor) -> list[str]:
    """Name what keeps a drain from being quiet at this moment."""
    app_loop, found = conductor.app_loop, in_flight(conductor.traffic)
    if app_loop.awake_since() == math.inf:
        found.append(f"the app's loop, last seen {app_loop.silent_for():.1f} s ago")
    try:
        if waiting := queued(conductor):
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


def may_be_queued(conductor: Conductor) -> bool:
    """Tell whether clients wait to be accepted; True while nobody can tell."""
    try:
        return queued(conductor) > 0
    except OSError:
        return True


def queued(conductor: Conductor) -> int:
    """
    Return how many clients wait to be accepted on the ports of the services.

    Raises:
        OSError: The kernel's table cannot be read: the process has no descriptor left.
    """
    ports = {entry.instance.port for entry in conductor.services.entries.values()}
    return accept_queue(*(port for port in ports if port is not None))
