"""Draws a record: each replica's states, its probes' verdicts and its requests over time."""

from __future__ import annotations

import itertools
from collections import Counter

from record import PROBES, Record, Rollout, Track
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from lifecycle.rehearsal.measuring.tally import BUCKET

LABEL = 12
SPARKS = " ▁▂▃▄▅▆▇█"
COLOURS = {
    "starting": "#d7a12b",
    "exporting": "#3d8fd6",
    "registered": "#35b5c4",
    "ready": "#3fae5a",
    "draining": "#b76fd6",
    "stopped": "#7f8793",
    "failed": "#e0483e",
    "sleeping": "#b76fd6",
    "stopping": "#7f8793",
}
INK = "#10151c"
VERDICTS = {True: ("━", "#3fae5a"), False: ("━", "#e0483e"), None: (" ", "default")}
TOGETHER = 0.4
DIM = "#6b7480"
LOST = "bold #ff5f56"


class Timeline:
    """
    One act as a picture.

    Args:
        record: What has happened.
        width: Columns there are.
        height: Lines there are; what is told last is left out first.
    """

    def __init__(self, record: Record, width: int, height: int) -> None:
        self._record = record
        self._height = height
        self._columns = max(20, width - LABEL - 6)
        self._per_column = record.span / self._columns

    def draw(self) -> RenderableType:
        record = self._record
        rows: list[RenderableType] = [self._axis()]
        for rollout in record.rollouts:
            if len(record.rollouts) > 1:
                rows += [Text(""), Text(rollout.how, style="bold")]
            for track in rollout.tracks:
                rows += self._track(rollout, track, brief=len(record.rollouts) > 1)
            rows.append(self._score(rollout))
        rows += self._log(self._height - len(rows) - 5)
        return Panel(
            Group(*rows, self._legend()),
            title=Text(record.title if record.over else record.caption, style="bold"),
            title_align="left",
            border_style="#3fae5a" if not any(r.lost for r in record.rollouts) else "#ff5f56",
            padding=(0, 1),
        )

    # One row each

    def _column(self, when: float) -> int:
        return min(self._columns - 1, int(when / self._per_column))

    def _times(self) -> range:
        return range(self._column(self._record.now) + 1)

    def _row(self, label: str, style: str = DIM) -> Text:
        return Text(f"{label:<{LABEL}}"[:LABEL], style=style, no_wrap=True)

    def _axis(self) -> Text:
        cells = [" "] * self._columns
        step = 1 if self._columns / self._record.span >= 5 else 2
        for second in range(0, int(self._record.span) + 1, step):
            mark = f"{second}s" if second else "0"
            at = self._column(second)
            if at + len(mark) <= self._columns:
                cells[at : at + len(mark)] = mark
        return self._row("").append("".join(cells), style=DIM)

    def _track(self, rollout: Rollout, track: Track, *, brief: bool) -> list[Text]:
        shown = [probe for probe in PROBES if probe in track.verdicts and not brief]
        return [
            self._states(track),
            *(self._verdicts(track, probe) for probe in shown),
            self._requests(rollout, track),
            *self._marks(track),
        ]

    def _states(self, track: Track) -> Text:
        row = self._row(track.name, "bold")
        states = [track.state_at((n + 0.5) * self._per_column) for n in self._times()]
        if states and not states[-1]:
            states[-1] = track.state
        for state, run in itertools.groupby(states):
            room = len(list(run))
            if state:
                word = state.upper() if len(state) <= room - 2 else ""
                row.append(f"{word:^{room}}", style=f"bold {INK} on {COLOURS[state]}")
            else:
                row.append(" " * room)
        return row

    def _verdicts(self, track: Track, probe: str) -> Text:
        row = self._row(f"  /{probe}")
        for n in self._times():
            symbol, style = VERDICTS[track.verdict_at(probe, (n + 1) * self._per_column)]
            row.append(symbol, style=style)
        return row

    def _requests(self, rollout: Rollout, track: Track) -> Text:
        row = self._row("  requests/s")
        served: Counter[int] = Counter()
        for (bucket, pod, _), count in rollout.tally.answers.items():
            if pod == track.name:
                served[bucket] += count
        most = max(served.values(), default=1)
        losses = (each for each in rollout.tally.losses if each.pod == track.name)
        lost = {self._column(each.at - self._record.began) for each in losses}
        for n in self._times():
            bucket = int((self._record.began + (n + 0.5) * self._per_column) / BUCKET)
            level = -(-served[bucket] * (len(SPARKS) - 1) // most)
            row.append(*(("✗", LOST) if n in lost else (SPARKS[level], "#58c4dd")))
        return row

    def _marks(self, track: Track) -> list[Text]:
        """Place the labels in as many rows as it takes for none to cover another."""
        rows: list[Text] = []
        for at, label in _together(track.marks):
            right = LABEL + self._columns - len(label) - 2
            column = min(LABEL + self._column(at), right)
            row = next((row for row in rows if len(row) < column), None)
            if row is None:
                row = self._row("")
                rows.append(row)
            row.append(f"{'':{column - len(row)}}▲ {label}")
        return rows

    def _score(self, rollout: Rollout) -> Text:
        row = self._row("").append(f"{rollout.served:,} served", style="bold default")
        row.append("   ")
        style = LOST if rollout.lost else "bold #3fae5a"
        row.append(f"{rollout.lost:,} lost", style=style)
        if rollout.lost:
            new, kept = (rollout.tally.lost(kept=kept) for kept in (False, True))
            row.append(f"   ({new} new, {kept} keep-alive connections)", DIM)
        return row

    def _log(self, room: int) -> list[Text]:
        if self._record.over or room < 2:
            return []
        said = [each for each in self._record.said if not each[1].startswith("──")]
        lines = [
            Text(f"{at:5.1f}s  {sentence}", style=DIM, no_wrap=True, overflow="ellipsis")
            for at, sentence in said[-min(room - 1, 6) :]
        ]
        if lines:
            lines[-1].stylize("default")
        return [Text(""), *lines]

    def _legend(self) -> Text:
        row = Text("\n", no_wrap=True)
        there = {s for r in self._record.rollouts for t in r.tracks for _, s in t.states}
        for state, colour in COLOURS.items():
            if state in there:
                row.append("■", style=colour).append(f"{state}  ", style=DIM)
        row.append("━", VERDICTS[True][1]).append("true ", style=DIM)
        row.append("━", VERDICTS[False][1]).append("false  ", style=DIM)
        return row.append("✗", LOST).append("lost", style=DIM)


def _together(marks: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """Join the labels of moments that are too close for two."""
    joined: list[tuple[float, str]] = []
    for at, label in marks:
        if joined and at - joined[-1][0] < TOGETHER:
            joined[-1] = joined[-1][0], f"{joined[-1][1]} · {label}"
        else:
            joined.append((at, label))
    return joined
