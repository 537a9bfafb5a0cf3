"""Text for the API server: on one line, without control characters, and not too long."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

NAMES_SHOWN: Final = 10
"""Names that a message lists at most."""
_CUT: Final = "…"


def one_line(text: str, longest: int) -> str:
    """
    Return a text without anything that a terminal would act on.

    Args:
        text: Any text, for example the name of a service.
        longest: The most characters. A longer text ends with an ellipsis.
    """
    shown = "".join(each if each.isprintable() else "\ufffd" for each in text[: longest + 1])
    return shown if len(shown) <= longest else shown[: longest - 1] + _CUT


def fit(text: str, size: int) -> str:
    """Return as much of a text as fits into `size` bytes. A longer text ends with an ellipsis."""
    encoded = text.encode(errors="replace")
    if len(encoded) <= size:
        return text
    return encoded[: size - len(_CUT.encode())].decode(errors="ignore") + _CUT


def some(names: Iterable[str]) -> str:
    """Join names, for example "a, b and 4 more". Each name is cut to 100 characters."""
    each = [one_line(name, 100) for name in names]
    more = len(each) - NAMES_SHOWN
    shown = ", ".join(each[:NAMES_SHOWN])
    return f"{shown} and {more} more" if more > 0 else shown
