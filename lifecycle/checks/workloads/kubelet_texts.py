"""Texts as the kubelet and the shell read them: paths, and variables in values."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from lifecycle.checks.node import Node

_REFERENCE: Final = re.compile(r"\$\([^)]*\)|\$\{[^}]*\}|#\{[^}]*\}|__\w+__")
"""References that the kubelet replaces, and placeholders that another tool replaces."""
_REFERRED: Final = re.compile(r"\$\$|\$\(([^)]*)\)")
_OF_SHELL: Final = re.compile(r"\$(?:(\w+)|\{(\w+)(?::?-([^}$]*))?\})")


def path_of(http: Node) -> str:
    """Return the path of an httpGet, without the query."""
    return "/" + http.at("path").text().partition("?")[0].strip("/")


def expanded(text: str) -> str | None:
    """Return a value as the app gets it. None if it has a variable or a placeholder."""
    return None if _REFERENCE.search(text.replace("$$", "")) else undoubled(text)


def undoubled(text: str) -> str:
    """Replace `$$` by `$`, as the kubelet does."""
    return text.replace("$$", "$")


def referred(text: str, value: Callable[[str], str | None]) -> str:
    """Replace `$(NAME)` in a word of a command, as the kubelet does, if the value is known."""
    return _REFERRED.sub(
        lambda found: "$" if found[0] == "$$" else value(found[1]) or found[0], text
    )


def filled(word: str, value: Callable[[str], str | None], may_be_set: Callable[[str], bool]) -> str:
    """
    Replace the variables in a word of a shell, if their values are known.

    Args:
        word: The word.
        value: Returns the value of a variable. None if it is not known.
        may_be_set: Returns whether a variable may have a value, so that its default may not hold.
    """

    def put(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        default = None if may_be_set(name) else found[3]
        return value(name) or default or found[0]

    return _OF_SHELL.sub(put, word)
