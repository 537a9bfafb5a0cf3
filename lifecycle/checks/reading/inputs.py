"""Texts of files and standard input, and their values in YAML or JSON."""

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
"""Longest JSON text that is read as YAML, in characters. The YAML reader is slower, but gives the lines."""
STDIN: Final = "-"
_LINE: Final = 120
_JSON_BLANKS: Final = " \t\r\n"


class NoText(Unreadable):
    """
    A file is not a readable text.

    Attributes:
        is_manifest: Whether the file still looks like a manifest.
    """

    def __init__(self, message: str, data: bytes) -> None:
        super().__init__(message)
        plain = data.replace(b"\0", b"")
        self.is_manifest = b"apiVersion" in plain and b"kind" in plain


def text_of(file: str) -> str:
    """
    Return the text of a file, or of standard input.

    Raises:
        Unreadable: The file cannot be read, is too large, or is not text in UTF-8.
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
        limit = MAX_BYTES // 1024 // 1024
        raise NoText(f"larger than {limit} MiB. Split the file", data)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise NoText("text in UTF-16. Save the file as UTF-8 (iconv -f UTF-16 -t UTF-8)", data)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise NoText("not text in UTF-8. Save the file as UTF-8", data) from None


def nodes(text: str, file: str) -> Iterator[Node | Unreadable]:
    """
    Give the values in a text, or the reason why a value cannot be read.

    Args:
        text: One or several documents in YAML or JSON.
        file: Name of the file, or `-` for standard input.
    """
    if text.lstrip()[:1] != "{":
        yield from read_yaml(text)
        return
    if (file != STDIN and _has_lines(text)) or _repeats_a_key(text):
        known = [*read_yaml(text)]
        if not any(isinstance(each, Unreadable) for each in known):
            yield from known
            return
    try:
        values = list(_json_values(text))  # YAML does not allow the tabs in kubectl's JSON
    except RecursionError:
        yield Unreadable("nested too deeply")
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
    """Tell whether JSON has short lines, so that a line number helps the reader."""
    return len(text) <= MAX_LINED and len(text) < _LINE * text.count("\n")


def _repeats_a_key(text: str) -> bool:
    """Tell whether a mapping in JSON has a key twice. Only the YAML reader can report this."""
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
    """Give the JSON values in a text, one after the other, as `jq` prints them."""
    decoder = json.JSONDecoder(object_pairs_hook=pairs)
    text = text.strip(_JSON_BLANKS)
    while text:
        value, end = decoder.raw_decode(text)
        yield value
        text = text[end:].lstrip(_JSON_BLANKS)
