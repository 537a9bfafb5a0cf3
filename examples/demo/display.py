"""The stage: a live picture on a terminal, the same facts as lines anywhere else."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from record import Record
from rich.console import Console
from rich.live import Live
from rich.text import Text
from timeline import Timeline

FRAMES = 10
WIDEST = 132


class Stage:
    """
    Where the demo is shown.

    Args:
        plain: Lines, even on a terminal.
    """

    def __init__(self, *, plain: bool = False) -> None:
        self.console = Console(highlight=False)
        # Not what rich takes for a terminal: CI services set FORCE_COLOR.
        self.plain = plain or not sys.stdout.isatty() or self.console.is_dumb_terminal
        self.console.width = min(self.console.width, WIDEST)
        if self.plain:
            self.console = Console(highlight=False, color_system=None, width=110)
        self._acts: list[Record] = []

    @contextmanager
    def act(self, title: str, span: float) -> Iterator[Record]:
        """Show one act while the block runs, and leave its last picture standing."""
        record = Record(title, span, self._line if self.plain else lambda *_: None)
        self._acts.append(record)
        if self.plain:
            yield record
            return
        with Live(
            get_renderable=lambda: self._picture(record),
            console=self.console,
            refresh_per_second=FRAMES,
            vertical_overflow="crop",
        ):
            yield record

    def _picture(self, record: Record) -> object:
        return Timeline(record, self.console.width, self.console.height - 1).draw()

    def _line(self, at: float, sentence: str) -> None:
        self.console.print(Text(f"{at:6.2f}s  {sentence}"), soft_wrap=True)

    def save_svg(self, path: str) -> None:
        """Draw the last picture of every act into a file."""
        console = Console(record=True, file=io.StringIO(), width=118, force_terminal=True)
        for record in self._acts:
            console.print(Timeline(record, console.width, 80).draw())
        console.save_svg(path, title="make demo")
