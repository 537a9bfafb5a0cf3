"""What the options of several probes have in common: targets with names, ranges."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

MOST_OF_THE_PROBE_TIMEOUT = 0.9
"""The share of `probe_timeout` a check may take, so that the reason is ours to word."""


def check_range(field: str, value: float, low: float, high: float, unit: str) -> None:
    """
    Refuse a number out of its range.

    Raises:
        ValueError: It is, or it is no number; the message names the field.
    """
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not low <= value <= high:
        raise ValueError(f"{field}={value!r}: must be from {low:g} to {high:g} {unit}")


def read_targets(
    field: str, texts: tuple[str, ...], read: Callable[[str], tuple[str, T]]
) -> dict[str, T]:
    """
    Read `TARGET` or `NAME=TARGET` for each text; the name is what a verdict shows.

    Args:
        field: The option's name, for the error.
        texts: What was configured.
        read: Reads a target; returns its name, if none is given, and what it read.

    Raises:
        ValueError: One is no target, or two have one name; the message names the field.
    """
    targets: dict[str, T] = {}
    for text in texts:
        label, equals, rest = text.partition("=")
        labelled = bool(equals) and not set(label) & set(":/?[")
        if labelled and not (label and label.replace("-", "").replace("_", "").isalnum()):
            raise ValueError(
                f"{field}: {label!r} is no name for a target: letters, digits, - and _ only"
            )
        try:
            own_name, target = read(rest if labelled else text)
        except ValueError as wrong:
            raise ValueError(f"{field}: {wrong}") from None
        name = label if labelled else own_name
        if name in targets:
            raise ValueError(
                f"{field}: two targets are called {name!r}; name one of them: NAME=TARGET"
            )
        targets[name] = target
    return targets


def is_host(text: str) -> bool:
    """Tell whether a text can be looked up at all: no label is empty or too long."""
    try:
        return bool(text.encode("idna"))
    except UnicodeError:
        return False


def time_for_checks(timeout: float, probe_timeout: float) -> float:
    """Return the seconds that checks may take, so that they end before the dispatcher ends them."""
    return min(timeout, probe_timeout * MOST_OF_THE_PROBE_TIMEOUT)
