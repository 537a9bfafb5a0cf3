"""The standard loggers of this process with their levels, for `/loggers`."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from lifecycle.exceptions import LifecycleError
from lifecycle.log import NAME

ROOT: Final = "root"
MOST: Final = 500
"""Loggers that are listed at most."""


class LoggerLevel(NamedTuple):
    """
    One logger.

    Attributes:
        name: Its name. The root logger is `root`.
        level: The level that is set on it, or empty.
        effective: The lowest level of the events that it passes on.
    """

    name: str
    level: str
    effective: str


def loggers(pattern: str, own: int) -> tuple[list[LoggerLevel], int]:
    """
    Return the loggers that match a pattern, sorted by name, and the number of all that match.

    Args:
        pattern: A pattern for the name, for example `shop.*`.
        own: The lowest level that the log of pod-lifecycle writes.

    Raises:
        LifecycleError: No logger matches.
    """
    known = {ROOT: logging.getLogger()} | {
        name: found
        for name, found in list(logging.root.manager.loggerDict.items())
        if isinstance(found, logging.Logger)
    }
    names = sorted(
        (name for name in known if fnmatchcase(name, pattern)),
        key=lambda name: (name != ROOT, name),
    )
    if not names:
        raise LifecycleError(
            f"no logger matches {pattern[:80]!r} (GET /loggers lists all)", see="command-refused"
        )
    return [_level_of(name, known[name], own) for name in names[:MOST]], len(names)


def _level_of(name: str, logger: logging.Logger, own: int) -> LoggerLevel:
    effective = own if name == NAME else logger.getEffectiveLevel()
    level = logging.getLevelName(logger.level) if logger.level else ""
    return LoggerLevel(name, level, logging.getLevelName(effective))


def as_rows(found: Iterable[LoggerLevel]) -> list[tuple[str, str, str]]:
    """Return the rows of a table."""
    return [(each.name, each.level or "-", each.effective) for each in found]


def as_json(found: Iterable[LoggerLevel], count: int) -> dict[str, object]:
    """Return the answer in a form that JSON can hold."""
    return {"count": count, "loggers": [each._asdict() for each in found]}
