"""Reading a number of seconds from the command line."""

from __future__ import annotations

import argparse


def seconds(text: str) -> float:
    """
    Return a number of seconds, above 0 and at most a day.

    Raises:
        ArgumentTypeError: The text is not such a number.
    """
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= 86400:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of seconds, above 0 and at most 86400"
        )
    return value
