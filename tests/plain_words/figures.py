"""
How the pages read, in figures: each habit, and how often it is met in 1,000 words.

Rules of this file:

1. A figure counts more than the lint refuses: every colon in a sentence, for example, and not only
   those that certainly join two clauses. It is there to be compared with an earlier one.
2. Generated parts are counted too, because a reader reads them. Code blocks are not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from tests.plain_words import markdown, rules
from tests.plain_words.texts import Kind, Sentence

PAGES: Final = ("README.md", "docs/*.md", "plugins/*/README.md")
RUNNING: Final = (Kind.PARAGRAPH, Kind.ITEM)

_HIDDEN: Final = re.compile(r"^ *```.*?^ *```$|<!--.*?-->", re.MULTILINE | re.DOTALL)
_YOU: Final = re.compile(r"\byou(?:rs?|rself)?\b", re.IGNORECASE)
_WARNING: Final = re.compile(r"^\s*> \[!(?:WARNING|CAUTION|IMPORTANT)\]", re.MULTILINE)
_NOUN_CLAUSE: Final = re.compile(
    r"\bwhat(?:ever)?\b(?! to\b)|\bwhoever\b|^who\b|\b(?:of|for|to|by|and|or|than|but) who\b",
    re.IGNORECASE,
)
_COMMAND: Final = re.compile(
    rf"(?:{rules.any_of('commands')})\b(?!-| (?:is|are|has|of|and|must)\b)", re.IGNORECASE
)


def table(root: Path) -> Iterator[str]:
    """Yield the lines of the table: what is counted, how often, and how often in 1,000 words."""
    pages = [page.read_text("utf-8") for each in PAGES for page in sorted(root.glob(each))]
    prose = _HIDDEN.sub("", "\n".join(pages))
    words = len(prose.split())
    sentences = _sentences(pages)
    running = [each for each in sentences if each.kind in RUNNING]
    by_hand = _sentences(map(markdown.without_generated, pages))
    counted = {
        "you, your": _YOU.findall(prose),
        "hand-written sentences that begin with a command verb": [
            each for each in by_hand if each.kind in RUNNING and _COMMAND.match(each.words)
        ],
        "sentences with a colon join": [each for each in running if ": " in each.words],
        "sentences with a semicolon": [each for each in running if "; " in each.words],
        "clauses with what or who as a noun": [
            clause
            for each in sentences
            if not each.words.endswith("?")
            for clause in _NOUN_CLAUSE.findall(each.words)
        ],
        "sentences and cells that open with a pronoun": [
            each for each in sentences if any(rules.pronoun(each._replace(is_first=True)))
        ],
        '"is no X"': [each for each in sentences if any(rules.negated_noun(each))],
        "sentences of more than 30 words": [each for each in running if each.length > 30],
        "warning boxes": _WARNING.findall(prose),
    }
    yield f"{len(pages)} pages, {words:,} words, {len(running):,} running sentences"
    for what, found in counted.items():
        yield f"{what:54}{len(found):6,}{1000 * len(found) / words:8.2f}"


def _sentences(pages: Iterable[str]) -> list[Sentence]:
    texts = (text for page in pages for text in markdown.texts(page, ""))
    return [sentence for text in texts for sentence in text.sentences()]
