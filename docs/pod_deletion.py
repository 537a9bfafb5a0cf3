# ruff: noqa: INP001 - a script beside the pages
"""Pictures of a pod's deletion: the race, and the same with pod-lifecycle's default settings."""

from __future__ import annotations

from typing import Final

from picture import MARGIN, WIDTH, symbol, text, whole

from lifecycle.config import Config

PROPAGATION: Final = 3.0
"""Seconds after which the endpoint is removed everywhere in the example."""
LONGEST_REQUEST: Final = 6.0
"""Seconds after the deletion at which the long request of the example ends."""
STOP: Final = 1.0
"""Seconds that the app of the example takes to stop."""
LISTENS: Final = 0.1
"""Seconds that uvicorn listens after SIGTERM, at most."""

TOP: Final = 86
LANE: Final = 62
BAR: Final = 26
BEFORE: Final = 1.0
"""Seconds that are drawn before the deletion."""
STEP: Final = 0.5
"""Seconds between two drawn requests."""


def race() -> str:
    """Return the picture of a deletion without pod-lifecycle, as SVG."""
    out = _Picture("A pod is deleted: two things start at the same time", end=7.0)
    out.moment(0, "pod deleted", "middle")
    out.moment(PROPAGATION, "endpoint removed everywhere", "middle")
    out.lane("The kubelet stops the container")
    out.bar(0, 1.3, "leave", "SIGTERM")
    out.bar(1.3, out.end, "off", "container gone")
    _removal(out)
    out.lane("Your server's port")
    out.bar(-BEFORE, LISTENS, "good", "open")
    out.bar(LISTENS, out.end, "off", "closed")
    out.lane("New connections", "refused", "lost")
    out.requests(-BEFORE, LISTENS, "good")
    out.requests(LISTENS, PROPAGATION, "cross")
    out.requests(PROPAGATION, out.end, "other")
    out.lane("A keep-alive connection", "reset: closed without notice", "lost")
    out.wire(-BEFORE, STEP / 2)
    out.requests(-BEFORE, 0, "good")
    out.requests(0, STEP, "cross")
    out.requests(2 * STEP, out.end, "other")
    return out.finish(
        ("good", "served by this pod"),
        ("other", "served by another pod"),
        ("cross", "lost"),
        notes=(
            "The stop and the removal do not wait for each other.",
            f"Example: uvicorn alone. The removal takes {PROPAGATION:g} s.",
        ),
    )


def with_lifecycle() -> str:
    """Return the picture of the same deletion with pod-lifecycle, as SVG."""
    config = Config()
    drained = max(config.settle, PROPAGATION + config.quiet, LONGEST_REQUEST)
    gone = drained + STOP
    out = _Picture("The same deletion with pod-lifecycle", end=10.0)
    out.moment(0, "drain start", "middle")
    out.moment(config.settle, "settle over", "end")
    out.moment(drained, "drained: SIGTERM", "start")
    out.lane("The kubelet stops the container")
    out.bar(0, drained, "leave", "preStop: lifecycle prestop")
    out.bar(drained, gone, "leave", "")
    out.bar(gone, out.end, "off", "container gone")
    _removal(out)
    out.lane("Probes")
    out.bar(-BEFORE, 0, "good", "")
    out.bar(0, gone, "leave", "/ready is false, /live stays true")
    out.lane("Your server's port")
    out.bar(-BEFORE, drained, "good", "open: accepts and serves")
    out.bar(drained, out.end, "off", "closed")
    out.lane("New connections")
    out.requests(-BEFORE, PROPAGATION, "good")
    out.requests(PROPAGATION, out.end, "other")
    out.lane("A keep-alive connection in use", "gets “Connection: close”")
    out.wire(-BEFORE, STEP / 2)
    out.requests(-BEFORE, STEP, "good")
    out.requests(STEP, out.end, "other")
    out.lane("An idle keep-alive connection", "closed after settle")
    out.wire(-BEFORE, config.settle)
    out.requests(out.end - 3 * STEP, out.end - 2 * STEP, "other")
    out.lane("A long request")
    out.bar(-0.5, LONGEST_REQUEST, "busy", "finishes")
    return out.finish(
        ("good", "served by this pod"),
        ("other", "served by another pod"),
        notes=(
            f"The times are the defaults: settle {config.settle:g} s, quiet {config.quiet:g} s.",
            f"Example: the removal takes {PROPAGATION:g} s.",
        ),
    )


