# ruff: noqa: INP001 - a script beside the pages
"""Frame, colours and symbols of the pictures of the pages. Text stays text."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Final

WIDTH: Final = 660
MARGIN: Final = 20

STYLE: Final = """
  .paper { fill: #ffffff; stroke: #d0d7de; }
  text { font: 16px ui-sans-serif, system-ui, "DejaVu Sans", sans-serif; fill: #1f2328; }
  .title { font-size: 19px; font-weight: 600; }
  .over { paint-order: stroke; stroke: #ffffff; stroke-width: 6px; stroke-linejoin: round; }
  .lane { font-weight: 600; }
  .plain { fill: #57606a; }
  .on { fill: #ffffff; }
  .lost { fill: #cf222e; font-weight: 600; }
  .line { stroke: #57606a; stroke-width: 1.5; stroke-dasharray: 4 4; }
  .wire { stroke: #1a7f37; stroke-width: 3; }
  .good { fill: #1a7f37; } .busy { fill: #0969da; } .leave { fill: #9a6700; } .off { fill: #e4e7ea; }
  .other { fill: #ffffff; stroke: #57606a; stroke-width: 2; }
  .box { fill: #f6f8fa; stroke: #57606a; stroke-width: 1.5; }
  .arrow { fill: none; stroke: #57606a; stroke-width: 2; }
  .head { fill: #57606a; }
  .cross { stroke: #cf222e; stroke-width: 4; stroke-linecap: round; }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117; stroke: #30363d; }
    text { fill: #e6edf3; }
    .over { stroke: #0d1117; }
    .plain { fill: #9198a1; }
    .on { fill: #ffffff; }
    .lost { fill: #ff7b72; }
    .line { stroke: #9198a1; }
    .wire { stroke: #3fb950; }
    .good { fill: #238636; } .busy { fill: #1f6feb; } .leave { fill: #9e6a03; } .off { fill: #2d333b; }
    .other { fill: #0d1117; stroke: #9198a1; }
    .box { fill: #161b22; stroke: #9198a1; }
    .arrow { stroke: #9198a1; }
    .head { fill: #9198a1; }
    .cross { stroke: #ff7b72; }
  }
"""


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    """Return text, with one or more classes of `STYLE` as its `kind`."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">'
        f"{escape(words)}</text>"
    )


def symbol(x: float, y: float, kind: str) -> str:
    """Return a request, as a cross if the request is lost, else as a circle."""
    if kind == "cross":
        return f'<path d="M{x - 6:.1f} {y - 6:.1f}l12 12m0 -12l-12 12" class="cross"/>'
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="7" class="{kind}"/>'


def whole(title: str, height: float, parts: Iterable[str]) -> str:
    """Return the picture as SVG: its parts in a frame, under its title."""
    frame = (
        f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1:.0f}" rx="8" '
        'class="paper"/>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
        f'role="img" aria-label="{escape(title)}">\n<style>{STYLE}</style>\n'
        + "\n".join((frame, text(MARGIN, 32, title, "title"), *parts))
        + "\n</svg>\n"
    )
