"""The live display, which needs rich."""

from __future__ import annotations

import itertools
import time
from typing import Final, Self, TextIO

from rich.console import Console, Group
from rich.live import Live as RichLive
from rich.panel import Panel
from rich.text import Text

from lifecycle.rehearsal.measuring.noise import LONG
from lifecycle.rehearsal.measuring.tally import BUCKET, Tally
from lifecycle.rehearsal.rehearsal import Rehearsal
from lifecycle.rehearsal.replicas.replica import Replica

SPARKS: Final = " ▁▂▃▄▅▆▇█"
LABEL: Final = 9
EDGES: Final = 6
GREEN, VIOLET, AMBER, GREY, RED = "#3fae5a", "#a371f7", "#d7a12b", "#7f8793", "#ff5f56"
PERIOD: Final = 0.15
"""Seconds between two updates of the screen."""
SHOWN: Final = 8
"""The maximum number of replicas shown."""


class Live:
    """
    The replicas as lanes, and the requests over time.

    Args:
        out: A terminal.
    """

    def __init__(self, out: TextIO) -> None:
        self._console = Console(file=out)
        self._live = RichLive(console=self._console, refresh_per_second=8, transient=True)
        self._began = self._next = time.monotonic()

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._live.stop()

    def update(self, rehearsal: Rehearsal) -> None:
        """Redraw the screen, if `PERIOD` has passed."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + PERIOD
            self._live.update(self._draw(rehearsal))

    def _draw(self, rehearsal: Rehearsal) -> Panel:
        width = max(20, self._console.width - LABEL - EDGES)
        end = time.monotonic()
        begin = end - width * BUCKET
        tally = rehearsal.load.tally if rehearsal.load else Tally()
        rows = [Text(rehearsal.phase, style="bold"), Text("")]
        replicas = rehearsal.deployment.replicas if rehearsal.deployment else []
        shown = [each for each in replicas if (each.moment("exited") or end) >= begin]
        rows += [self._lane(each, begin, width) for each in shown[-SHOWN:]]
        rows.append(self._sparks(tally, [each.name for each in shown], begin, width))
        rows += [self._losses(tally, begin, width), Text(""), self._score(tally)]
        noisy = any(each.ended - each.began >= LONG for each in (*tally.stalls, *rehearsal.stalls))
        if noisy:
            rows.append(
                Text("a process stood still, so the result may be INCONCLUSIVE", style=AMBER)
            )
        style = AMBER if noisy else RED if tally.losses else GREEN
        return Panel(
            Group(*rows), title="lifecycle rehearse", title_align="left", border_style=style
        )

    def _lane(self, replica: Replica, begin: float, width: int) -> Text:
        row = Text(f"{replica.name:<{LABEL}}"[:LABEL], no_wrap=True)
        moments = (begin + (column + 0.5) * BUCKET for column in range(width))
        for colour, run in itertools.groupby(self._colour(replica, at) for at in moments):
            count = len(list(run))
            row.append(("━" if colour else " ") * count, style=colour or None)
        return row

    def _colour(self, replica: Replica, at: float) -> str:
        end = replica.moment("exited") or time.monotonic()
        if not replica.started_at <= at <= end:
            return ""
        since = (
            (replica.moment("sigterm"), GREY),
            (replica.deleted_at, VIOLET),
            (replica.ready_at, GREEN),
        )
        return next((colour for moment, colour in since if moment and at >= moment), AMBER)

    def _sparks(self, tally: Tally, names: list[str], begin: float, width: int) -> Text:
        first = int(begin / BUCKET)
        answers = tally.answers
        counts = [
            sum(answers[bucket, name, kept] for name in names for kept in (True, False))
            for bucket in range(first, first + width)
        ]
        most = max(*counts, 1)
        row = Text(f"{'answers':<{LABEL}}", style="dim", no_wrap=True)
        line = "".join(SPARKS[-(-count * (len(SPARKS) - 1) // most)] for count in counts)
        return row.append(line, style="#58c4dd")

    def _losses(self, tally: Tally, begin: float, width: int) -> Text:
        hit = {int((loss.at - begin) / BUCKET) for loss in tally.losses[-2000:]}
        row = Text(f"{'lost':<{LABEL}}", style="dim", no_wrap=True)
        row.append("".join("✗" if column in hit else " " for column in range(width)), style=RED)
        return row

    def _score(self, tally: Tally) -> Text:
        row = Text(f"{tally.requests:,} requests", style="bold")
        row.append("   ")
        row.append(f"{len(tally.losses):,} lost", style=f"bold {RED if tally.losses else GREEN}")
        row.append(
            f"   ({tally.lost(kept=False):,} on new, {tally.lost(kept=True):,} on keep-alive "
            f"connections)   {time.monotonic() - self._began:.0f} s",
            style="dim",
        )
        return row
