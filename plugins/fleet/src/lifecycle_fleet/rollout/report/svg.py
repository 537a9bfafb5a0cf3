"""The shapes of the timeline."""

from __future__ import annotations

from html import escape


class Drawing:
    """
    An SVG picture that is styled by the page's classes.

    Args:
        width: The width, in the picture's own units.
        label: A description for people who cannot see the picture.
    """

    def __init__(self, width: float, label: str) -> None:
        self._width = width
        self._label = label
        self._parts: list[str] = []

    def rect(
        self, x: float, y: float, w: float, h: float, style: str, *, tip: str = "", r: float = 0
    ) -> None:
        """Draw a rectangle. It is visible even without a width."""
        attributes = f'x="{x:.1f}" y="{y:.1f}" width="{max(w, 1.0):.1f}" height="{h:.1f}"'
        self._add("rect", f'{attributes} rx="{r:g}" class="{style}"', tip)

    def line(
        self, x1: float, y1: float, x2: float, y2: float, style: str, *, tip: str = ""
    ) -> None:
        """Draw a line."""
        ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
        self._add("line", f'{ends} class="{style}"', tip)

    def path(self, points: str, style: str, *, tip: str = "") -> None:
        """Draw a path."""
        self._add("path", f'd="{points}" class="{style}"', tip)

    def text(self, x: float, y: float, text: str, style: str = "", anchor: str = "start") -> None:
        """Draw a text."""
        self._parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" class="{style}" text-anchor="{anchor}">'
            f"{escape(text)}</text>"
        )

    def _add(self, name: str, attributes: str, tip: str) -> None:
        inside = f"<title>{escape(tip)}</title>" if tip else ""
        self._parts.append(f"<{name} {attributes}>{inside}</{name}>")

    def render(self, height: float) -> str:
        """Return the picture."""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self._width:g} {height:g}" '
            f'role="img" aria-label="{escape(self._label)}">' + "".join(self._parts) + "</svg>"
        )
