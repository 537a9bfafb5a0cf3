"""The exit code of the process, and the values that decide it."""

from __future__ import annotations

from typing import Final, NamedTuple

FORCED: Final = 1
USAGE: Final = 2
CUT_OFF: Final = 124
INTERRUPTED: Final = 143


class Ending(NamedTuple):
    """
    The end of main.

    Attributes:
        code: The exit code of main. 1 if main raised.
        interrupted: True for a job that a drain had to cancel.
    """

    code: int = 0
    interrupted: bool = False


def exit_code(ending: Ending | None, *, forced: bool, cut_off: bool) -> int:
    """
    Return the exit code of the process.

    Args:
        ending: The end of main. None if main has not ended.
        forced: True if a second signal has come.
        cut_off: True if some work was cut off.
    """
    if forced:
        return FORCED
    if ending is not None and ending.code:
        return ending.code
    if cut_off or ending is None:
        return CUT_OFF
    return INTERRUPTED if ending.interrupted else 0
