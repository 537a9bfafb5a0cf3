"""Which setting a misspelt variable was to be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lifecycle.checks.rules.spelling import distance, intended
from lifecycle.config import core_variables
from lifecycle.environment_variables import PREFIX

KNOWN = sorted(core_variables())
WORDS = st.text("ABCD_", max_size=6)


@given(st.sampled_from(KNOWN), st.data())
def test_one_slip_is_found(name: str, data: st.DataObject) -> None:
    """A letter that is left out, doubled or swapped with the next is one slip, after any first letter."""
    at = data.draw(st.integers(len(PREFIX) + 1, len(name) - 1))
    slips = [
        name[:at] + name[at + 1 :],
        name[:at] + name[at] + name[at:],
        name[: at - 1] + name[at] + name[at - 1] + name[at + 1 :],
    ]
    slip = data.draw(st.sampled_from(slips))

    assert intended(slip, KNOWN) == ("" if slip in KNOWN else name)


@given(st.sampled_from(KNOWN), st.sampled_from(["ACME", "DNS", "SQS", "HTTP", "TCP", "DISK"]))
def test_a_plugin_s_variable_is_left_alone(name: str, plugin: str) -> None:
    """An option of a plugin may be called as a setting is."""
    word = name.removeprefix(PREFIX).rpartition("_")[2]

    assert intended(f"{PREFIX}{plugin}_{word}", KNOWN) == ""


@given(WORDS, WORDS, WORDS)
def test_a_distance(one: str, other: str, third: str) -> None:
    """It is none to itself, the same both ways, and no more than the letters that there are."""
    assert (distance(one, other) == 0) == (one == other)
    assert distance(one, other) == distance(other, one)
    assert distance(one, other) <= max(len(one), len(other))
    assert distance(one + third, other + third) <= distance(one, other)
