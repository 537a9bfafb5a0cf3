"""How many connections there may be, and who finds room beyond that."""

from __future__ import annotations

import itertools

from lifecycle.serving.connection_cap import RESERVE, ConnectionCap
from lifecycle.serving.connection_states import ConnState
from lifecycle.serving.connection_table import ConnectionEntry, ConnectionTable

CAP = 4 * RESERVE


def full(
    state: ConnState, address: str = "crowd"
) -> tuple[ConnectionCap, list[ConnectionEntry], list[ConnectionEntry]]:
    """Return a cap that is reached by connections of one address, those, and those that are cut."""
    table = ConnectionTable(itertools.count().__next__)
    there, cut = [table.add(address) for _ in range(CAP)], []
    for entry in there:
        entry.become(state)
        entry.abort = lambda entry=entry: cut.append(entry)
    return ConnectionCap(table, CAP), there, cut


def test_below_it_nobody_is_cut() -> None:
    """And without one never."""
    cap, [first, *_], cut = full(ConnState.IDLE)
    first.table.remove(first)
    assert cap.has_room("crowd")
    assert ConnectionCap(first.table, None).has_room("crowd")
    assert cut == []


def test_an_idle_connection_makes_room_for_the_next_one() -> None:
    """The oldest of them; it counts no more."""
    cap, [first, *others], cut = full(ConnState.IDLE)
    assert cap.has_room("kubelet")
    assert cut == [first]
    assert set(first.table) == set(others)


def test_who_has_not_asked_has_a_reserve_and_the_crowd_half_of_it() -> None:
    """Where all others are being answered: so that who comes can ask."""
    for address, places in (("crowd", CAP // RESERVE // 2), ("kubelet", CAP // RESERVE)):
        cap, [first, *_], cut = full(ConnState.ACTIVE)
        came = 0
        while came < 99 and cap.has_room(address):
            first.table.add(address).become(ConnState.ACTIVE)
            came += 1
        assert (came, cut) == (places, [])


def test_who_asks_beyond_it_takes_the_place_of_one_that_is_answered() -> None:
    """The oldest of the crowd; if all keep their places, the crowd's own is cut."""
    cap, [first, *_], cut = full(ConnState.ACTIVE)
    asking = first.table.add("kubelet")
    assert cap.has_room_to_ask(asking)
    assert cut == [first]
    cap, [first, *_], cut = full(ConnState.HELD)
    asking = first.table.add("crowd")
    assert not cap.has_room_to_ask(asking)
    assert asking not in set(first.table)
    assert cut == []


def test_nobody_who_has_asked_is_cut_before_all_that_came_is_read() -> None:
    """Requests that wait to be read hide the one that has sent nothing; it is cut once they are."""
    cap, there, cut = full(ConnState.NEW)
    for entry in there:
        entry.unread = lambda: True
    silent = there[0].table.add("crowd")
    silent.abort = lambda: cut.append(silent)
    for entry in there:
        entry.become(ConnState.ACTIVE)
        entry.unread = lambda: False
        assert cap.has_room_to_ask(entry)
    assert cut == [silent]
