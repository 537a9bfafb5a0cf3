"""
A fix, which may be a command to copy. Pure.

Rules of this file:

1. A value of the cluster in a command is a name of Kubernetes, or it is replaced by a word in capitals
   that names it. Anyone who may create a pod can write its owner, for example.
2. A command that the spec of a pod has is quoted word by word, and stands after `--`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Final

from lifecycle_fleet.why.reading import LONGEST, words

PROGRAMS: Final = ("kubectl ", "lifecycle ")
PLACEHOLDERS: Final = {"ns": "NAMESPACE", "words": "COMMAND"}
"""The words in capitals of fields that are not named as the documentation names them."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/=,@-]*")
_MENTIONED: Final = re.compile(rf"\b({'|'.join(PROGRAMS)})")
_FIELD: Final = re.compile(r"(?<!\{)\{(\w+)\}(?!\})")


def is_command(fix: str) -> bool:
    """Return whether a fix is a command that can be copied as it is."""
    return fix.startswith(PROGRAMS)


def rendered(template: str, fields: Mapping[str, object]) -> str:
    """
    Return a fix with its values.

    Args:
        template: The fix, with fields.
        fields: The values. A tuple stands for several words of a command.
    """
    if is_command(template):
        return shlex.join(_words(template, fields))
    if _MENTIONED.search(template):
        return template.format_map(_safe(fields))
    return template.format_map(shown(fields))


def shown(fields: Mapping[str, object]) -> dict[str, str]:
    """Return values as texts for people, each on one line."""
    return {name: words(_text(value)) for name, value in fields.items()}


def _words(template: str, fields: Mapping[str, object]) -> Iterator[str]:
    safe = _safe(fields)
    for word in shlex.split(template):
        alone = _FIELD.fullmatch(word)
        several = fields.get(alone[1]) if alone else None
        if alone and isinstance(several, tuple):
            yield from several if _fits(several) else (_placeholder(alone[1]),)
        else:
            yield word.format_map(safe)


def _fits(several: tuple[str, ...]) -> bool:
    text = _text(several)
    return text.isprintable() and len(text) <= LONGEST


def _safe(fields: Mapping[str, object]) -> dict[str, str]:
    texts = {name: _text(value) for name, value in fields.items()}
    return {
        name: text if _NAME.fullmatch(text) and len(text) <= LONGEST else _placeholder(name)
        for name, text in texts.items()
    }


def _text(value: object) -> str:
    return shlex.join(value) if isinstance(value, tuple) else str(value)


def _placeholder(name: str) -> str:
    return PLACEHOLDERS.get(name, name.upper())
