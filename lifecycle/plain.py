"""
Text as a terminal may show it: what strangers have chosen moves no cursor and forges no line.

A user agent, a service's name, an error that a server sent: whatever goes to a person passes one
of these on its way out. JSON escapes for itself. It imports nothing: `prestop` uses it too.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_JOINERS = (0x200C, 0x200D)
"""They shape letters of Persian and Hindi, and emoji: no text in these is readable without."""
_FORMATS = (
    # Unicode's category Cf, written out: what turns text round, what has no width, tags.
    *(0xAD, 0x61C, 0x6DD, 0x70F, 0x8E2, 0x180E, 0xFEFF, 0x110BD, 0x110CD),
    *(*range(0x600, 0x606), *range(0x890, 0x892), *range(0x200B, 0x2010), *range(0x202A, 0x202F)),
    *(*range(0x2060, 0x2070), *range(0xFFF9, 0xFFFC), *range(0x13430, 0x13440)),
    *(*range(0x1BCA0, 0x1BCA4), *range(0x1D173, 0x1D17B), *range(0xE0000, 0xE0080)),
)
_CONTROLS = (
    *(code for code in range(0x20) if chr(code) not in "\t\n"),
    *range(0x7F, 0xA0),
    *(0x2028, 0x2029),  # ends of lines, for some
    *(code for code in _FORMATS if code not in _JOINERS),
)


def _escape(code: int) -> str:
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


# No codec is asked: it would be imported.
_ESCAPED = {code: _escape(code) for code in _CONTROLS}


def one_line(text: str) -> str:
    r"""Write text so that it stays on one line, and can be encoded: `\n`, `\x1b`, `\ud800`."""
    if str.isprintable(text):
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def lines(text: str) -> str:
    r"""Write text of several lines so that a terminal shows it, and obeys nothing in it: `\x1b`."""
    return text if str.isprintable(text) else text.replace("\r\n", "\n").translate(_ESCAPED)


def table(header: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """Lay out rows under a header; each cell stays on its line, whatever is in it."""
    import tabulate  # only who shows one pays for it

    shown = [[one_line(c) if isinstance(c, str) else c for c in row] for row in rows]
    return str(tabulate.tabulate(shown, header, tablefmt="plain"))
