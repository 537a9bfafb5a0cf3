"""
Makes text safe for terminals, so that it cannot move the cursor or fake a log line.

Use these functions for all foreign text that people see, for example a user agent, the name of a
service, or an error of a server. JSON does its own escaping. This module imports nothing, because
`lifecycle prestop` uses it.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_JOINERS = (0x200C, 0x200D)
"""These shape letters of Persian and Hindi, and emoji, which are unreadable without them."""
_FORMATS = (
    # The Unicode category Cf: characters that reverse text or have no width, and tags.
    *(0xAD, 0x61C, 0x6DD, 0x70F, 0x8E2, 0x180E, 0xFEFF, 0x110BD, 0x110CD),
    *(*range(0x600, 0x606), *range(0x890, 0x892), *range(0x200B, 0x2010), *range(0x202A, 0x202F)),
    *(*range(0x2060, 0x2070), *range(0xFFF9, 0xFFFC), *range(0x13430, 0x13440)),
    *(*range(0x1BCA0, 0x1BCA4), *range(0x1D173, 0x1D17B), *range(0xE0000, 0xE0080)),
)
_CONTROLS = (
    *(code for code in range(0x20) if chr(code) not in "\t\n"),
    *range(0x7F, 0xA0),
    *(0x2028, 0x2029),  # line ends in some programs
    *(code for code in _FORMATS if code not in _JOINERS),
)


def _escape(code: int) -> str:
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


# Written out, because a codec would have to be imported.
_ESCAPED = {code: _escape(code) for code in _CONTROLS}


def one_line(text: str) -> str:
    r"""Escape text so that it stays on one line and can be encoded: `\n`, `\x1b`, `\ud800`."""
    if str.isprintable(text):
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def lines(text: str) -> str:
    r"""Escape text of several lines, so that a terminal shows its control characters: `\x1b`."""
    return text if str.isprintable(text) else text.replace("\r\n", "\n").translate(_ESCAPED)


def table(header: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """Format rows under a header. The text of each cell stays on one line."""
    import tabulate  # imported only for a table

    shown = [[one_line(c) if isinstance(c, str) else c for c in row] for row in rows]
    return str(tabulate.tabulate(shown, header, tablefmt="plain"))
