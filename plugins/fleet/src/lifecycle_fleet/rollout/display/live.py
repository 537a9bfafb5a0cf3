"""The live display: a lane for each pod."""

from __future__ import annotations

import itertools
import time
from typing import Final, NamedTuple, Self, TextIO

from rich import box
from rich.console import Console, Group
from rich.live import Live as RichLive
from rich.panel import Panel
from rich.text import Text

from lifecycle_fleet.rollout.lane import Lane
from lifecycle_fleet.rollout.moves import codes
from lifecycle_fleet.rollout.outcome import outcome
from lifecycle_fleet.rollout.pods import Phase
from lifecycle_fleet.rollout.result import Rollout, Verdict

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
        self._console.print(Text(text))

    def draw(self, rollout: Rollout, problem: str = "") -> Panel:
        """Return the display at a moment."""
        plain = not self._console.encoding.lower().startswith("utf")
        room = max(3, self._console.size.height - FRAME)
        lanes = shown(rollout, room)
        rows = [_numbers(rollout, plain=plain, width=self._console.width - EDGES), Text("")]
        label = min(LABEL, max((len(_label(each, rollout)) for each in lanes), default=0) + 1)
        width = max(8, self._console.width - EDGES - label - TAIL)
        begin = min(rollout.began, rollout.at - SPAN)
        rows += [_lane(each, rollout, begin, (label, width), plain=plain) for each in lanes]
        if hidden := len(rollout.lanes) - len(lanes):
            rows.append(Text(f"and {hidden} more pods", style="dim"))
        rows += [_line(each, AMBER) for each in (rollout.gate, *rollout.reasons[:2]) if each]
        rows += [_line(each.text, RED) for each in rollout.faults()[-2:]]
        if problem:
            rows.append(_line(f"no watch: {problem}", RED))
        colour = RED if not rollout.clean else VERDICTS.get(rollout.verdict, GREY)
        title = Text(f"{rollout.target}  {_revisions(rollout)}  {rollout.seconds:.0f} s")
        return Panel(
            Group(*rows),
            title=title,
            title_align="left",
            border_style=colour,
            box=box.ASCII if plain else box.ROUNDED,
        )


def shown(rollout: Rollout, room: int) -> list[Lane]:
    """Return the pods to draw: if there is no room for all, those that moved last."""
    if len(rollout.lanes) <= room:
        return [*rollout.lanes]
    moving = sorted(rollout.lanes, key=lambda each: (_still(each), -each.since))[:room]
    chosen = {each.uid for each in moving}
    return [each for each in rollout.lanes if each.uid in chosen]


def _still(lane: Lane) -> bool:
    return lane.phase in (Phase.READY, Phase.GONE)


def _line(text: str, style: str) -> Text:
    return Text(text, style=style, overflow="ellipsis", no_wrap=True)


def _revisions(rollout: Rollout) -> str:
    if not rollout.revision:
        return "new revision"
    return f"revision {rollout.revision}"


def _numbers(rollout: Rollout, *, plain: bool, width: int) -> Text:
    numbers = rollout.progress
    tail = (
        f"  {numbers.updated}/{numbers.desired} updated  {numbers.ready} ready  "
        f"{numbers.available} available  {numbers.old} old"
    )
    size = max(5, min(40, width - len(tail)))
    whole = max(1, numbers.desired + numbers.old)
    new = sum(each.phase is Phase.READY for each in rollout.lanes if rollout.is_goal(each))
    done = min(size, round(size * min(new, numbers.desired) / whole))
    mark, rest = ("#", ".") if plain else ("━", "─")
    row = Text(no_wrap=True, overflow="ellipsis").append(mark * done, style=GREEN)
    row.append(rest * (size - done), style="dim")
    return row.append(tail, style="bold")


def _label(lane: Lane, rollout: Rollout) -> str:
    mark = "+" if rollout.is_new(lane) else "-"
    return f"{mark} {lane.name.removeprefix(rollout.name + '-')}"


def _lane(
    lane: Lane, rollout: Rollout, begin: float, sizes: tuple[int, int], *, plain: bool
) -> Text:
    label, width = sizes
    name = _label(lane, rollout)
    if len(name) >= label:
        name = name[: label - 2] + ("~" if plain else "…")
    row = Text(f"{name:<{label}}", no_wrap=True, overflow="ellipsis")
    step = (rollout.at - begin) / width
    moments = [begin + (column + 0.5) * step for column in range(width)]
    for stroke, run in itertools.groupby(_stroke(lane, at) for at in moments):
        count = len(list(run))
        mark = " " if stroke is None else stroke.plain if plain else stroke.mark
        row.append(mark * count, style=stroke.colour if stroke else "")
    bad = outcome(lane).bad
    return row.append(f"  {_state(lane, rollout)}"[:TAIL], style=RED if bad else "dim")


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
