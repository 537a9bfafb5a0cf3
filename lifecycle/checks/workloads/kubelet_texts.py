"""What the kubelet makes of a text in a manifest: of a path, and of variables in a value."""

from __future__ import annotations

import re
from typing import Final

from lifecycle.checks.node import Node

_REFERENCE: Final = re.compile(r"\$\([^)]*\)|\$\{[^}]*\}|#\{[^}]*\}|__\w+__")
"""What the kubelet replaces, and placeholders, which it does not: the tool that writes them does."""


def path_of(http: Node) -> str:
    """Return what an httpGet asks for, without the query."""
    return "/" + http.at("path").text().partition("?")[0].strip("/")


def expanded(text: str) -> str | None:
    """Return what the kubelet makes of a value; None if a variable or a placeholder is in it."""
    return None if _REFERENCE.search(text.replace("$$", "")) else undoubled(text)


def undoubled(text: str) -> str:
    """Make one `$` of two, as the kubelet does."""
    return text.replace("$$", "$")
