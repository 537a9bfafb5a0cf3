"""What the text of a variable may be, by Hypothesis."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.config import KILL_MARGIN, Config, is_service_link, parse
from lifecycle.exceptions import ConfigError

words = st.text(st.characters(blacklist_characters=",", blacklist_categories=("Cs",)), min_size=1)


@given(st.floats(allow_nan=False))
def test_a_number_survives(value: float) -> None:
    """What Python prints for a number is read as that number."""
    assert parse(f" {value!r} ", float) == value


@given(st.integers())
def test_a_whole_number_survives(value: int) -> None:
    """So is a whole one."""
    assert parse(str(value), int) == value
    assert parse(str(value), int | None) == value


@given(st.lists(words.map(str.strip).filter(bool)))
def test_a_list_of_words_survives(value: list[str]) -> None:
    """A tuple is what its words are, joined by commas."""
    assert parse(",".join(value), tuple[str, ...]) == tuple(value)


@given(st.sampled_from(["1", "true", "yes", "on"]), st.booleans())
def test_a_flag(text: str, upper: bool) -> None:
    """A flag may be written in several ways, in any case."""
    assert parse(text.upper() if upper else text, bool) is True


@given(st.text(), st.sampled_from([bool, int, float, str, tuple[int, ...], float | None]))
def test_any_text(text: str, annotation: Any) -> None:
    """Any text is read, or refused with a sentence that says what is wanted."""
    problem = ""
    try:
        value = parse(text, annotation)
    except ValueError as wrong:
        problem = str(wrong)
    kind = {tuple[int, ...]: tuple, float | None: (float, type(None))}
    assert problem.startswith("must be ") or isinstance(value, kind.get(annotation, annotation))


@given(
    grace_period=st.floats(),
    settle=st.floats(),
    quiet=st.floats(),
    stop_timeout=st.floats(),
)
def test_times_fit_or_are_refused(**times: float) -> None:
    """Whatever times are given: they fit into the grace period, or there is no Config."""
    try:
        config = Config(**times)
    except ConfigError:
        return
    assert all(math.isfinite(value) for value in times.values())
    needed = config.settle + config.quiet + config.stop_timeout + KILL_MARGIN
    assert needed <= config.grace_period


@given(st.text(), st.sampled_from(["tcp", "UDP", "sctp"]), st.text())
def test_an_address_of_a_service_link_is_never_ours(name: str, protocol: str, rest: str) -> None:
    """A port that is `tcp://…` was made by Kubernetes, whatever the Service is called."""
    assert is_service_link(f"LIFECYCLE_{name}_PORT", f"{protocol}://{rest}")
    assert not is_service_link("LIFECYCLE_TARGETS", f"{protocol}://{rest}")


@pytest.mark.parametrize("name", ["LIFECYCLE_QOS_PORT", "LIFECYCLE_SERVICES", "LIFECYCLE_TCP_PORT"])
def test_our_own_variables_are_no_links(name: str) -> None:
    """A plain value under a name of ours is ours."""
    assert not is_service_link(name, "8080")
