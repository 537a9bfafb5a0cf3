"""Init processes, and the processes that they signal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

_TAKE: Final = ("-p", "-e", "-r", "--rewrite")


def signals_group(init: Sequence[str], value: Callable[[str], str | None]) -> bool:
    """
    Tell whether an init process sends SIGTERM to every process of its group.

    Args:
        init: The command of the init process. The first word is one of `programs.INITS`.
        value: Returns the value of an environment variable. None if not set or not known.
    """
    options = _options_of(init)
    letters = "".join(each[1:] for each in options if each[1:2] != "-")
    if init[0] == "dumb-init":
        child_only = "c" in letters or "--single-child" in options
        return not child_only and value("DUMB_INIT_SETSID") != "0"
    by_variable = init[0] != "catatonit" and value("TINI_KILL_PROCESS_GROUP") is not None
    return "g" in letters or by_variable


def _options_of(init: Sequence[str]) -> list[str]:
    """Return the options of the init process, without their values."""
    found: list[str] = []
    left = iter(init[1:])
    for word in left:
        if word == "--" or not word.startswith("-"):
            break
        found.append(word)
        if word in _TAKE:
            next(left, None)
    return found