def _removal(out: _Picture) -> None:
    out.lane("The endpoint removal reaches proxies and clients")
    out.bar(-BEFORE, 0, "good", "")
    out.bar(0, PROPAGATION, "leave", "still use this pod")
    out.bar(PROPAGATION, out.end, "off", "use other pods")


class _Picture:
    """
    One picture: the time runs from left to right, and each lane has its name above it.

    Args:
        title: What it shows.
        end: The last second that is drawn.
    """

    def __init__(self, title: str, end: float) -> None:
        self.title = title
        self.end = end
        self._lines: list[float] = []
        self._names: list[str] = []
        self._parts: list[str] = []
        self._y: float = TOP

    def moment(self, at: float, name: str, anchor: str) -> None:
        """Mark a moment by a line through all lanes."""
        self._lines.append(self._x(at))
        self._names.append(text(self._x(at), 64, name, "plain", anchor))

    def lane(self, name: str, note: str = "", kind: str = "plain") -> None:
        """Begin a lane."""
        self._parts.append(text(MARGIN, self._y + 20, name, "lane over"))
        if note:
            self._parts.append(text(WIDTH - MARGIN, self._y + 20, note, f"{kind} over", "end"))
        self._y += LANE

    def bar(self, start: float, end: float, kind: str, label: str) -> None:
        """Draw a bar with a label."""
        x, y = self._x(start), self._middle - BAR / 2
        self._parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{self._x(end) - x:.1f}" height="{BAR}" rx="3" '
            f'class="{kind}"/>'
        )
        if label:
            self._parts.append(text(x + 7, y + 18.5, label, "plain" if kind == "off" else "on"))

    def wire(self, start: float, end: float) -> None:
        """Draw a connection."""
        y = self._middle
        self._parts.append(
            f'<line x1="{self._x(start):.1f}" y1="{y:.1f}" x2="{self._x(end):.1f}" y2="{y:.1f}" '
            'class="wire"/>'
        )

    def requests(self, start: float, end: float, kind: str) -> None:
        """Draw the requests of some seconds."""
        at = start - start % STEP + STEP / 2
        while at < end:
            if at > start:
                self._parts.append(symbol(self._x(at), self._middle, kind))
            at += STEP

    def finish(self, *legend: tuple[str, str], notes: tuple[str, ...]) -> str:
        """Return the whole picture."""
        bottom = self._y
        x: float = MARGIN + 8
        for kind, label in legend:
            self._parts.append(symbol(x, bottom + 24, kind))
            self._parts.append(text(x + 14, bottom + 29.5, label))
            x += 50 + 9.5 * len(label)
        for row, note in enumerate(notes):
            self._parts.append(text(MARGIN, bottom + 62 + 24 * row, note, "plain"))
        lines = (
            f'<line x1="{x:.1f}" y1="72" x2="{x:.1f}" y2="{bottom:.1f}" class="line"/>'
            for x in self._lines
        )
        height = bottom + 62 + 24 * len(notes)
        return whole(self.title, height, [*self._names, *lines, *self._parts])

    def _x(self, at: float) -> float:
        return MARGIN + (at + BEFORE) * (WIDTH - 2 * MARGIN) / (self.end + BEFORE)

    @property
    def _middle(self) -> float:
        return self._y - LANE + 28 + BAR / 2


PICTURES: Final = {
    "pod-deletion.svg": race,
    "pod-deletion-with-lifecycle.svg": with_lifecycle,
}
"""How each picture is drawn, by the name of its file."""
