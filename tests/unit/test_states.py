"""The table of states, exhaustively, and the machine that moves along it."""

from __future__ import annotations

from itertools import product

import pytest

from lifecycle.exceptions import IllegalTransition
from lifecycle.states import TRANSITIONS, Event, Machine, State, Transition, reachable

LEGAL = {
    (State.STARTING, Event.EXPORT): State.EXPORTING,
    (State.STARTING, Event.DRAIN): State.DRAINING,
    (State.EXPORTING, Event.REGISTER): State.REGISTERED,
    (State.EXPORTING, Event.DRAIN): State.DRAINING,
    (State.REGISTERED, Event.READY): State.READY,
    (State.REGISTERED, Event.DRAIN): State.DRAINING,
    (State.READY, Event.DRAIN): State.DRAINING,
    (State.DRAINING, Event.STOP): State.STOPPED,
    (State.DRAINING, Event.FAIL): State.FAILED,
}
PATHS = {
    State.STARTING: [],
    State.EXPORTING: [Event.EXPORT],
    State.REGISTERED: [Event.EXPORT, Event.REGISTER],
    State.READY: [Event.EXPORT, Event.REGISTER, Event.READY],
    State.DRAINING: [Event.DRAIN],
    State.STOPPED: [Event.DRAIN, Event.STOP],
    State.FAILED: [Event.DRAIN, Event.FAIL],
}


def machine_in(state: State) -> Machine:
    """Make a machine and move it to a state."""
    machine = Machine()
    for event in PATHS[state]:
        machine.fire(event, cause="before", at=1.0)
    assert machine.state is state
    return machine


def test_every_state_has_a_row() -> None:
    """The table is complete: every state has a row, whose events and states exist."""
    assert set(TRANSITIONS) == set(State)
    for row in TRANSITIONS.values():
        assert set(row) <= set(Event)
        assert set(row.values()) <= set(State)


def test_the_table_cannot_be_changed() -> None:
    """Nobody adds a row at run time."""
    with pytest.raises(TypeError):
        TRANSITIONS[State.STOPPED] = {}  # type: ignore[index]


@pytest.mark.parametrize(("state", "event"), list(product(State, Event)))
def test_every_event_in_every_state(state: State, event: Event) -> None:
    """A legal event moves and is remembered; an illegal one raises and changes nothing."""
    machine = machine_in(state)
    before = list(machine.history)
    wanted = LEGAL.get((state, event))

    if wanted is None:
        with pytest.raises(
            IllegalTransition, match=rf"'{event}' is not allowed while the app is {state} "
        ):
            machine.fire(event, cause="now", at=2.0)
        assert (machine.state, machine.history) == (state, before)
    else:
        transition = machine.fire(event, cause="now", at=2.0)
        assert transition == Transition(state, wanted, "now", 2.0)
        assert (machine.state, machine.history) == (wanted, [*before, transition])


@pytest.mark.parametrize(
    ("state", "possible"),
    [
        (State.STARTING, "export, drain"),
        (State.READY, "drain"),
        (State.DRAINING, "stop, fail"),
        (State.STOPPED, "none, the state is final"),
    ],
)
def test_an_event_out_of_place_is_told_what_is_possible(state: State, possible: str) -> None:
    """The message has the event, the state, and what may happen there."""
    with pytest.raises(IllegalTransition) as raised:
        machine_in(state).fire(Event.READY, cause="", at=0.0)
    assert str(raised.value) == (
        f"'ready' is not allowed while the app is {state} (allowed: {possible})"
    )


def test_a_final_state_says_so() -> None:
    """The error of a final state says that there is nothing left to do."""
    with pytest.raises(IllegalTransition, match="the state is final"):
        machine_in(State.FAILED).fire(Event.DRAIN, cause="", at=0.0)


@pytest.mark.parametrize("end", [State.STOPPED, State.FAILED])
def test_the_only_way_out_is_through_draining(end: State) -> None:
    """Whatever ends the app goes through DRAINING, so that it is always deregistered."""
    assert {state for state, row in TRANSITIONS.items() if end in row.values()} == {State.DRAINING}
    assert dict(TRANSITIONS[end]) == {}


def test_every_state_before_draining_can_drain() -> None:
    """A drain may begin anywhere, once."""
    can = {state for state, row in TRANSITIONS.items() if row.get(Event.DRAIN) is State.DRAINING}
    assert can == {state for state in State if not state.leaving}


def test_leaving_is_for_good() -> None:
    """From DRAINING on there is no way back."""
    leaving = {State.DRAINING, State.STOPPED, State.FAILED}
    assert {state for state in State if state.leaving} == leaving
    for state in leaving:
        assert reachable(state) <= leaving


def test_reachable() -> None:
    """What can still be reached shrinks along the way, and holds the state itself."""
    assert reachable(State.STARTING) == set(State)
    assert reachable(State.READY) == {State.READY, State.DRAINING, State.STOPPED, State.FAILED}
    assert reachable(State.DRAINING) == {State.DRAINING, State.STOPPED, State.FAILED}
    assert reachable(State.STOPPED) == {State.STOPPED}
    for state, row in TRANSITIONS.items():
        for after in row.values():
            assert reachable(after) < reachable(state)
