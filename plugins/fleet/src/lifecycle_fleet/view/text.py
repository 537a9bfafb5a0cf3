"""Texts for a terminal: foreign text on its line, ages, widths. Pure."""

from __future__ import annotations

import unicodedata
from typing import Final

from lifecycle_fleet.view.told import printable

MINUTE: Final = 60
HOUR: Final = 3600
DAY: Final = 86400
STEPS: Final = (
    (2 * MINUTE, 1, "s", 0, ""),
    (10 * MINUTE, MINUTE, "m", 1, "s"),
    (3 * HOUR, MINUTE, "m", 0, ""),
    (8 * HOUR, HOUR, "h", MINUTE, "m"),
    (2 * DAY, HOUR, "h", 0, ""),
    (8 * DAY, DAY, "d", HOUR, "h"),
)
"""For a duration below the first number: the unit and its name, and the smaller unit and its name."""


def printable_lines(text: str) -> str:
    """Return text of several lines without anything that does something to a terminal."""
    return "\n".join(printable(line.expandtabs()) for line in text.splitlines())


def width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    return sum(
        2 if unicodedata.east_asian_width(each) in "WF" else not unicodedata.combining(each)
        for each in text
    )


def age(seconds: float) -> str:
    """Return a duration as kubectl writes it: `59s`, `5m3s`, `42m`, `3h5m`, `2d4h`, `12d`."""
    whole = max(0, int(seconds))
    for below, unit, name, smaller, smaller_name in STEPS:
        if whole < below:
            rest = whole % unit // smaller if smaller else 0
            return f"{whole // unit}{name}" + (f"{rest}{smaller_name}" if rest else "")
    return f"{whole // DAY}d"
