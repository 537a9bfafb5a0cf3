"""How main, and with it the process, ended: the exit code, and what decides it."""

from __future__ import annotations

from typing import Final, NamedTuple

FORCED: Final = 1
USAGE: Final = 2
CUT_OFF: Final = 124
INTERRUPTED: Final = 143


class Ending(NamedTuple):
    """
    How main ended.

    Attributes:
        code: Its own exit code; 1 if it raised.
        interrupted: True for a job that a drain had to cancel.
    """

    code: int = 0
    interrupted: bool = False


def exit_code(ending: Ending | None, *, forced: bool, cut_off: bool) -> int:
    """
    Return the exit code of a process: the first that applies.

    Args:
        ending: How main ended; None: it has not.
        forced: True if a second signal has come.
        cut_off: True if something was not waited for.
    """
    if forced:
        return FORCED
    if ending is not None and ending.code:
        return ending.code
    if cut_off or ending is None:
        return CUT_OFF
    return INTERRUPTED if ending.interrupted else 0
