"""The prose of a page: no code and no comments."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.plain_words.texts import Kind, Text

_PARSER: Final = MarkdownIt("commonmark").enable("table")
_GENERATED: Final = re.compile(r"<!-- generated: .*?<!-- end of generated -->", re.DOTALL)
_ALERT: Final = re.compile(r"^\[!\w+\]")
_KINDS: Final = {
    "heading_open": Kind.HEADING,
    "th_open": Kind.HEADING,
    "td_open": Kind.CELL,
    "list_item_open": Kind.ITEM,
}


def without_generated(page: str) -> str:
    """Empty the generated parts of a page, and keep the number of its lines."""
    return _GENERATED.sub(lambda found: "\n" * found[0].count("\n"), page)


def texts(page: str, file: str, line: int = 1) -> Iterator[Text]:
    """Yield the texts of a page, or of a docstring, which starts on a line of its file."""
    opened: list[tuple[str, int]] = [("page", 0)]
    for token in _PARSER.parse(page):
        at = token.map[0] if token.map else opened[-1][1]
        if token.nesting == 1:
            opened.append((token.type, at))
        elif token.nesting == -1:
            opened.pop()
        elif token.type == "inline":
            known = (_KINDS[name] for name, _ in reversed(opened) if name in _KINDS)
            kind = next(known, Kind.PARAGRAPH)
            yield from _inline(token.children or [], Text(file, line + at, "", kind))


def _inline(tokens: Sequence[Token], empty: Text) -> Iterator[Text]:
    """Yield the text of a block, and before it the label in bold, if a colon or a dot ends it."""
    file, line, words, kind = empty.file, empty.line, "", empty.kind
    is_address = is_label = False
    for number, token in enumerate(tokens):
        match token.type:
            case "text":
                words += f"`{token.content}`" if is_address else token.content
            case "code_inline":
                words += f"`{token.content.replace('`', ' ')}`"
            case "image":
                words += "`image`"
            case "softbreak" | "hardbreak":
                words += "\n"
            case "link_open" | "link_close":
                is_address = token.info == "auto" and not is_address
            case "strong_open":
                is_label = not words
            case "strong_close" if is_label:
                after = tokens[number + 1].content if number + 1 < len(tokens) else ""
                if after.startswith(":") or words.endswith((".", ":")):
                    yield Text(file, line, words, Kind.HEADING)
                    line, words = line + words.count("\n"), ""
    words = _ALERT.sub("", words).removeprefix(":")
    if words.strip():
        yield Text(file, line, words, kind)
