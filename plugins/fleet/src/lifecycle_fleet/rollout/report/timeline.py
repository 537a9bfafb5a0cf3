"""
The picture of a rollout.

    ready pods   ▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇
    + orders-a   ░░starting░░███ready█████
    - orders-b   ███ready████▓▓draining▓▓  exit 0 after 7.1 s
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from lifecycle_fleet.rollout.lane import Lane, Span
from lifecycle_fleet.rollout.moves import codes
from lifecycle_fleet.rollout.outcome import Outcome, outcome
from lifecycle_fleet.rollout.pods import Phase
from lifecycle_fleet.rollout.report.svg import Drawing
from lifecycle_fleet.rollout.result import Rollout

WIDTH: Final = 1120.0
LEFT: Final = 190.0
RIGHT: Final = 150.0
TOP: Final = 12.0
CHART: Final = 56.0
AXIS: Final = 26.0
LANE: Final = 27.0
BAR: Final = 17.0
BEFORE: Final = 2.0
"""Seconds that are shown before the rollout."""
LETTERS: Final = 26
"""The characters of a name that have room."""
MOST: Final = 120
"""The pods that are drawn."""
STEPS: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
STYLES: Final = {
    Phase.CREATED: "created",
    Phase.SCHEDULED: "created",
    Phase.STARTING: "starting",
    Phase.READY: "ready",
    Phase.UNREADY: "unready",
    Phase.DRAINING: "draining",
}


class Figure:
    """
    Draws a rollout.

    Args:
        rollout: The rollout.
    """

    def __init__(self, rollout: Rollout) -> None:
        self._rollout = rollout
        self._begin = rollout.began - BEFORE
        self._end = max(rollout.at, rollout.began + 1.0)
        self._scale = (WIDTH - LEFT - RIGHT) / (self._end - self._begin)
        self._drawing = Drawing(WIDTH, f"timeline of {rollout.target}")

    def _x(self, at: float) -> float:
        return LEFT + (min(max(at, self._begin), self._end) - self._begin) * self._scale

    def _since(self, at: float) -> str:
        return f"{at - self._rollout.began:+.1f} s"

    def draw(self) -> str:
        """Return the picture as SVG."""
        lanes = self._rollout.lanes[:MOST]
        height = TOP + CHART + AXIS + LANE * len(lanes) + 4
        self._axis(height)
        self._ready()
        for number, lane in enumerate(lanes):
            self._lane(lane, TOP + CHART + AXIS + LANE * number)
        return self._drawing.render(height)

    def _axis(self, height: float) -> None:
        bottom, span = TOP + CHART, self._end - self._begin
        step = next((each for each in STEPS if span / each <= 12), STEPS[-1])
        tick = math.ceil((self._begin - self._rollout.began) / step)
        while self._rollout.began + tick * step <= self._end:
            x = self._x(self._rollout.began + tick * step)
            self._drawing.line(x, TOP, x, height - 4, "mark" if tick == 0 else "grid")
            label = "start" if tick == 0 else f"{tick * step:+g} s"
            self._drawing.text(x, bottom + 15, label, "tick", "middle")
            tick += 1
        for note in self._rollout.notes:
            x = self._x(note.at)
            tip = f"{self._since(note.at)}: {note.text}"
            self._drawing.line(x, TOP, x, height - 4, "mark", tip=tip)

    def _ready(self) -> None:
        """Draw how many pods were ready, as steps."""
        steps = ready_pods(self._rollout)
        most = max([count for _, count in steps] + [self._rollout.progress.desired, 1])
        bottom = TOP + CHART
        points = [f"M{LEFT:.1f} {bottom:.1f}"]
        for at, count in steps:
            points.append(f"H{self._x(at):.1f}V{bottom - CHART * count / most:.1f}")
        points.append(f"H{self._x(self._end):.1f}V{bottom:.1f}z")
        fewest = self._rollout.progress.fewest_ready
        self._drawing.path("".join(points), "level", tip=f"ready pods, at least {fewest}")
        self._drawing.text(LEFT - 8, TOP + 9, f"{most}", "tick", "end")
        self._drawing.text(LEFT - 8, TOP + 32, "ready pods", "tick", "end")
        self._drawing.text(LEFT - 8, bottom, "0", "tick", "end")
        self._drawing.line(LEFT, bottom, WIDTH - RIGHT, bottom, "base")

    def _lane(self, lane: Lane, y: float) -> None:
        mark = "+" if self._rollout.is_new(lane) else "-"
        short = lane.name.removeprefix(f"{self._rollout.name}-")
        if len(short) > LETTERS:
            short = short[: LETTERS - 1] + "…"
        self._drawing.text(LEFT - 8, y + 13, f"{mark} {short}", "name", "end")
        for span, end in self._spans(lane):
            x, width = self._x(span.begin), self._x(end) - self._x(span.begin)
            tip = f"{lane.name}: {span.phase}, {self._since(span.begin)} to {self._since(end)}"
            self._drawing.rect(x, y, width, BAR, STYLES[span.phase], tip=tip, r=3)
            if width > 8 * len(span.phase) and span.phase not in (Phase.CREATED, Phase.SCHEDULED):
                self._drawing.text(x + 7, y + 12.5, span.phase, "inside")
        kind = outcome(lane)
        x = self._x(lane.since if lane.is_gone else self._end)
        if kind is Outcome.KILLED and lane.is_gone:
            self._drawing.path(f"M{x - 5:.1f} {y + 3:.1f}l10 10m0 -10l-10 10", "kill")
        if text := label(lane):
            self._drawing.text(x + 9, y + 12.5, text, "tag bad" if kind.bad else "tag")

    def _spans(self, lane: Lane) -> Iterator[tuple[Span, float]]:
        for span in lane.spans:
            end = self._end if span.end is None else span.end
            if span.phase is not Phase.GONE and end > self._begin and end > span.begin:
                yield span, end


def ready_pods(rollout: Rollout) -> list[tuple[float, int]]:
    """Return each moment at which the number of ready pods has changed, and the number."""
    changes: dict[float, int] = {}
    for span in (each for lane in rollout.lanes for each in lane.spans):
        if span.phase is Phase.READY:
            changes[span.begin] = changes.get(span.begin, 0) + 1
            if span.end is not None:
                changes[span.end] = changes.get(span.end, 0) - 1
    count, found = 0, []
    for at in sorted(changes):
        count += changes[at]
        found.append((at, count))
    return found


def label(lane: Lane) -> str:
    """Return what is written after the bar of a pod: how it left, or its problem."""
    if not lane.is_gone:
        return lane.problem.partition(" ")[0]
    kind = outcome(lane)
    how = str(kind) if kind.bad else f"exit {codes(lane)}" if codes(lane) else "gone"
    return how + (f" after {lane.drained_in:.1f} s" if lane.drained_in is not None else "")
