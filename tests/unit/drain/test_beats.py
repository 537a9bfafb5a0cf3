"""Monitors are told from clients by the beat that they keep."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.drain.beats import KEPT, Arrivals

NODE, CLIENT = b"\x0a\0\0\1", b"\x0a\0\0\2"


def heard(*times: float, peer: bytes = NODE, received: int = 90) -> Arrivals:
    arrivals = Arrivals()
    for at in times:
        arrivals.note(peer, received, ended=at, began=at)
    return arrivals


def mixed(*monitors: tuple[float, float]) -> list[float]:
    """The times of monitors, each with its first check and its period, over 12 seconds."""
    times = (first + period * n for first, period in monitors for n in range(100))
    return sorted(at for at in times if at < 12)


@pytest.mark.parametrize(
    "times",
    [
        [0, 1, 2, 3],
        [0, 0.7, 1.41, 2.1, 2.8],
        [0.3, 5, 5.2, 10, 11, 12, 13],
        mixed((0, 1), (0.3, 1)),
        mixed((0, 1), (0.3, 1), (0.35, 1)),
        mixed((0, 1), (0.5, 2)),
    ],
    ids=["1 s", "jitter", "of late", "two", "three", "1 s and 2 s"],
)
def test_a_beat_is_no_arrival(times: list[float]) -> None:
    """One monitor, or a few that ask the same from one address, do not disturb the quiet."""
    arrivals = heard(*times)
    assert arrivals.last() == -math.inf
    assert arrivals.most() == []


@pytest.mark.parametrize(
    "times",
    [[0], [0, 1], [0, 1, 2], [0, 1, 2, 2.5], [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [0, 1, 3, 7]],
    ids=["once", "twice", "too early to tell", "off the beat", "too often", "ever more seldom"],
)
def test_anything_else_is_one(times: list[float]) -> None:
    """A client's connection begins the quiet anew."""
    arrivals = heard(*times)
    assert arrivals.last() == times[-1]
    assert arrivals.most() == [(NODE, len(times))]


def test_a_beat_is_one_senders() -> None:
    """The same address with other bytes, or another address, keeps no beat with it."""
    arrivals = heard(0, 1, 2)
    arrivals.note(CLIENT, 90, ended=3, began=3)
    arrivals.note(NODE, 91, ended=3.5, began=3.2)
    assert arrivals.last() == 3.2
    arrivals.note(NODE, 90, ended=3, began=3)
    assert arrivals.most() == [(CLIENT, 1), (NODE, 1)]


@pytest.mark.parametrize("received", [0, 1])
def test_a_port_that_is_only_tried_is_no_arrival(received: int) -> None:
    """The kubelet's tcpSocket: nothing came but the end, which counts as a byte."""
    assert heard(0, 0.2, 0.3, received=received).last() == -math.inf


def test_clients_are_rarely_taken_for_monitors() -> None:
    """Of clients that come at random, one in some thirty looks like a monitor at any moment."""
    dice = random.Random(7)
    taken = 0
    for _ in range(300):
        rate, at, times = dice.choice([0.5, 1, 2, 5, 20]), 0.0, []
        for _ in range(30):
            at += dice.expovariate(rate)
            times.append(at)
        taken += heard(*times).last() == -math.inf
    assert taken < 15


@given(st.lists(st.tuples(st.binary(min_size=4, max_size=4), st.integers(0, 9)), max_size=300))
def test_strangers_fill_no_memory(who: list[tuple[bytes, int]]) -> None:
    """However many come, some are told apart, and the last is never forgotten."""
    arrivals = Arrivals()
    for at, (peer, received) in enumerate(who):
        arrivals.note(peer, received, ended=at, began=at)
    assert len(arrivals._senders) <= KEPT
    assert len(arrivals.most()) <= 5


def test_one_among_thousands_is_not_forgotten() -> None:
    """Who was pushed out by others has arrived all the same; so has who was not seen."""
    arrivals = Arrivals()
    for at in range(500):
        arrivals.note(at.to_bytes(4, "big"), 90, ended=at / 1000, began=at / 1000)
    assert arrivals.last() == 0.499
    arrivals.missed(7)
    assert arrivals.last() == 7


def test_the_connections_of_each_second_without_monitors() -> None:
    """A probe each second is left out, and one that is still open is counted."""
    arrivals = Arrivals(100.0)
    for second in range(8):
        arrivals.note(NODE, 80, ended=100.0 + second, began=100.0 + second)
    arrivals.note(CLIENT, 100, ended=102.5, began=102.4)
    found = arrivals.timeline([103.5])
    assert (found.seconds, found.last) == ([0, 0, 1, 1], 3.5)


def test_the_connections_of_senders_that_are_no_longer_stored() -> None:
    """They have still come."""
    arrivals = Arrivals(100.0)
    for number in range(KEPT + 5):
        arrivals.note(CLIENT, 100 + number, ended=102.5, began=102.4)
    assert arrivals.timeline([]).seconds == [0, 0, KEPT + 5]


def test_no_connection_at_all() -> None:
    """Zero, and not before the drain start."""
    assert (Arrivals(100.0).timeline([]).last, Arrivals(100.0).timeline([]).seconds) == (0.0, [])
