"""
The drain report in one line of a log, in the formats that loggers and log collectors write.

Rules of this file:

1. A report is JSON, or `key=value`. Any text may come before it, for example a time stamp or the
   name of a pod, but nothing after it. Otherwise a client could put a report into its user agent,
   which an access log writes inside a line.
2. JSON may wrap the line, as a string or as an object. Only names that collectors use for the
   whole line are followed, for the same reason. In an event of an app, other names are its own.
"""

from __future__ import annotations

import ast
import json
import re
from typing import Any, Final

EVENT: Final = "drain report"
NAMES: Final = ("event", "message", "msg")
"""The fields for the name of an event, in the configurations of structlog."""
LINES: Final = ("log", "message", "msg", "line", "MESSAGE", "textPayload", "@message")
WRAPPERS: Final = (
    *LINES,
    *("jsonPayload", "body", "_raw", "content", "data", "record", "event", "_source", "result"),
    "stringValue",
)
"""The fields for the whole line: of Docker, journald, Google Cloud, OpenTelemetry, AWS, and so on."""
DEEPEST: Final = 5
"""Wrappers around wrappers that are followed."""
BRACES: Final = 8
"""Braces in a line from which JSON is tried."""
LOGFMT: Final = f'event="{EVENT}"'
PAIR: Final = re.compile(r'([^\s="]+)=("(?:[^"\\]|\\.)*"|[^\s="]*)(?:\s+|$)')


def report_in(text: str, depth: int = 0) -> dict[str, Any] | None:
    """Return the fields of the report in a line. None if there is none, or if it is cut off."""
    if depth > DEEPEST or EVENT not in text:
        return None
    text = text.strip()
    at = -1
    for _ in range(BRACES):
        at = text.find("{", at + 1)
        if at < 0:
            break
        if (found := _decoded(text[at:])) is not None:
            return _within(found, depth)
    return _pairs(text)


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _wrappers(found: dict[str, Any]) -> tuple[str, ...]:
    """Return the fields that may have the whole line. An event of an app has none or few."""
    own = found.get("event")
    if isinstance(own, str) and EVENT not in own:
        return ()
    return LINES if "level" in found else WRAPPERS


def _within(found: Any, depth: int) -> dict[str, Any] | None:
    if not isinstance(found, dict) or depth > DEEPEST:
        return None
    if any(found.get(name) == EVENT for name in NAMES) and "steps" in found:
        return found
    for name in _wrappers(found):
        inner = found.get(name)
        if isinstance(inner, str):
            report = report_in(inner, depth + 1)
        else:
            report = _within(inner, depth + 1)
        if report is not None:
            return report
    return None


def _pairs(text: str) -> dict[str, Any] | None:
    """Read `key=value`, as pod-lifecycle writes it to the standard logger."""
    before, found, rest = text.partition(LOGFMT)
    if not found or (before and not before[-1].isspace()):
        return None
    rest = rest.strip()
    fields: dict[str, Any] = {}
    at = 0
    while at < len(rest):
        pair = PAIR.match(rest, at)
        if pair is None:
            return None
        fields[pair[1]] = _value(pair[2])
        at = pair.end()
    return fields if "steps" in fields else None


def _value(word: str) -> Any:
    if word.startswith('"'):
        word = _decoded(word) or ""
    try:
        return ast.literal_eval(word)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return word
