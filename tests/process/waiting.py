"""The one helper that polls, and how patient it is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")

POLL: Final = 0.01
"""Seconds between two looks at a condition that only polling can see."""


def wait_for(condition: Callable[[], T], timeout: float, what: str | Callable[[], str]) -> T:
    """
    Poll until a condition gives something true, and return that; the one polling helper.

    Args:
        condition: What is waited for.
        timeout: Seconds after which it is hopeless. On a busy machine, `patience` times as long.
        what: What it is, for the error.
    """
    began = time.monotonic()
    while not (value := condition()):
        if (waited := time.monotonic() - began) > timeout * patience():
            raise AssertionError(
                f"not within {waited:.0f} s: {what if isinstance(what, str) else what()}"
            )
        time.sleep(POLL)
    return value


def patience() -> float:
    """Return how many times longer than on a quiet machine a wait may take, from 1 to 4."""
    return min(max(1.0, os.getloadavg()[0] / (2 * (os.cpu_count() or 1))), 4.0)
