"""The drain report: the time of each step, the work that was cut off, and where it stood."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, ParamSpec

from lifecycle.calls.app_loop import AppLoop
from lifecycle.calls.stacks import Straggler
from lifecycle.config import Config
from lifecycle.drain.drain import Drain
from lifecycle.drain.elsewhere import Ended
from lifecycle.drain.host import Parts, Registrations
from lifecycle.drain.in_flight import Traffic
from lifecycle.drain.kernel_sockets import accept_queue
from lifecycle.drain.view import AGENT_BYTES, NAME_BYTES, fit
from lifecycle.drain.work_names import TRACKED
from lifecycle.exceptions import reason, text_of
from lifecycle.links import help_page

P = ParamSpec("P")

FRAMES_SHOWN: Final = 8
SERVICES_SHOWN: Final = 20
SETTINGS_SHOWN: Final = ("settle", "quiet", "grace_period", "stop_timeout")


class Report:
    """
    The report about a drain.

    Attributes:
        steps: The end of each step, in seconds after the drain start.
        forced: True if a second signal ended the drain.
        late: True if a hook of a plugin has not returned in time.
        stubborn: True if a task has ignored its cancellation, so that it cannot be ended.
        cut_off: The work that was cut off, with its age and the line at which it stood.
        last_to_end: The work that ended last, with its age. None if no work ended.
        disturbed_by: The clients whose requests delayed the end of the drain.
        waited_for: The work and the hooks that the drain still waited for at a deadline.
        stuck_at: The stack of main when it was cancelled, innermost frame last.
    """

    def __init__(self) -> None:
        self.steps: dict[str, float] = {}
        self.forced = False
        self.late = False
        self.stubborn = False
        self.cut_off: list[str] = []
        self.last_to_end: Ended | None = None
        self.disturbed_by: list[str] = []
        self.waited_for: list[str] = []
        self.stuck_at: list[str] = []

    def say(self, parts: Parts, drain: Drain, code: int) -> None:
        """
        Log the report. Empty fields are left out.

        Args:
            parts: The log, and the parts that the report describes.
            drain: The drain.
            code: The exit code.
        """
        registrations = parts.registrations
        unregistered, not_forgotten = registrations.unregistered(), registrations.not_forgotten()
        details: dict[str, Any] = {
            "forced": self.forced,
            "cut_off": self.cut_off,
            "last_to_end": self._last_to_end(),
            "disturbed_by": self.disturbed_by,
            "waited_for": "; ".join(self.waited_for),
            "stuck_at": self.stuck_at[-FRAMES_SHOWN:],
            "unregistered": unregistered,
            "not_forgotten": not_forgotten,
            "registries": registrations.described(),
        }
        if registrations.names() and not parts.traffic.in_use:
            details["uncounted"] = (
                "Nothing counts running requests, so the drain did not wait for them. "
                "Use lifecycle.asgi.Middleware or track()."
            )
        names = registrations.names()
        seen = parts.traffic.arrivals()
        for_tune = {
            "services": [*names[:SERVICES_SHOWN], *(["…"] if len(names) > SERVICES_SHOWN else [])],
            "settings": _settings(parts.config, drain),
            "settle_from": drain.settle_time.registry or None,
            "last_connection": seen["last_connection"],
            "last_request": seen["last_request"],
            "arrivals": seen["arrivals"],
            "connections": seen["connections"],
            "listened": drain.listened,
            "settle_factor": None if drain.settle_factor == 1 else drain.settle_factor,
            "after_closing": drain.after_closing,
        }
        bad = self.cut_off or self.forced or self.late or unregistered or not_forgotten
        (parts.log.warning if bad else parts.log.info)(
            "drain report",
            cause=drain.cause,
            code=code,
            steps=self.steps,
            **{name: value for name, value in details.items() if value},
            **{name: value for name, value in for_tune.items() if names and value is not None},
            see=help_page("drain-report") if bad else "",
        )

    def _last_to_end(self) -> dict[str, Any]:
        last = self.last_to_end
        if last is None:
            return {}
        return {"name": fit(last.name, NAME_BYTES + AGENT_BYTES), "age": round(last.age, 3)}


def _settings(config: Config, drain: Drain) -> dict[str, float]:
    """Return the settings in force. A registry may have set `settle`."""
    found = {name: getattr(config, name) for name in SETTINGS_SHOWN}
    return found | {"settle": drain.settle_time.seconds}


def told(find: Callable[P, list[str]], *args: P.args, **kwargs: P.kwargs) -> list[str]:
    """Call a function for the report. An error in it must not stop the drain."""
    try:
        return find(*args, **kwargs)
    except Exception as error:  # noqa: BLE001 - names come from the app, and may raise
        return [f"(cannot be named: {type(error).__name__}: {text_of(error)})"]


def stands(find: Callable[[], Straggler]) -> Straggler:
    """Return where main stands. Without a stack if this is unknown."""
    try:
        return find()
    except Exception:  # noqa: BLE001 - as above
        return Straggler("main", [])


def held_up_by(app_loop: AppLoop, traffic: Traffic, registrations: Registrations) -> list[str]:
    """Return what the drain waits for at this moment."""
    found = in_flight(traffic)
    if app_loop.awake_since() == math.inf:
        found.append(f"the app's loop, last seen {app_loop.silent_for():.1f} s ago")
    try:
        if waiting := accept_queue(*registrations.ports()):
            found.append(f"{waiting} in the accept queue")
    except OSError as error:
        found.append(f"the accept queue cannot be read: {reason(error)}")
    return found


def in_flight(traffic: Traffic) -> list[str]:
    """Return the work in flight, for example `2 in flight: GET /orders from curl/8 (2)`."""
    count, names = traffic.in_flight, traffic.names()
    if not count:
        return []
    if all(each.startswith(TRACKED) for each in names):
        return [f"{count} in flight"]
    return [f"{count} in flight: {', '.join(names)}"]


def may_be_queued(registrations: Registrations) -> bool:
    """Return True if clients are in the accept queue of a service, or if this is unknown."""
    try:
        return accept_queue(*registrations.ports()) > 0
    except OSError:  # no descriptor is free to read the table of the kernel
        return True
