"""The lines of an app's log, as tests read them."""

from __future__ import annotations

import ast
import json
import shlex
from typing import Any

from lifecycle.testing import free_port as free_port


def events(log: str, event: str = "") -> list[dict[str, Any]]:
    """Return a log's lines (JSON or logfmt) as dictionaries; `event`: only those."""
    found = [parsed for line in log.splitlines() if (parsed := _parse(line))]
    return [each for each in found if event in ("", each["event"])]


def _parse(line: str) -> dict[str, Any] | None:
    if line.startswith("{"):
        try:
            found = json.loads(line)
        except ValueError:
            return None
        return found if isinstance(found, dict) and "event" in found else None
    if "event=" not in line:
        return None
    try:
        words = shlex.split(line[line.index("event=") :])
    except ValueError:
        return None
    pairs = (word.partition("=") for word in words)
    return {name: _value(text) if mark else True for name, mark, text in pairs}


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text.capitalize() if text in ("true", "false") else text)
    except (ValueError, SyntaxError):
        return text
