"""Texts as the kubelet reads them: paths, and variables in values."""

from __future__ import annotations

import re
from typing import Final

from lifecycle.checks.node import Node

_REFERENCE: Final = re.compile(r"\$\([^)]*\)|\$\{[^}]*\}|#\{[^}]*\}|__\w+__")
"""References that the kubelet replaces, and placeholders that another tool replaces."""


def path_of(http: Node) -> str:
    """Return the path of an httpGet, without the query."""
    return "/" + http.at("path").text().partition("?")[0].strip("/")


def expanded(text: str) -> str | None:
    """Return a value as the app gets it. None if it has a variable or a placeholder."""
    return None if _REFERENCE.search(text.replace("$$", "")) else undoubled(text)


def undoubled(text: str) -> str:
    """Replace `$$` by `$`, as the kubelet does."""
    return text.replace("$$", "$")
