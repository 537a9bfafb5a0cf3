"""
Puts the page together: one HTML document that loads nothing, and the headers that guard it.

Rules of this file:

1. The document is the same for every caller. The state of the app is never written into it. The
   script of the page fetches the state, and shows each text of it as text.
2. The Content-Security-Policy allows exactly our own script and style, by their hashes. So no text
   of an app, a plugin or a client can become code.
3. Nothing is read or imported before the first caller asks for the page.
"""

from __future__ import annotations

import base64
import hashlib
import os
from functools import cache
from typing import Final

from lifecycle.contracts import Reply

CONTENT_TYPE: Final = "text/html; charset=utf-8"
STYLES: Final = ("page.css", "tables.css")
SCRIPTS: Final = (
    *("words.js", "elements.js", "sections.js", "drain.js"),
    *("summary.js", "commands.js", "live.js"),
)
"""The parts of the script in their order. All parts share one scope."""


@cache
def page() -> Reply:
    """Return the page. The first call reads the files, so do not call it on an event loop."""
    rules, code = style(), "".join(map(_read, SCRIPTS))
    text = _read("page.html").replace("/*STYLE*/", rules, 1).replace("/*SCRIPT*/", code, 1)
    return Reply(text, content_type=CONTENT_TYPE, headers=tuple(_headers(rules, code).items()))


def style() -> str:
    """Return the style of the page, which its picture in the documentation has too."""
    return "".join(map(_read, STYLES))


def _headers(rules: str, code: str) -> dict[str, str]:
    policy = {
        "default-src": "'none'",
        "script-src": _hash(code),
        "style-src": _hash(rules),
        "img-src": "data:",  # the icon of the tab
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    }


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _read(name: str) -> str:
    with open(os.path.join(os.path.dirname(__file__), name), encoding="utf-8") as file:
        return file.read()
