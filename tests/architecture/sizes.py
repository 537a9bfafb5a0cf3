"""How large the modules are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Final

from tests.architecture.sources import Module

LONGEST: Final = 400
"""Lines of a module: one that is longer has two concerns."""
MEDIAN: Final = 150
"""Lines that half of the modules stay below."""


def summary(modules: Sequence[Module]) -> str:
    """Say how large they are, in a sentence."""
    counted = _counted(modules)
    longest = max(counted, key=lambda each: len(each.lines))
    return (
        f"{len(counted)} modules, half of them below {_median(counted):g} lines; "
        f"the longest is {longest.name} with {len(longest.lines)}"
    )


def too_large(modules: Sequence[Module]) -> Iterator[str]:
    """Yield the modules that are too long, and the median if it is too high."""
    for each in modules:
        if len(each.lines) > LONGEST:
            yield f"{each.path}: {len(each.lines)} lines, and {LONGEST} are allowed: split it"
    if (middle := _median(_counted(modules))) >= MEDIAN:
        yield f"half of the modules have {middle:g} lines or more, and it must be below {MEDIAN}"


def _counted(modules: Sequence[Module]) -> list[Module]:
    return [each for each in modules if not each.is_empty]


def _median(modules: Sequence[Module]) -> float:
    return median(len(each.lines) for each in modules)
