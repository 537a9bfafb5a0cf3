# ruff: noqa: INP001, RUF001 - a script beside the pages; − is what is meant
"""The timeline picture: one drain of the default configuration, drawn to scale from its timetable."""

from __future__ import annotations

from html import escape
from typing import Final

from lifecycle.config import Config
from lifecycle.drain.timetable import Timetable

LONGEST_REQUEST: Final = 9.0
"""Seconds after the drain start at which the last request of the drawn drain ends."""
STOP: Final = 1.5
"""Seconds the drawn main takes to stop."""

LEFT: Final = 150
RIGHT: Final = 24
SECOND: Final = 25.0
BEFORE: Final = 2.0
TOP: Final = 92
LANE: Final = 33
BAR: Final = 19

STYLE: Final = """
  .paper { fill: #ffffff; stroke: #d0d7de; }
  text { font: 12px ui-sans-serif, system-ui, "DejaVu Sans", sans-serif; fill: #1f2328; }
  .title { font-size: 15px; font-weight: 600; }
  .small, .tick { font-size: 11px; fill: #57606a; }
  .moment { font-weight: 600; }
  .inside { font-size: 11px; fill: #ffffff; }
  .grid { stroke: #d8dee4; stroke-dasharray: 2 3; }
  .t0 { stroke: #cf222e; stroke-width: 1.5; }
  .limit { stroke: #8c959f; }
  .good { fill: #1a7f37; } .leave { fill: #9a6700; } .bad { fill: #cf222e; }
  .work { fill: #0969da; } .most { fill: #e4e7ea; }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117; stroke: #30363d; }
    text { fill: #e6edf3; }
    .small, .tick { fill: #9198a1; }
      .inside { fill: #ffffff; }
    .grid { stroke: #30363d; }
    .t0 { stroke: #f85149; }
    .limit { stroke: #6e7681; }
    .good { fill: #238636; } .leave { fill: #9e6a03; } .bad { fill: #da3633; }
    .work { fill: #1f6feb; } .most { fill: #2d333b; }
  }
"""

Bar = tuple[float, float, str, str]
"""From, to, class, the text inside."""


def draw() -> str:
    """Return the picture as SVG."""
    config = Config()
    table = Timetable.plan(config, 0.0)
    gone = max(table.settle_at + config.quiet, LONGEST_REQUEST)
    left = gone + STOP
    out = _Picture(width=LEFT + (BEFORE + config.grace_period) * SECOND + RIGHT)
    out.moments(
        (0.0, "drain start", "middle"),
        (table.settle_at, "settle", "middle"),
        (gone, "drained", "end"),
        (left, "exit", "start"),
    )
    lanes: tuple[tuple[str, tuple[Bar, ...]], ...] = (
        ("state", ((-BEFORE, 0, "good", "READY"), (0, left, "leave", "DRAINING"))),
        ("/ready", ((-BEFORE, 0, "good", "true"), (0, left, "bad", "false"))),
        ("/live", ((-BEFORE, left, "good", "true until the process exits"),)),
        (
            "registered",
            (
                (-BEFORE, 0.4, "good", "yes"),
                (0.4, config.register_timeout, "most", "at most register_timeout"),
            ),
        ),
        ("new connections", ((-BEFORE, gone, "good", "accepted and served"),)),
        ("idle connections", ((-BEFORE, table.settle_at, "good", "kept"),)),
        (
            "responses",
            ((-BEFORE, 0, "good", ""), (0, gone, "leave", "Connection: close, GOAWAY")),
        ),
        (
            "in flight",
            (
                (-BEFORE, LONGEST_REQUEST, "work", "the longest request"),
                (LONGEST_REQUEST, table.wait_until, "most", "the drain waits for it until here"),
            ),
        ),
        (
            "main",
            (
                (-BEFORE, gone, "work", "runs"),
                (gone, left, "leave", "stops"),
                (left, table.main_until, "most", "may use the time until here, then is cancelled"),
            ),
        ),
        ("QOS port 22222", ((-BEFORE, left, "good", "open until the process exits"),)),
    )
    for name, bars in lanes:
        out.lane(name, bars)
    out.limits(
        (table.wait_until, "deadline", f"grace − stop_timeout − 2 = {table.wait_until:g} s"),
        (table.main_until, "main cancelled", f"grace − 2 = {table.main_until:g} s"),
        (table.exit_by, "exit", f"grace − 0.5 = {table.exit_by:g} s, even if something hangs"),
        (config.grace_period, "SIGKILL", f"grace_period = {config.grace_period:g} s"),
    )
    return out.finish(
        f"One drain, to scale: settle {config.settle:g} s, quiet {config.quiet:g} s, "
        f"a request that ends {LONGEST_REQUEST:g} s after the drain start",
        f"At “drained” ({gone:g} s), lifecycle prestop returns. Then SIGTERM follows, and drained() "
        f"returns. Exit at {left:g} s. The grey bars show the longest possible time of a step.",
    )


