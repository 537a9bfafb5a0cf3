"""
The interfaces that a departure uses: the host, and the table of registrations.

The host runs main and ends the process. It is passed in before the QOS port opens, so that every
possible cause of a drain uses the right host.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import NamedTuple, Protocol

from lifecycle.calls.app_loop import AppLoop
from lifecycle.calls.stacks import Straggler
from lifecycle.calls.transitions import Transitions
from lifecycle.config import Config
from lifecycle.drain.in_flight import Traffic
from lifecycle.drain.timetable import SettleTime, Timetable
from lifecycle.log import Log


class Host(Protocol):
    """
    Runs main. All methods are called on the control thread, and must not wait for the app.

    Attributes:
        cancels_main: True if main may be cancelled when its time is over.
        ends_in_time: True if the process is ended before the grace period is over, so that
            closing must leave time for the steps after it.
        joining_is_the_signal: True if the host handles the signals, and reports SIGTERM by
            joining the drain.
    """

    cancels_main: bool
    ends_in_time: bool
    joining_is_the_signal: bool

    def planned(self, timetable: Timetable) -> None:
        """Handle the timetable, at the drain start and after each change."""

    def stop_main(self) -> None:
        """Tell main to stop, because the drain is over."""

    def cancel_main(self) -> None:
        """Cancel main, because its time is over."""

    def straggler(self) -> Straggler:
        """Return the name and the stack of main."""

    async def clear_up(self) -> None:
        """End the tasks that main has left behind. Cancelled if this takes too long."""

    def left_behind(self) -> list[Straggler]:
        """Return what `clear_up` waits for. Empty if this is unknown."""


class Embedded:
    """
    The host for an event loop of the app. It ends neither main nor the process.

    Args:
        app_loop: The event loop.
    """

    cancels_main = False
    ends_in_time = False
    joining_is_the_signal = True

    def __init__(self, app_loop: AppLoop) -> None:
        self._app_loop = app_loop

    def planned(self, timetable: Timetable) -> None:
        """Do nothing."""

    def stop_main(self) -> None:
        """Do nothing. The app uses `drained()`."""

    def cancel_main(self) -> None:
        """Do nothing."""

    def straggler(self) -> Straggler:
        """Return the name of main, and the stack of the loop's thread."""
        return self._app_loop.straggler(None)

    async def clear_up(self) -> None:
        """Do nothing."""

    def left_behind(self) -> list[Straggler]:
        """Return nothing."""
        return []


class Registrations(Protocol):
    """The table of registrations, for a departure."""

    def names(self) -> list[str]:
        """Return the names of the exported services."""

    @property
    def all_out(self) -> bool:
        """True if no registration is left."""

    @property
    def all_forgotten(self) -> bool:
        """True if no registry needs `forget` any more."""

    @property
    def settle(self) -> SettleTime:
        """The settle time of a drain that starts now."""

    def withdraw(self) -> None:
        """Deregister everything from now on."""

    def forget(self) -> None:
        """Have the registries drop every address that they may still know, from now on."""

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition on the table is true."""

    def ports(self) -> Iterable[int]:
        """Return the ports of the services."""

    def unregistered(self) -> list[str]:
        """List what may still be registered, for example `orders@consul: no answer yet`."""

    def not_forgotten(self) -> list[str]:
        """List the addresses that a registry may still know, as `unregistered` does."""

    def described(self) -> Mapping[str, Mapping[str, object]]:
        """Return the details from the registries, by registration, for example `orders@consul`."""


class Parts(NamedTuple):
    """
    The parts of a departure.

    Attributes:
        host: Runs main.
        life: The `Lifecycle` of the app, which is passed to the hooks.
        config: The settings.
        transitions: Changes the state at the drain start and at the end.
        registrations: The registrations to withdraw.
        app_loop: The event loop of main.
        traffic: The work in flight.
        log: The log for signals, failures and the report.
        close: Closes the rest within a number of seconds.
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
