"""A whole command in one word, such as `"uvicorn shop.main:app"`. No program has this name."""

from __future__ import annotations

import os.path
import re
import shlex
from collections.abc import Sequence
from typing import Final

from lifecycle.checks.commands.programs import KNOWN, SHELLS, command_after

_PYTHON: Final = re.compile(r"python[\d.]*")
_TEMPLATE: Final = re.compile(r"\{\{|\$\{|\$\(|<%")
"""Placeholders that another program replaces before Kubernetes reads the command."""
_SHELL: Final = re.compile("[$&|;<>`*]")
_SEVERAL: Final = re.compile("[&|;]")


def quoted_command(words: Sequence[str]) -> str:
    """
    Return the first word that is a whole command, also after `lifecycle run … --`.

    A path with spaces may be a program, so it is not returned without another sign.

    Args:
        words: The words of a command.

    Returns:
        The word. Empty if there is none.
    """
    if not words:
        return ""
    if is_quoted(words[0]):
        return words[0]
    for at, word in enumerate(words):
        if os.path.basename(word) == "lifecycle" and (inner := command_after(words[at:])):
            return inner[0] if is_quoted(inner[0]) else ""
    return ""


def is_quoted(word: str) -> bool:
    """Tell whether a word is a program with its arguments, and certainly not the name of a file."""
    parts = word.split()
    if len(parts) < 2 or _TEMPLATE.search(word):
        return False
    name = os.path.basename(parts[0])
    if os.sep not in parts[0] or name in KNOWN or _PYTHON.fullmatch(name):
        return True
    return any(each.startswith("-") for each in parts[1:])


def separated(word: str) -> list[str]:
    """
    Return the words of a whole command that is one word, with `sh -c` in front if it needs a shell.

    Args:
        word: The whole command.
    """
    try:
        parts = shlex.split(word)
    except ValueError:  # a quote is missing
        return word.split()
    if os.path.basename(parts[0]) in SHELLS or not (_SHELL.search(word) or "=" in parts[0]):
        return parts
    return ["sh", "-c", word if _SEVERAL.search(word) or "=" in parts[0] else f"exec {word}"]
