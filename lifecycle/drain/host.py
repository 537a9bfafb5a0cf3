"""
What a departure is handed by those above it: its host, and the table of registrations.

The host is whoever runs main, and ends the process. It is handed over when the departure is
made, before the QOS port is open, so whatever begins the drain meets the right one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import NamedTuple, Protocol

from lifecycle.calls.app_loop import AppLoop
from lifecycle.calls.stacks import Straggler
from lifecycle.calls.transitions import Transitions
from lifecycle.config import Config
from lifecycle.drain.in_flight import Traffic
from lifecycle.drain.timetable import Timetable
from lifecycle.log import Log


class Host(Protocol):
    """
    Who runs main. Everything is called on the control thread; nothing may wait for the app.

    Attributes:
        cancels_main: True if main may be cancelled once it has used up its time.
        ends_in_time: True if the process is ended when the grace period is over, so that the
            closing must leave time for what comes after it.
        joining_is_the_signal: True if the host takes the signals, and tells of SIGTERM by
            joining the drain.
    """

    cancels_main: bool
    ends_in_time: bool
    joining_is_the_signal: bool

    def planned(self, timetable: Timetable) -> None:
        """Take note of the timetable: at T0, and whenever it shrinks."""

    def stop_main(self) -> None:
        """Tell main to end: nobody can be lost any more."""

    def cancel_main(self) -> None:
        """Cancel main: it has used up its time."""

    def straggler(self) -> Straggler:
        """Name main, and say where it stands."""

    async def clear_up(self) -> None:
        """End what main has left behind; return once it has ended. Cancelled when it is late."""

    def left_behind(self) -> list[Straggler]:
        """Name what `clear_up` waits for; empty if that cannot be told."""


class Embedded:
    """
    Somebody else's loop: nothing of main is ours, and nothing of the process.

    Args:
        app_loop: That loop.
    """

    cancels_main = False
    ends_in_time = False
    joining_is_the_signal = True

    def __init__(self, app_loop: AppLoop) -> None:
        self._app_loop = app_loop

    def planned(self, timetable: Timetable) -> None:
        """Keep no time."""

    def stop_main(self) -> None:
        """Leave it to `drained()`."""

    def cancel_main(self) -> None:
        """Cancel nothing."""

    def straggler(self) -> Straggler:
        """Name main, and say where the thread of its loop is."""
        return self._app_loop.straggler(None)

    async def clear_up(self) -> None:
        """Leave everything as it is."""

    def left_behind(self) -> list[Straggler]:
        """Wait for nothing."""
        return []


class Registrations(Protocol):
    """The table of registrations, as a departure sees it."""

    @property
    def any_exported(self) -> bool:
        """True if there is a service."""

    @property
    def all_out(self) -> bool:
        """True if no registration is left, as far as is known."""

    def withdraw(self) -> None:
        """From now on, nothing is to be registered."""

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something is true of the table."""

    def ports(self) -> Iterable[int]:
        """Return the ports of the services."""

    def unregistered(self) -> list[str]:
        """Name what is not known to be out, and say why: `orders@consul: no answer yet`."""

    def described(self) -> Mapping[str, Mapping[str, object]]:
        """Return what the registries say of registrations: `orders@consul` to what it says."""


class Parts(NamedTuple):
    """
    All that a departure is handed.

    Attributes:
        host: Who runs main.
        life: The app's handle, which the hooks are given.
        config: The settings.
        transitions: Fired at T0 and at the end.
        registrations: What is to be withdrawn.
        app_loop: The loop that main runs on.
        traffic: What is in flight.
        log: Told of signals, of what fails, and of how it went.
        close: Closes the rest, in so many seconds.
    """

    host: Host
    life: object
    config: Config
    transitions: Transitions
    registrations: Registrations
    app_loop: AppLoop
    traffic: Traffic
    log: Log
    close: Callable[[float], Awaitable[None]]
