"""What is seen while it goes on: a live display where rich is installed, else plain lines."""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from typing import Protocol, Self, TextIO

from lifecycle.rehearsal.rehearsal import Rehearsal

HINT = "for a live display: pip install 'pod-lifecycle[rehearse]'"


class Display(Protocol):
    """Shows a rehearsal that goes on; a context manager."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *exc: object) -> None: ...
    def update(self, rehearsal: Rehearsal) -> None: ...


class Lines:
    """
    A line whenever something new is being done.

    Args:
        out: Where.
        hint: Whether to say how a live display is had.
    """

    def __init__(self, out: TextIO, *, hint: bool = False) -> None:
        self._out = out
        self._hint = hint
        self._said = ""
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        if self._hint:
            self._write(HINT)
        return self

    def __exit__(self, *exc: object) -> None:
        return

    def update(self, rehearsal: Rehearsal) -> None:
        """Say what is being done, if it is not what was said."""
        if rehearsal.phase in ("", self._said):
            return
        self._said = rehearsal.phase
        text = self._said
        if rehearsal.load is not None and (tally := rehearsal.load.tally).requests:
            text += f" · {tally.requests:,} requests, {len(tally.losses):,} lost"
        self._write(f"{time.monotonic() - self._began:6.1f} s  {text}")

    def _write(self, text: str) -> None:
        try:
            self._out.write(text + "\n")
            self._out.flush()
        except OSError:  # nobody reads it: what counts is the result
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._out.fileno())


def display(out: TextIO = sys.stderr) -> Display:
    """Return the best display there is."""
    if not out.isatty():
        return Lines(out)
    if importlib.util.find_spec("rich") is None:
        return Lines(out, hint=True)
    from lifecycle.rehearsal.display.live import Live

    return Live(out)
