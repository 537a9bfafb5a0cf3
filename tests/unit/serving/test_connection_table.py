"""Where connections stand, and which one makes room."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.serving.connection_states import ConnState
from lifecycle.serving.connection_table import ConnectionEntry, ConnectionTable

CLOSED, IDLE, NEW, ACTIVE, HELD = ConnState


def table_of(*connections: tuple[str, ConnState]) -> tuple[ConnectionTable, list[ConnectionEntry]]:
    """Return a table with connections, in their order, a second apart."""
    table = ConnectionTable(itertools.count().__next__)
    added = []
    for address, state in connections:
        standing = table.add(address)
        standing.become(state)
        added.append(standing)
    return table, added


def test_a_new_connection_is_new_since_it_came():
    """And each state since it began; the same once more changes nothing."""
    table = ConnectionTable(iter([10.0, 11.0, 12.0]).__next__)
    one = table.add("a")
    seen = [(one.state, one.since)]
    for state in (ACTIVE, ACTIVE, IDLE):
        one.become(state)
        seen.append((one.state, one.since))
    assert seen == [(NEW, 10.0), (ACTIVE, 11.0), (ACTIVE, 11.0), (IDLE, 12.0)]


def test_what_is_closed_stays_closed():
    """What its app still does changes nothing."""
    _, [one] = table_of(("a", CLOSED))
    one.become(ACTIVE)
    assert one.state is CLOSED


@pytest.mark.parametrize(
    ("there", "first"),
    [
        ([ACTIVE, NEW, IDLE, CLOSED], CLOSED),
        ([ACTIVE, NEW, IDLE], IDLE),
        ([ACTIVE, NEW, HELD], NEW),
        ([ACTIVE, HELD], None),
    ],
)
def test_what_has_least_to_lose_makes_room(there, first):
    """But nothing that has asked, for one that has not."""
    table, _ = table_of(*(("a", state) for state in there))
    found = table.dispensable("a")
    assert (found.state if found else None) == first


def test_the_oldest_of_a_state_makes_room():
    """By when its state began, not by when it connected."""
    table, [first, second] = table_of(("a", IDLE), ("a", IDLE))
    first.become(ACTIVE)
    first.become(IDLE)
    assert table.dispensable("a") is second


def test_the_largest_crowd_makes_room_first():
    """An idle connection of another address is worth more than a new one of the crowd."""
    table, _ = table_of(("kubelet", IDLE), ("crowd", NEW), ("crowd", NEW), ("crowd", ACTIVE))
    for newcomer in ("kubelet", "crowd", "another", None):
        assert table.dispensable(newcomer).address == "crowd"


def test_a_crowd_cannot_push_a_smaller_one_out():
    """If the crowd has nothing to give, its own newcomer is refused; so is nobody else."""
    table, [_, _, _, other] = table_of(
        ("crowd", ACTIVE), ("crowd", ACTIVE), ("crowd", ACTIVE), ("kubelet", IDLE)
    )
    assert table.dispensable("crowd") is None
    assert table.dispensable("another") is other
    assert [table.is_largest(each) for each in ("crowd", "kubelet", "another")] == [
        True,
        False,
        False,
    ]


def test_who_has_sent_what_nobody_has_read_is_passed_over():
    """Its request may be whole: it has asked, as far as anybody can tell."""
    table, [waiting, idle, silent] = table_of(("a", NEW), ("a", IDLE), ("a", NEW))
    waiting.unread = idle.unread = lambda: True
    assert table.dispensable("a") is silent
    table.remove(silent)
    assert table.dispensable("a") is None


def test_who_has_asked_takes_the_place_of_the_oldest_of_the_crowd_that_is_being_answered():
    """However small its own is; what is held keeps its place."""
    table, [_, oldest, _, asking] = table_of(
        ("crowd", HELD), ("crowd", ACTIVE), ("crowd", ACTIVE), ("kubelet", ACTIVE)
    )
    assert table.outranked(asking) is oldest


@pytest.mark.parametrize(("address", "refused"), [("crowd", True), ("kubelet", False)])
def test_where_everything_is_held_the_crowds_own_is_refused(address, refused):
    """One of a smaller crowd is served beside them."""
    table, [*_, asking] = table_of(("crowd", HELD), ("crowd", HELD), (address, HELD))
    assert table.outranked(asking) is (asking if refused else None)


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(0, 9), st.sampled_from([*ConnState, None]))
    )
)
def test_the_table_counts_what_is_there(steps):
    """Whatever comes, changes and goes, in any order, and twice."""
    table = ConnectionTable(itertools.count().__next__)
    there: dict[tuple[str, int], ConnectionEntry] = {}
    gone: list[ConnectionEntry] = []
    for address, number, state in steps:
        key = address, number
        if key not in there:
            there[key] = table.add(address)
        elif state is None:
            table.remove(there[key])
            gone.append(there.pop(key))
        else:
            there[key].become(state)
        for each in gone:
            each.become(IDLE)
            table.remove(each)
        assert len(table) == len(there)
        assert set(table) == set(there.values())
        sizes = Counter(address for address, _ in there)
        found = table.dispensable()
        can = [each for each in there.values() if each.state < ACTIVE]
        assert (found is None) == (not can)
        if found is not None:
            assert sizes[found.address] == max(sizes[each.address] for each in can)
