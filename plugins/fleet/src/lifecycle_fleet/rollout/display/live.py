"""The live display: a lane for each pod."""

from __future__ import annotations

import itertools
import time
from typing import Final, NamedTuple, Self, TextIO

from rich import box
from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group
from rich.live import Live as RichLive
from rich.panel import Panel
from rich.text import Text

from lifecycle_fleet.rollout.lane import Lane
from lifecycle_fleet.rollout.moves import codes
from lifecycle_fleet.rollout.outcome import outcome
from lifecycle_fleet.rollout.pods import Phase
from lifecycle_fleet.rollout.result import Rollout, Verdict
from lifecycle_fleet.view.told import printable

GREEN, VIOLET, AMBER, GREY, RED = "#3fae5a", "#a371f7", "#d7a12b", "#7f8793", "#ff5f56"
EDGES: Final = 4
LABEL: Final = 24
TAIL: Final = 22
"""The characters after a lane."""
PERIOD: Final = 0.1
"""Seconds between two updates of the screen."""
FRAME: Final = 10
"""The lines that are not lanes."""
SPAN: Final = 20.0
"""The seconds that the lanes show at least."""


class Stroke(NamedTuple):
    """How a phase is drawn: its colour, and its character with and without Unicode."""

    colour: str
    mark: str
    plain: str


STROKES: Final = {
    Phase.CREATED: Stroke(GREY, "·", "."),
    Phase.SCHEDULED: Stroke(GREY, "·", "."),
    Phase.STARTING: Stroke(AMBER, "░", ":"),
    Phase.READY: Stroke(GREEN, "█", "#"),
    Phase.UNREADY: Stroke(AMBER, "▒", "?"),
    Phase.DRAINING: Stroke(VIOLET, "▓", "="),
    Phase.GONE: Stroke("", " ", " "),
}
"""The characters differ too, so that the lanes can be read without colours."""
VERDICTS: Final = {
    Verdict.DONE: GREEN,
    Verdict.FAILED: RED,
    Verdict.STUCK: AMBER,
    Verdict.TIMED_OUT: RED,
    Verdict.UNDONE: RED,
}


class Live:
    """
    The pods as lanes, and the numbers of the rollout.

    Args:
        out: A terminal.
    """

    moves = True

    def __init__(self, out: TextIO) -> None:
        self._console = Console(file=out, highlight=False)
        self._live = RichLive(console=self._console, auto_refresh=False, transient=True)
        self._next = 0.0

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._live.stop()

    def update(self, rollout: Rollout, problem: str) -> None:
        """Redraw the screen, if `PERIOD` has passed."""
        now = time.monotonic()
        if now >= self._next and rollout.verdict is not Verdict.NONE:
            self._next = now + PERIOD
            self._live.update(self.draw(rollout, problem), refresh=True)

    def hint(self, text: str) -> None:
        """Print a hint above the display."""
        self._console.print(Text(printable(text)))

    def draw(self, rollout: Rollout, problem: str = "") -> Panel:
        """Return the display at a moment."""
        plain = not self._console.encoding.lower().startswith("utf")
        size = self._console.size
        return Picture(rollout, width=size.width, height=size.height, plain=plain).panel(problem)


