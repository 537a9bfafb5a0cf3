"""A text that people read, and the sentences in it."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

_NAMES: Final = re.compile(r"`[^`]*`|\{[^{}]*\}|https?://[^\s)]+")
_END: Final = re.compile(r"(?<!\be\.g)(?<!\bi\.e)(?<!\bvs)(?<!\betc)[.!?]+[)\"']*(?=\s|$)")
_WORD: Final = re.compile(r"\w[\w'.,:/-]*")


class Kind(enum.Enum):
    """Where a text stands."""

    PARAGRAPH = enum.auto()
    ITEM = enum.auto()
    """An entry of a list, or an argument in a docstring."""
    CELL = enum.auto()
    HEADING = enum.auto()
    """A heading, the header of a column, or a label in bold."""
    MESSAGE = enum.auto()
    """A string in the code: a message, a help text, a log event or a check's fix."""
    PART = enum.auto()
    """A part of a message, which may begin in the middle of a sentence."""


class Sentence(NamedTuple):
    """One sentence. In `words`, each piece of code, field or address is one noun, made of `X`."""

    file: str
    line: int
    shown: str
    words: str
    kind: Kind
    is_first: bool

    @property
    def length(self) -> int:
        """The number of words."""
        return len(_WORD.findall(self.words))


@dataclass(frozen=True)
class Text:
    """A paragraph, an entry, a cell, a heading or a message: code in backticks, fields in braces."""

    file: str
    line: int
    words: str
    kind: Kind

    def sentences(self) -> Iterator[Sentence]:
        """Yield the sentences of this text."""
        masked = _NAMES.sub(lambda found: "X" * len(found[0]), self.words)
        start = 0
        for end in [*(found.end() for found in _END.finditer(masked)), len(masked)]:
            piece = masked[start:end]
            if words := " ".join(piece.split()):
                before = masked[: end - len(piece.lstrip())]
                line = self.line + before.count("\n")
                shown = " ".join(self.words[start:end].split())
                is_first = self.kind is not Kind.PART and not before.strip()
                yield Sentence(self.file, line, shown, words, self.kind, is_first)
            start = end
