"""
Puts the page together: one HTML document that loads nothing, and the headers that guard it.

Rules of this file:

1. The document is the same for every reader, and has no data in it. Its script fetches the pods, and
   shows each text as text.
2. The Content-Security-Policy allows exactly our own script and style, by their hashes. So no name or
   reason from the cluster can become code.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import Final

from lifecycle_fleet.serve.answers import Answer

STYLES: Final = ("page.css", "pods.css")
SCRIPTS: Final = (
    *("words.js", "elements.js", "model.js", "lanes.js", "tables.js"),
    *("summary.js", "stream.js", "live.js"),
)
"""The parts of the script in their order. All parts share one scope."""
HTML: Final = "text/html; charset=utf-8"


def page(known: str = "") -> Answer:
    """
    Return the page.

    Args:
        known: The value of the header `If-None-Match`. If it has the tag of this page, the answer is
            304.
    """
    answer, tag = _page()
    if tag in known:
        return Answer(b"", 304, HTML, answer.headers)
    return answer


@cache
def _page() -> tuple[Answer, str]:
    rules, code = style(), "".join(map(_read, SCRIPTS))
    text = _read("page.html").replace("/*STYLE*/", rules, 1).replace("/*SCRIPT*/", code, 1)
    body = text.encode()
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {
        "Content-Security-Policy": _policy(rules, code),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        "Cache-Control": "no-cache",
        "ETag": tag,
    }
    pairs = tuple((name.lower().encode(), value.encode()) for name, value in headers.items())
    return Answer(body, 200, HTML, pairs), tag


def style() -> str:
    """Return the style of the page, which its picture in the documentation has too."""
    return "".join(map(_read, STYLES))


def _policy(rules: str, code: str) -> str:
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
    return "; ".join(f"{name} {value}" for name, value in policy.items())


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _read(name: str) -> str:
    return files(__package__ or "").joinpath(name).read_text(encoding="utf-8")
