"""The two tables of a connection's states, played through."""

from __future__ import annotations

import itertools

import pytest

from lifecycle.serving.connection_states import (
    GIVE_WAY,
    NEW_TIME,
    NEXT,
    REUSE_TIME,
    RULES,
    ConnEvent,
    ConnState,
    GivesWay,
)
from lifecycle.serving.connection_table import ConnectionEntry, ConnectionTable

CLOSED, IDLE, NEW, ACTIVE, HELD = ConnState
REQUEST, HOLD, ANSWERED, CLOSE = ConnEvent

DRAWN = """
            REQUEST   HOLD    ANSWERED  CLOSE   | gives way to  waits  young  kept  over
    NEW     ACTIVE    HELD    IDLE      CLOSED  | anybody       yes    yes    no    no
    ACTIVE  ACTIVE    HELD    IDLE      CLOSED  | a_request     no     no     no    no
    HELD    HELD      HELD    IDLE      CLOSED  | nobody        no     no     no    no
    IDLE    ACTIVE    HELD    IDLE      CLOSED  | anybody       yes    no     yes   no
    CLOSED  CLOSED    CLOSED  CLOSED    CLOSED  | anybody       no     no     no    yes
"""


def in_state(state: ConnState, at: float = 10.0) -> ConnectionEntry:
    """Return a connection that has come to a state at a time; it is 20 s later by now."""
    table = ConnectionTable(iter([at, at, at + 20.0]).__next__)
    entry = table.add("a")
    entry.become(state)
    if state is NEW:
        table.clock()
    return entry


def test_the_tables_are_what_is_drawn() -> None:
    """Every state has a row, every event a column, and nothing is left out."""
    head, *rows = [line.replace("|", " ").split() for line in DRAWN.strip().splitlines()]
    events = head[: len(ConnEvent)]
    assert events == [event.name for event in ConnEvent]
    drawn = {}
    for name, *cells in rows:
        drawn[ConnState[name]] = cells
        state = ConnState[name]
        rules = RULES[state]
        flags = [rules.waits, rules.young, rules.kept, rules.over]
        follows = [NEXT[state][event].name for event in ConnEvent]
        whom = rules.gives_way.name.removeprefix("TO_").lower()
        assert cells == [*follows, whom, *("yes" if flag else "no" for flag in flags)]
    assert set(drawn) == set(ConnState) == set(RULES) == set(NEXT)


@pytest.mark.parametrize(("state", "event"), [*itertools.product(ConnState, ConnEvent)])
def test_every_event_in_every_state(state: ConnState, event: ConnEvent) -> None:
    """It comes to stand where the table says, since then; or where it stood, since ever."""
    entry = in_state(state)
    entry.note(event)
    follows = NEXT[state][event]
    assert (entry.state, entry.since) == (follows, 10.0 if follows is state else 30.0)
    assert entry in set(entry.table)


@pytest.mark.parametrize("events", [*itertools.product(ConnEvent, repeat=4)])
def test_what_is_closed_is_closed_for_good(events: tuple[ConnEvent, ...]) -> None:
    """Whatever happens before and after; nothing but CLOSE closes."""
    table = ConnectionTable(itertools.count().__next__)
    entry = table.add("a")
    for event in events:
        entry.note(event)
    assert (entry.state is CLOSED) == (CLOSE in events)


@pytest.mark.parametrize("state", ConnState)
def test_from_when_on_it_may_be_closed_as_idle(state: ConnState) -> None:
    """At once, but for one whose request may be on its way: the first, or the next one."""
    entry = in_state(state)
    times = {NEW: NEW_TIME, IDLE: REUSE_TIME}
    assert entry.idle_from == 10.0 + times.get(state, 0.0)
    entry.table.ends = True
    assert entry.idle_from == 10.0 + (NEW_TIME if state is NEW else 0.0)


@pytest.mark.parametrize(("state", "asking"), [*itertools.product(ConnState, [False, True])])
def test_who_makes_room_for_whom(state: ConnState, asking: bool) -> None:
    """One that has asked takes the place of more states than one that has only come."""
    entry = in_state(state)
    whom = GivesWay.TO_A_REQUEST if asking else GivesWay.TO_ANYBODY
    gives_way = RULES[state].gives_way <= whom
    assert entry.group.least(whom) is (entry if gives_way else None)
    assert (state in GIVE_WAY[whom]) == gives_way


@pytest.mark.parametrize("state", ConnState)
def test_what_has_come_unread_keeps_its_place_where_it_may_be_a_request(state: ConnState) -> None:
    """Where a request is being answered already, or nothing follows, it changes nothing."""
    entry = in_state(state)
    entry.unread = lambda: True
    found = entry.group.least(GivesWay.TO_A_REQUEST)
    kept = RULES[state].waits or RULES[state].gives_way is GivesWay.TO_NOBODY
    assert found is (None if kept else entry)


def test_least_to_lose_first() -> None:
    """Of all that may make room, in the order of what would be lost."""
    assert GIVE_WAY[GivesWay.TO_ANYBODY] == (CLOSED, IDLE, NEW)
    assert GIVE_WAY[GivesWay.TO_A_REQUEST] == (CLOSED, IDLE, NEW, ACTIVE)
