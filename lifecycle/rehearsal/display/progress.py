"""The progress of a running rehearsal, as a live display (with rich) or in plain lines."""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from typing import Protocol, Self, TextIO

from lifecycle.rehearsal.rehearsal import Rehearsal

HINT = "for a live display: pip install 'pod-lifecycle[rehearse]'"


class Display(Protocol):
    """A display of a running rehearsal. It is a context manager."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *exc: object) -> None: ...
    def update(self, rehearsal: Rehearsal) -> None: ...


class Lines:
    """
    Prints one line per step of the rehearsal.

    Args:
        out: The stream.
        hint: Whether to print how to get the live display.
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
        """Print the current step, if it has changed."""
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
        except OSError:  # the progress is not read, and only the result counts
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._out.fileno())


def display(out: TextIO = sys.stderr) -> Display:
    """Return the best display that is possible here."""
    if not out.isatty():
        return Lines(out)
    if importlib.util.find_spec("rich") is None:
        return Lines(out, hint=True)
    from lifecycle.rehearsal.display.live import Live

    return Live(out)
