"""
Paths and names of nodes.

Rules of this file:

1. ZooKeeper allows neither control characters nor the names `.` and `..`, and a name has no slash.
2. Dubbo encodes whole URLs as the names of nodes, as `java.net.URLEncoder` does.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, quote_plus

# As PathUtils.validatePath of ZooKeeper has them.
_FORBIDDEN: Final = (
    (0x00, 0x1F),
    (0x7F, 0x9F),
    (0xD800, 0xF8FF),
    (0xFFF0, 0xFFFF),
)


def is_path(path: str) -> bool:
    """Return True if ZooKeeper takes this path of a node, which is not the root."""
    if not path.startswith("/") or any(_is_forbidden(each) for each in path):
        return False
    return all(name not in ("", ".", "..") for name in path[1:].split("/"))


def _is_forbidden(character: str) -> bool:
    return any(low <= ord(character) <= high for low, high in _FORBIDDEN)


def as_name(text: str) -> str:
    """
    Return a text as the name of a node. Two texts never have the same name.

    Letters, digits and `._-~:` stay, and everything else is written as `%XX`.
    """
    if text.strip(".") == "":  # nothing, `.` and `..`, which cannot be names
        return text.replace(".", "%2E") or "%"
    return quote(text, safe=":")


def java_encoded(text: str) -> str:
    """Return a text as `java.net.URLEncoder` encodes it."""
    return quote_plus(text, safe="*").replace("~", "%7E")
