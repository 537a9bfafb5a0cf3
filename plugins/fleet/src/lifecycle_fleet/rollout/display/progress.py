"""The progress of a rollout, as a live display on a terminal, or in plain lines."""

from __future__ import annotations

import os
import sys
from typing import Protocol, Self, TextIO

from lifecycle_fleet.rollout.moves import moves
from lifecycle_fleet.rollout.result import Rollout, Verdict
from lifecycle_fleet.view.told import printable


class Display(Protocol):
    """
    A display of a running rollout. It is a context manager.

    Attributes:
        moves: Whether it changes without a change of the rollout, because of the time.
    """

    moves: bool

    def __enter__(self) -> Self: ...
    def __exit__(self, *exc: object) -> None: ...
    def update(self, rollout: Rollout, problem: str) -> None: ...
    def hint(self, text: str) -> None: ...


class Lines:
    """
    Prints one line for each thing that happens.

    Args:
        out: The stream.
    """

    moves = False

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._before: Rollout | None = None
        self._problem = ""
        self._gate = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        return

    def update(self, rollout: Rollout, problem: str) -> None:
        """Print what has happened since the last time."""
        if rollout.verdict is Verdict.NONE:
            return
        for each in moves(self._before, rollout):
            self._line(each.at - rollout.began, ("! " if each.bad else "") + each.text)
        if rollout.gate != self._gate:
            self._line(rollout.seconds, rollout.gate)
        if problem != self._problem:
            self._line(rollout.seconds, problem or "the API server answers again")
        self._before, self._gate, self._problem = rollout, rollout.gate, problem

    def hint(self, text: str) -> None:
        """Print a hint."""
        self._write(text)

    def _line(self, seconds: float, text: str) -> None:
        self._write(f"{max(0.0, seconds):7.1f} s  {printable(text)}")

    def _write(self, text: str) -> None:
        try:
            encoding = self._out.encoding or "utf-8"
            self._out.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
            self._out.flush()
        except OSError:  # nobody reads the progress, and the result counts
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._out.fileno())


def display(out: TextIO | None = None) -> Display:
    """
    Return the best display that is possible here.

    Args:
        out: The stream. None for stderr.
    """
    out = out or sys.stderr
    if not out.isatty() or os.environ.get("TERM") == "dumb":
        return Lines(out)
    from lifecycle_fleet.rollout.display.live import Live

    return Live(out)
