"""How main, and with it the process, ended: the exit codes."""

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
