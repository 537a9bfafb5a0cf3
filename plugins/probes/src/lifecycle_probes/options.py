"""Helpers for the options of several probes: named targets and ranges."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

MOST_OF_THE_PROBE_TIMEOUT = 0.9
"""The share of `probe_timeout` that a check may take, so that the check can give a reason."""


def check_range(field: str, value: float, low: float, high: float, unit: str) -> None:
    """
    Check that a number is in its range.

    Raises:
        ValueError: The value is not a number, or out of range. The message contains the field.
    """
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not low <= value <= high:
        raise ValueError(f"{field}={value!r}: must be from {low:g} to {high:g} {unit}")


def read_targets(
    field: str, texts: tuple[str, ...], read: Callable[[str], tuple[str, T]]
) -> dict[str, T]:
    """
    Read `TARGET` or `NAME=TARGET` from each text. Probe results show the name.

    Args:
        field: The name of the option, for the error.
        texts: The configured texts.
        read: Reads a target. Returns the default name of the target, and the target.

    Raises:
        ValueError: A text is not a target, or two have the same name. The message contains the
            field.
    """
    targets: dict[str, T] = {}
    for text in texts:
        label, equals, rest = text.partition("=")
        labelled = bool(equals) and not set(label) & set(":/?[")
        if labelled and not (label and label.replace("-", "").replace("_", "").isalnum()):
            raise ValueError(
                f"{field}: {label!r} is not a valid name. Use only letters, digits, - and _"
            )
        try:
            own_name, target = read(rest if labelled else text)
        except ValueError as wrong:
            raise ValueError(f"{field}: {wrong}") from None
        name = label if labelled else own_name
        if name in targets:
            raise ValueError(
                f"{field}: two targets are named {name!r}. Give one of them a name: NAME=TARGET"
            )
        targets[name] = target
    return targets


def is_host(text: str) -> bool:
    """Return True if a text can be a host name, without empty or too long labels."""
    try:
        return bool(text.encode("idna"))
    except UnicodeError:
        return False


def time_for_checks(timeout: float, probe_timeout: float) -> float:
    """Return the seconds that checks may take, so that they end before the probe's deadline."""
    return min(timeout, probe_timeout * MOST_OF_THE_PROBE_TIMEOUT)
