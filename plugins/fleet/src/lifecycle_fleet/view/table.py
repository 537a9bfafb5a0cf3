"""
The table of `ls`. Pure.

Rules of this file:

1. On a terminal, the columns that say least are left out, so that a line fits. A name is never cut,
   because people copy it.
2. The widths of a watch stay as they were, so that a new line stands under the old ones.
3. Each text is made safe before, in the view of a pod. Colours are added after the widths.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from lifecycle_fleet.view.kind import DRAINING, ENDED, NOT_READY, OFFLINE, READY, STARTING, kind_of
from lifecycle_fleet.view.pod import PodView
from lifecycle_fleet.view.record import how
from lifecycle_fleet.view.text import age, width

GAP: Final = "  "
NONE: Final = "-"
UNKNOWN: Final = "?"

PLAIN, RED, GREEN, YELLOW, CYAN, DIM = "", "31", "32", "33", "36", "2"
COLOURS: Final = {
    STARTING: CYAN,
    READY: GREEN,
    NOT_READY: RED,
    OFFLINE: YELLOW,
    DRAINING: YELLOW,
    ENDED: DIM,
}
"""The colour of each kind of state."""


class Column(NamedTuple):
    """
    One column.

    Attributes:
        title: Its head.
        text: Returns the text of a pod at a time, in seconds since the epoch.
        colour: Returns the colour of a pod.
        rank: How much it is needed, if space is short: 0 always, and then the lowest one first.
        wide: Whether only `-o wide` has it.
    """

    title: str
    text: Callable[[PodView, float], str]
    colour: Callable[[PodView], str] = lambda _: PLAIN
    rank: int = 0
    wide: bool = False


def state(pod: PodView) -> str:
    """Return the state, and whether all app services are offline: `ready, offline`."""
    return f"{pod.state}, offline" if kind_of(pod) == OFFLINE else pod.state


def services(pod: PodView) -> str:
    """Return how many of the app services are online: `1/2`."""
    told = pod.current
    if told is None or not (told.online or told.offline):
        return NONE
    return f"{len(told.online)}/{len(told.online) + len(told.offline)}"


def names(pod: PodView) -> str:
    """Return the names of the app services: `orders,-admin` if admin is offline."""
    told = pod.current
    if told is None:
        return NONE
    return ",".join([*told.online, *(f"-{each}" for each in told.offline)]) or NONE


def last_end(pod: PodView) -> str:
    """Return how the last drain of a pod went: `clean`, `cut off (124)`, `clean, hook failed`."""
    parts = []
    if pod.drained is not None:
        found, code = how(pod.drained), pod.drained.exit_code
        if pod.drained.reason == "OOMKilled":
            found = "OOMKilled"
        parts.append(found if found == "clean" else f"{found} ({code})")
    if pod.hook_failed:
        parts.append("hook failed")
    if not parts:
        return NONE if pod.hook_failed is False else UNKNOWN
    return ", ".join(parts)


def _state_colour(pod: PodView) -> str:
    return COLOURS[kind_of(pod)]


def _end_colour(pod: PodView) -> str:
    if pod.drained is not None and how(pod.drained) != "clean":
        return RED
    return YELLOW if pod.hook_failed else PLAIN


def _slices_colour(pod: PodView) -> str:
    return RED if pod.in_slices == "no" and kind_of(pod) == READY else PLAIN


def _told(name: str) -> Callable[[PodView, float], str]:
    def text(pod: PodView, _: float) -> str:
        found = getattr(pod.told, name, None)
        if isinstance(found, float):
            return f"{found:.4g}s"
        return str(found or NONE)

    return text


COLUMNS: Final = (
    Column("NAMESPACE", lambda pod, _: pod.namespace),
    Column("WORKLOAD", lambda pod, _: pod.workload or NONE, rank=6),
    Column("REVISION", lambda pod, _: pod.revision or NONE, rank=7),
    Column("POD", lambda pod, _: pod.name),
    Column("STATE", lambda pod, _: state(pod), _state_colour),
    Column("SINCE", lambda pod, now: age(now - pod.since) if pod.since else NONE, rank=2),
    Column("ONLINE", lambda pod, _: services(pod), rank=3),
    Column("IN-SLICES", lambda pod, _: pod.in_slices, _slices_colour, rank=1),
    Column("READY", lambda pod, _: "yes" if pod.ready else "no", rank=5),
    Column("RESTARTS", lambda pod, _: str(pod.restarts), rank=4),
    Column("LAST-DRAIN", lambda pod, _: last_end(pod), _end_colour),
    Column("SERVICES", lambda pod, _: names(pod), wide=True),
    Column("NODE", lambda pod, _: pod.node or NONE, wide=True),
    Column("VERSION", _told("version"), wide=True),
    Column("SETTLE", _told("settle"), wide=True),
    Column("GRACE", _told("grace"), wide=True),
    Column("START", _told("start"), wide=True),
    Column("CAUSE", _told("cause"), wide=True),
)


class Table:
    """
    A table whose columns are chosen with its first pods.

    Args:
        pods: The first pods.
        now: The time, in seconds since the epoch.
        columns: The columns.
        limit: The columns of the terminal. 0 for no limit.
        colour: Whether to colour.
    """

    def __init__(
        self,
        pods: Iterable[PodView],
        now: float,
        columns: Sequence[Column],
        *,
        limit: int = 0,
        colour: bool = False,
    ) -> None:
        rows = [[each.text(pod, now) for each in columns] for pod in pods]
        widths = [
            max([width(each.title), *(width(row[at]) for row in rows)])
            for at, each in enumerate(columns)
        ]
        kept = fitting([each.rank for each in columns], widths, limit)
        self.columns = [columns[at] for at in kept]
        self.left_out = [each.title for at, each in enumerate(columns) if at not in kept]
        self._widths = [widths[at] for at in kept]
        self._colour = colour

    def head(self) -> str:
        """Return the first line."""
        return self._line([(each.title, PLAIN) for each in self.columns])

    def line(self, pod: PodView, now: float) -> str:
        """Return the line of a pod."""
        return self._line([(each.text(pod, now), each.colour(pod)) for each in self.columns])

    def _line(self, cells: Sequence[tuple[str, str]]) -> str:
        parts = []
        for at, (text, colour) in enumerate(cells):
            last = at == len(cells) - 1
            padding = "" if last else " " * max(0, self._widths[at] - width(text))
            shown = f"\x1b[{colour}m{text}\x1b[0m" if colour and self._colour else text
            parts.append(shown + padding)
        return GAP.join(parts)


def fitting(ranks: Sequence[int], widths: Sequence[int], limit: int) -> list[int]:
    """
    Return the columns that fit, by their number.

    Args:
        ranks: How much a column is needed: 0 always, and then the lowest one first.
        widths: The width of each column.
        limit: The width of a line. 0 for no limit.
    """
    kept: list[int] = []
    for at in sorted(range(len(widths)), key=lambda each: ranks[each]):
        needed = sum(widths[each] + len(GAP) for each in kept) + widths[at]
        if not limit or not ranks[at] or needed <= limit:
            kept.append(at)
    return sorted(kept)
