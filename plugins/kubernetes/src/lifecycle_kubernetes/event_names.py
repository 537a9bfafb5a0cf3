"""The names of the Kubernetes Events, and the choice of those to send."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

REASONS: Final = (
    "Registered",
    "Ready",
    "Offline",
    "Online",
    "Draining",
    "Drained",
    "CutOff",
    "StartSlow",
)
"""The names of all events."""
REPEATED: Final = frozenset({"Offline", "Online"})
"""Events that a pod may have many times. Each other one comes once in the life of a container."""
ALL: Final = "all"
NONE: Final = "none"


def chosen(words: Iterable[str]) -> frozenset[str]:
    """
    Return the names of the events to send.

    Args:
        words: `all`, or `none`, or names of events, in any case of letters.

    Raises:
        ValueError: A word is not the name of an event. The message has the nearest name.
    """
    given = [*words]
    names = {each.lower(): frozenset({each}) for each in REASONS}
    alone = {ALL: frozenset(REASONS), NONE: frozenset[str]()}
    if len(given) == 1 and given[0].lower() in alone:
        return alone[given[0].lower()]
    for each in given:
        if each.lower() in alone:
            raise ValueError(f"events: {each!r} must be alone, without names of events")
        if each.lower() not in names:
            raise ValueError(
                f"events: {each!r} must be one of {', '.join(REASONS)}{_hint(each.lower())}"
            )
    if not given:
        raise ValueError("events: must be all, none, or names of events")
    return frozenset().union(*(names[each.lower()] for each in given))


def _hint(word: str) -> str:
    from difflib import get_close_matches  # imported only after a mistake

    lower = {each.lower(): each for each in (*REASONS, ALL, NONE)}
    near = get_close_matches(word, lower, n=1)
    return f". Did you mean {lower[near[0]]}?" if near else ""
