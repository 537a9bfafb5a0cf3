"""
Text as a terminal may show it: what strangers have chosen moves no cursor and forges no line.

A user agent, a service's name, an error that a server sent: whatever goes to a person passes one
of these on its way out. JSON escapes for itself. It imports nothing: `prestop` uses it too.
"""

from __future__ import annotations

_CONTROLS = (
    *(code for code in range(0x20) if chr(code) not in "\t\n"),
    *range(0x7F, 0xA0),
    *(0x2028, 0x2029),  # ends of lines, for some
    *(0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)),  # what turns text round
)
# No codec is asked: it would be imported.
_ESCAPED = {code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" for code in _CONTROLS}


def one_line(text: str) -> str:
    r"""Write text so that it stays on one line, and can be encoded: `\n`, `\x1b`, `\ud800`."""
    if str.isprintable(text):
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def lines(text: str) -> str:
    r"""Write text of several lines so that a terminal shows it, and obeys nothing in it: `\x1b`."""
    return text if str.isprintable(text) else text.replace("\r\n", "\n").translate(_ESCAPED)