class Picture:
    """
    The display at one moment.

    Args:
        rollout: The rollout.
        width: The width of the terminal.
        height: Its height.
        plain: Whether it shows ASCII only.
    """

    def __init__(self, rollout: Rollout, *, width: int, height: int, plain: bool) -> None:
        self._rollout = rollout
        self._width = width - EDGES
        self._lanes = shown(rollout, max(3, height - FRAME))
        self._plain = plain
        longest = max((len(self._label(each)) for each in self._lanes), default=0)
        self._labels = min(LABEL, longest + 1)
        self._begin = min(rollout.began, rollout.at - SPAN)

    def panel(self, problem: str) -> Panel:
        """Return the whole."""
        rollout = self._rollout
        rows = [self._numbers(), Text(""), *map(self._lane, self._lanes)]
        if hidden := len(rollout.lanes) - len(self._lanes):
            rows.append(self._text(f"and {hidden} more pods", "dim"))
        rows += [self._text(each, AMBER) for each in (rollout.gate, *rollout.reasons[:2]) if each]
        rows += [self._text(each.text, RED) for each in rollout.faults()[-2:]]
        if problem:
            rows.append(self._text(f"no watch: {problem}", RED))
        revision = f"revision {rollout.revision}" if rollout.revision else "new revision"
        return Panel(
            Group(*rows),
            title=self._text(f"{rollout.target}  {revision}  {rollout.seconds:.0f} s", ""),
            title_align="left",
            border_style=VERDICTS.get(rollout.verdict, GREY) if rollout.clean else RED,
            box=box.ASCII if self._plain else box.ROUNDED,
        )

    def _text(self, text: str, style: str) -> Text:
        """Return one line that fits."""
        return Text(self._shown(text, self._width), style=style, no_wrap=True, overflow="crop")

    def _shown(self, text: str, most: int) -> str:
        text = printable(text)
        if self._plain:
            text = text.encode("ascii", "replace").decode()
        if cell_len(text) <= most:
            return text
        end = "~" if self._plain else "…"
        return set_cell_size(text, most - 1).rstrip() + end

    def _numbers(self) -> Text:
        rollout, numbers = self._rollout, self._rollout.progress
        tail = (
            f"  {numbers.updated}/{numbers.desired} updated  {numbers.ready} ready  "
            f"{numbers.available} available  {numbers.old} old"
        )
        size = max(5, min(40, self._width - len(tail)))
        whole = max(1, numbers.desired + numbers.old)
        new = sum(each.phase is Phase.READY for each in rollout.lanes if rollout.is_goal(each))
        done = min(size, round(size * min(new, numbers.desired) / whole))
        mark, rest = ("#", ".") if self._plain else ("━", "─")
        row = Text(no_wrap=True, overflow="crop").append(mark * done, style=GREEN)
        return row.append(rest * (size - done), style="dim").append(tail, style="bold")

    def _label(self, lane: Lane) -> str:
        mark = "+" if self._rollout.is_new(lane) else "-"
        short = lane.name.removeprefix(f"{self._rollout.name}-")
        return self._shown(f"{mark} {short}", LABEL - 1)

    def _lane(self, lane: Lane) -> Text:
        width = max(8, self._width - self._labels - TAIL)
        row = Text(set_cell_size(self._label(lane), self._labels), no_wrap=True, overflow="crop")
        step = (self._rollout.at - self._begin) / width
        moments = [self._begin + (column + 0.5) * step for column in range(width)]
        for stroke, run in itertools.groupby(_stroke(lane, at) for at in moments):
            count = len(list(run))
            mark = " " if stroke is None else stroke.plain if self._plain else stroke.mark
            row.append(mark * count, style=stroke.colour if stroke else "")
        state = self._shown(f"  {_state(lane, self._rollout)}", TAIL)
        return row.append(state, style=RED if outcome(lane).bad else "dim")


def shown(rollout: Rollout, room: int) -> list[Lane]:
    """Return the pods to draw. If there is no room for all, these are the ones that moved last."""
    if len(rollout.lanes) <= room:
        return [*rollout.lanes]
    moving = sorted(rollout.lanes, key=lambda each: (_still(each), -each.since))[:room]
    chosen = {each.uid for each in moving}
    return [each for each in rollout.lanes if each.uid in chosen]


def _still(lane: Lane) -> bool:
    return lane.phase in (Phase.READY, Phase.GONE)


def _stroke(lane: Lane, at: float) -> Stroke | None:
    for span in lane.spans:
        if span.begin <= at < (span.end if span.end is not None else at + 1.0):
            return STROKES[span.phase]
    return None


def _state(lane: Lane, rollout: Rollout) -> str:
    if lane.is_gone:
        took = f" {lane.drained_in:.1f} s" if lane.drained_in is not None else ""
        kind = outcome(lane)
        how = str(kind) if kind.bad else f"exit {codes(lane)}" if codes(lane) else ""
        return f"gone{took} {how}".strip()
    if lane.problem:
        return lane.problem.partition(" ")[0]
    seconds = rollout.at - lane.since
    return f"{lane.phase} {seconds:.0f} s" if seconds < 1000 else str(lane.phase)
