"""
The states of an app and the one table that says how it may move between them.

Rules of this file:

1. `TRANSITIONS` is complete: every state has a row, a final state an empty one.
2. An event that is not in the row raises `IllegalTransition` and changes nothing.
3. There is one way out: whatever ends the app goes through DRAINING, so that what
   was registered is always deregistered. STOPPED or FAILED says how it ended.
4. Nothing here does I/O, reads a clock or logs. The diagram in the documentation
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
    """Where the app is in its life."""

    STARTING = "starting"
    EXPORTING = "exporting"
    REGISTERED = "registered"
    READY = "ready"
    DRAINING = "draining"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def leaving(self) -> bool:
        """True from DRAINING on: there is no way back to READY."""
        return self in _LEAVING


class Event(StrEnum):
    """What happens to the app."""

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
    One step of the machine, as `lifecycle_transition` is told of it.

    Attributes:
        before: The state that was left.
        after: The state that was entered.
        cause: What brought it about, in a few words: `export orders`, `SIGTERM`.
        at: When, in seconds since the epoch.
    """

    before: State
    after: State
    cause: str
    at: float


def transition_status(step: Transition) -> TransitionStatus:
    """Return what `/status` shows of a step."""
    return {
        "from": step.before.value,
        "to": step.after.value,
        "at": step.at,
        "cause": step.cause,
    }


class Machine:
    """The state of one app. Owned by one thread; `state` may be read from any."""

    def __init__(self) -> None:
        self.state = State.STARTING
        self.history: list[Transition] = []

    def fire(self, event: Event, *, cause: str, at: float) -> Transition:
        """
        Move along `TRANSITIONS`.

        Args:
            event: What happened.
            cause: Why, in a few words.
            at: When, in seconds since the epoch.

        Returns:
            The step that was taken.

        Raises:
            IllegalTransition: The event has no place in this state. Nothing has changed.
        """
        row = TRANSITIONS[self.state]
        if event not in row:
            possible = ", ".join(row) or "nothing: it is final"
            raise IllegalTransition(
                f"'{event}' cannot happen while {self.state} (possible here: {possible})"
            )
        transition = Transition(self.state, row[event], cause, at)
        self.state = transition.after
        self.history.append(transition)
        return transition


def reachable(start: State) -> frozenset[State]:
    """Return every state that `start` can still come to, itself included."""
    found = {start}
    frontier = [start]
    while frontier:
        for after in TRANSITIONS[frontier.pop()].values():
            if after not in found:
                found.add(after)
                frontier.append(after)
    return frozenset(found)
