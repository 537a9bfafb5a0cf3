"""
The values of labels: bounded, and valid in both formats.

Names of services, probes and registries become labels. Paths, user agents, and everything else that
a client can choose, never do.
"""

from __future__ import annotations

from typing import Final

LONGEST: Final = 300
"""Characters of a value. The name of a service has at most 253."""


def label(value: object) -> str:
    """
    Return the value of a label.

    A line feed, quotes and every printable character stay. The formats have an escape for them.
    Every other character is replaced by its Python escape, because some parsers end at it.
    """
    text = str(value)
    if len(text) > LONGEST:
        text = text[: LONGEST - 1] + "…"
    return text if text.isprintable() else "".join(map(_character, text))


def _character(character: str) -> str:
    if character.isprintable() or character == "\n":
        return character
    return ascii(character)[1:-1]
