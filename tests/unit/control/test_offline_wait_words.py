"""What `lifecycle offline --wait` says in the end."""

from __future__ import annotations

from typing import Any

import pytest

from lifecycle.control.offline_wait import done_in_words, late_in_words

DONE = [
    ((["orders"], 6.24, [], ""), "OK: orders offline, no client is served (waited 6.2 s)"),
    ((["a", "b"], 5.0, [], "Nobody knows"), "OK: a, b offline (waited 5.0 s). Nobody knows"),
    (
        ([*"abcdefg"], 5.0, ["h"], ""),
        "OK: a, b, c, d, e and 2 more offline (waited 5.0 s). Other app services are online (h), "
        "so running requests were not waited for",
    ),
]


@pytest.mark.parametrize(("given", "words"), DONE)
def test_what_is_said_in_the_end(given: tuple[Any, ...], words: str) -> None:
    """Which services, how long it took, and what was not waited for."""
    assert done_in_words(*given) == words


LATE = [
    ({}, "the last request came a moment ago"),
    ({"settle_left": 0.25}, "settle ends in 0.2 s"),
    (
        {"registered": ["orders@consul (no answer yet)"], "served": ["2 in flight"]},
        "still registered: orders@consul (no answer yet); 2 in flight",
    ),
    ({"registered": [*"abcdef"]}, "still registered: a, b, c, d, e and 1 more"),
]


@pytest.mark.parametrize(("given", "why"), LATE)
def test_why_the_time_is_over(given: dict[str, Any], why: str) -> None:
    """Everything that was still waited for."""
    told = late_in_words(60, **({"registered": [], "settle_left": -1.0, "served": []} | given))
    assert told.startswith(f"timed out after 60 s ({why}). The app services stay offline. ")
