"""`lifecycle tune` finds a known propagation delay in the logs of a real rollout."""

from __future__ import annotations

import pytest

from benchmarks.propagation import measure

PROPAGATION = 2.0
SETTLE = 4.0
NOISE = 0.3
"""Seconds of a delay of the load generator that show that the machine is too busy."""


@pytest.mark.timeout(150)  # twenty processes start, one after the other, beside other tests
def test_it_finds_a_propagation_of_two_seconds():
    """
    Right within 20 %, and never short, although idle clients ask on until settle is over.

    `make propagation` does the same with 10 and 60 s.
    """
    found = measure(PROPAGATION, settle=SETTLE)
    tuned = found.tuned
    assert (tuned["service"], tuned["drains"], tuned["basis"]) == ("shop", 10, "connections")
    assert tuned["cut"] == 0
    assert found.last_request > 1.2 * PROPAGATION  # which would be the answer without connections
    if found.late < NOISE:  # otherwise the last clients may have been kept from asking
        assert tuned["advised"] >= PROPAGATION, found
    assert tuned["advised"] <= 1.2 * PROPAGATION + found.late, found
    assert tuned["verdict"] == "longer than needed"
    assert tuned["sure"]
    assert found.lost_new == 0, found
