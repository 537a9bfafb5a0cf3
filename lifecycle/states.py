"""
The states of an app, and the table of all transitions between them.

Rules of this file:

1. `TRANSITIONS` is complete. Every state has a row, and a final state has an empty row.
2. An event that is not in the row raises `IllegalTransition`, and the state does not change.
3. Every shutdown, whatever its cause, goes through DRAINING, so that every registration is
   withdrawn. STOPPED and FAILED show how the app ended.
4. The code here does no I/O, reads no clock and logs nothing. The diagram in the documentation
   is generated from the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from lifecycle.exceptions import IllegalTransition

if TYPE_CHECKING:
    from lifecycle.status_records import TransitionStatus


class State(StrEnum):
    """
    The state of the app.

    Attributes:
        STARTING: The app has not exported a service yet.
        EXPORTING: Services are exported, but not yet registered.
        REGISTERED: Every required registry has acknowledged every service.
        READY: The app serves.
        DRAINING: The drain has started.
        STOPPED: The app has ended normally.
        FAILED: The app has ended with an error.
    """

    STARTING = "starting"
    EXPORTING = "exporting"
    REGISTERED = "registered"
    READY = "ready"
    DRAINING = "draining"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def leaving(self) -> bool:
        """True once the app is DRAINING. The app cannot become READY again."""
        return self in _LEAVING


class Event(StrEnum):
    """An event that changes the state of the app."""

    EXPORT = "export"
    REGISTER = "register"
    READY = "ready"
    DRAIN = "drain"
    STOP = "stop"
    FAIL = "fail"


_LEAVING: Final = frozenset({State.DRAINING, State.STOPPED, State.FAILED})

TRANSITIONS: Final[Mapping[State, Mapping[Event, State]]] = MappingProxyType(
    {
        State.STARTING: {Event.EXPORT: State.EXPORTING, Event.DRAIN: State.DRAINING},
        State.EXPORTING: {Event.REGISTER: State.REGISTERED, Event.DRAIN: State.DRAINING},
        State.REGISTERED: {Event.READY: State.READY, Event.DRAIN: State.DRAINING},
        State.READY: {Event.DRAIN: State.DRAINING},
        State.DRAINING: {Event.STOP: State.STOPPED, Event.FAIL: State.FAILED},
        State.STOPPED: {},
        State.FAILED: {},
    }
)


class Transition(NamedTuple):
    """
    One change of the state. The hook `lifecycle_transition` gets it as an argument.

    Attributes:
        before: The old state.
        after: The new state.
        cause: The cause in a few words, for example `export orders` or `SIGTERM`.
        at: The time, in seconds since the epoch.
    """

    before: State
    after: State
    cause: str
    at: float


def transition_status(step: Transition) -> TransitionStatus:
    """Return a transition as `/status` shows it."""
    return {
        "from": step.before.value,
        "to": step.after.value,
        "at": step.at,
        "cause": step.cause,
    }


class Machine:
    """The state of one app. One thread changes `state`, any thread may read it."""

    def __init__(self) -> None:
        self.state = State.STARTING
        self.history: list[Transition] = []

    def fire(self, event: Event, *, cause: str, at: float) -> Transition:
        """
        Change the state by one event.

        Args:
            event: The event.
            cause: The cause in a few words.
            at: The time, in seconds since the epoch.

        Returns:
            The transition.

        Raises:
            IllegalTransition: The event is not allowed in this state. Nothing has changed.
        """
        row = TRANSITIONS[self.state]
        if event not in row:
            possible = ", ".join(row) or "none, the state is final"
            raise IllegalTransition(
                f"'{event}' is not allowed while the app is {self.state} (allowed: {possible})",
                see="transition-not-allowed",
            )
        transition = Transition(self.state, row[event], cause, at)
        self.state = transition.after
        self.history.append(transition)
        return transition


def reachable(start: State) -> frozenset[State]:
    """Return every state that can follow `start`, and `start` itself."""
    found = {start}
    frontier = [start]
    while frontier:
        for after in TRANSITIONS[frontier.pop()].values():
            if after not in found:
                found.add(after)
                frontier.append(after)
    return frozenset(found)
