"""Text for attributes: bounded, and valid in every protocol."""

from __future__ import annotations

from typing import Final

LONGEST: Final = 300
"""Characters of a value. The name of a service has at most 253."""


def bounded(value: object, longest: int = LONGEST) -> str:
    """
    Return a value as text. Characters that cannot be printed are replaced by their Python escape.

    Args:
        value: The value.
        longest: The most characters.
    """
    text = str(value)
    if len(text) > longest:
        text = text[: longest - 1] + "…"
    return text if text.isprintable() else "".join(map(_character, text))


def _character(character: str) -> str:
    if character.isprintable() or character == "\n":
        return character
    return ascii(character)[1:-1]
