"""Files and standard input as text, and the values that stand in it: YAML or JSON."""

from __future__ import annotations

import codecs
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final

from lifecycle.checks.errors import Unreadable
from lifecycle.checks.node import Node, from_plain
from lifecycle.checks.reading.yaml_nodes import read_yaml

MAX_BYTES: Final = 16 * 1024 * 1024
MAX_LINED: Final = 1024 * 1024
"""So long may a text of JSON be that is read as YAML, which is slower and knows the lines."""
STDIN: Final = "-"
_LINE: Final = 120
_JSON_BLANKS: Final = " \t\r\n"


class NoText(Unreadable):
    """
    A file is no text that can be read.

    Attributes:
        is_manifest: Whether it looks like a manifest all the same.
    """

    def __init__(self, message: str, data: bytes) -> None:
        super().__init__(message)
        plain = data.replace(b"\0", b"")
        self.is_manifest = b"apiVersion" in plain and b"kind" in plain


def text_of(file: str) -> str:
    """
    Return the text of a file, or of standard input.

    Raises:
        Unreadable: It cannot be read, is too large, or no text in UTF-8.
    """
    try:
        if file == STDIN:
            if sys.stdin is None:
                raise Unreadable("standard input is closed")
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with open(file, "rb") as opened:
                data = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise Unreadable(error.strerror or str(error)) from None
    except ValueError:
        raise Unreadable("not a valid file name") from None
    if len(data) > MAX_BYTES:
        raise NoText(f"larger than {MAX_BYTES // 1024 // 1024} MiB: split it", data)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise NoText("text in UTF-16: write it as UTF-8 (iconv -f UTF-16 -t UTF-8)", data)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise NoText("not text in UTF-8: save it as UTF-8", data) from None


def nodes(text: str, file: str) -> Iterator[Node | Unreadable]:
    """Give the values in a text, or why one cannot be read; those of YAML know their lines."""
    if text.lstrip()[:1] != "{":
        yield from read_yaml(text)
        return
    if (file != STDIN and _has_lines(text)) or _repeats_a_key(text):
        known = [*read_yaml(text)]
        if not any(isinstance(each, Unreadable) for each in known):
            yield from known
            return
    try:
        values = list(_json_values(text))  # kubectl's JSON; tabs in it are no YAML
    except RecursionError:
        yield Unreadable("nested too deep")
        return
    except ValueError:  # YAML in braces
        yield from read_yaml(text)
        return
    for value in values:
        try:
            yield from_plain(value)
        except Unreadable as error:
            yield error


def _has_lines(text: str) -> bool:
    """Tell whether JSON is written for people, so that a line is a place in it."""
    return len(text) <= MAX_LINED and len(text) < _LINE * text.count("\n")


def _repeats_a_key(text: str) -> bool:
    """Tell whether a mapping in JSON has a key twice, which only the reader of YAML reports."""
    if len(text) > MAX_LINED:
        return False
    try:
        for _ in _json_values(text, _unique):
            pass
    except _RepeatedError:
        return True
    except (ValueError, RecursionError):
        return False
    return False


class _RepeatedError(ValueError):
    """A mapping has a key twice."""


def _unique(pairs: list[tuple[str, Any]]) -> None:
    if len({key for key, _ in pairs}) < len(pairs):
        raise _RepeatedError


def _json_values(
    text: str, pairs: Callable[[list[tuple[str, Any]]], Any] | None = None
) -> Iterator[Any]:
    """Give the values of a text one after the other, as `jq` prints them."""
    decoder = json.JSONDecoder(object_pairs_hook=pairs)
    text = text.strip(_JSON_BLANKS)
    while text:
        value, end = decoder.raw_decode(text)
        yield value
        text = text[end:].lstrip(_JSON_BLANKS)