class _Picture:
    def __init__(self, width: float) -> None:
        self.width = width
        self.parts: list[str] = []
        self.y: float = TOP

    def x(self, at: float) -> float:
        return LEFT + (at + BEFORE) * SECOND

    def text(self, x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> None:
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">'
            f"{escape(text)}</text>"
        )

    def line(self, at: float, top: float, bottom: float, kind: str) -> None:
        x = self.x(at)
        self.parts.append(
            f'<line x1="{x:.1f}" y1="{top:.1f}" x2="{x:.1f}" y2="{bottom:.1f}" class="{kind}"/>'
        )

    def moments(self, *moments: tuple[float, str, str]) -> None:
        self._moments = moments

    def lane(self, name: str, bars: tuple[Bar, ...]) -> None:
        middle = self.y + BAR / 2 + 4
        self.text(LEFT - 10, middle, name, anchor="end")
        for start, end, kind, label in bars:
            x, width = self.x(start), (end - start) * SECOND
            self.parts.append(
                f'<rect x="{x:.1f}" y="{self.y:.1f}" width="{width:.1f}" height="{BAR}" rx="3" '
                f'class="{kind}"/>'
            )
            self.text(x + 6, middle, label, "small" if kind == "most" else "inside")
        self.y += LANE

    def limits(self, *limits: tuple[float, str, str]) -> None:
        bottom = self.y
        for row, (at, name, sum_) in enumerate(limits):
            y = bottom + 14 + row * 18
            self.line(at, TOP - 8, y - 4, "limit")
            x = self.x(at) - 6
            self.text(x, y, f"{name}:  {sum_}", "small", "end")
        self.y = bottom + 14 + len(limits) * 18

    def finish(self, title: str, note: str) -> str:
        height = self.y + 30
        body, self.parts = self.parts, []
        self.parts.append(
            f'<rect x="0.5" y="0.5" width="{self.width - 1:.0f}" height="{height - 1:.0f}" rx="8" '
            'class="paper"/>'
        )
        self.text(20, 28, title, "title")
        bottom = TOP + LANE * 10 - 8
        for second in range(0, int((self.width - LEFT - RIGHT) / SECOND - BEFORE) + 1, 5):
            self.text(self.x(second), TOP - 14, f"{second} s", "tick", "middle")
            self.line(second, TOP - 8, bottom, "grid")
        for at, name, anchor in self._moments:
            self.line(at, TOP - 8, bottom, "t0")
            self.text(self.x(at), TOP - 30, name, "moment", anchor)
        self.parts += body
        self.text(20, height - 16, note, "small")
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:.0f} {height:.0f}" '
            f'role="img" aria-label="{escape(title)}">\n<style>{STYLE}</style>\n'
            + "\n".join(self.parts)
            + "\n</svg>\n"
        )


if __name__ == "__main__":
    print(draw(), end="")
