"""
The rules of the guide in `docs/CONTRIBUTING.md` that a machine can check.

Rules of this file:

1. A rule prefers no finding to a wrong one. It sees only a part of what the guide forbids.
2. Each rule has the number of the guide's rule, and tells the writer what to do instead.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.plain_words.texts import Kind, Sentence, Text

_TABLES: Final = Path(__file__).with_name("words.toml")
_WORDS: Final[dict[str, Any]] = tomllib.loads(_TABLES.read_text("utf-8"))

LONGEST: Final = 30
"""Words of a sentence. The guide asks for 20, so this leaves some room."""

Finder = Callable[[Sentence], Iterator[str]]
"""Yields the words of a sentence that break a rule."""


class Rule(NamedTuple):
    """Its name in reports, its number in the guide, and what finds the words that break it."""

    name: str
    guide: int
    find: Finder

    @property
    def instead(self) -> str:
        """What the writer does instead."""
        return f"{_WORDS['instead'][self.name]} (rule {self.guide} of the guide)"


class Finding(NamedTuple):
    """One place where a sentence breaks a rule, and the words that do."""

    rule: Rule
    sentence: Sentence
    words: str

    def __str__(self) -> str:
        where = f"{self.sentence.file}:{self.sentence.line}"
        return f"{where}: {self.rule.name}: {self.words}\n    {self.sentence.shown}"


def findings(text: Text) -> Iterator[Finding]:
    """Yield what is wrong in a text."""
    for sentence in text.sentences():
        for rule in RULES:
            for words in rule.find(sentence):
                yield Finding(rule, sentence, words)


def any_of(*lists: str) -> str:
    """Return an expression for any word of some lists in `words.toml`."""
    return "|".join(word for name in lists for word in _WORDS["lists"][name].split())


def _pattern(pattern: str, flags: re.RegexFlag = re.NOFLAG) -> re.Pattern[str]:
    return re.compile(pattern, flags | re.VERBOSE)


_SINGULAR: Final = any_of("modals", "singular")
_PLURAL: Final = any_of("modals", "plural")
_CLAUSE: Final = _pattern(
    r"""^["'(]*(who(?:ever)?|what(?!\ (?:to|about|if)\b)
    |whatever(?!\ (?:the|its|their|your|it|you|an?)\b))\s""",
    re.IGNORECASE,
)
_NO_NOUN: Final = _pattern(
    r"\b(?:is|are|was|were|be|been|being)\ no\ (?!longer|more\b|less\b|\w+er\ than)\w+"
)
_THERE: Final = _pattern(rf"\bthere(?:\ (?:{_PLURAL}|has|to))*\ $", re.IGNORECASE)
_COLON: Final = _pattern(r"([^.:;]*):\ (?=[a-z])")
_BEFORE_A_VALUE: Final = _pattern(r"(?:default|example|instance|usage|means|are)$")
_JOINED: Final = _pattern(
    rf"""(?:if|when|where|unless|until|because|since|so|then|but|while|otherwise)\s\w+
    |(?:it|they|we|you|there)\s\w+
    |(?:{any_of("commands")})\s(?:the|an?|its?|your|them|this|each|X+|-|[A-Z])"""
)
_SUBJECT_AND_VERB: Final = _pattern(
    rf"""(?:(?!(?:that|which|who|whose|and|or|to|as|like|what|how)\s)[\w'-]+\s){{1,6}}
    (?:{_SINGULAR}|{_PLURAL})\b"""
)
_BARE: Final = _pattern(r"(?:it|they)\b", re.IGNORECASE)
_BARE_AND_VERB: Final = _pattern(
    rf"""(?:(?:this|that|one)\ (?:{_SINGULAR}|(?!always|perhaps|alias|series)[a-z]+(?<![su])s)
    |(?:the\ same|the\ other|such)\ (?:{_SINGULAR})
    |(?:these|those|both|the\ others)\ (?:{_PLURAL}))\b(?!-)""",
    re.IGNORECASE,
)
_SPEAKER: Final = _pattern(
    rf"\b(?:{any_of('speakers')}|X+)(?:\ that|\ which)?\ (?:says|tells|knows|hears)\b"
)
_SEMICOLON: Final = _pattern(r";(?:\ \S+)?(?=\s|$)")


def _clause(sentence: Sentence) -> Iterator[str]:
    is_question = sentence.words.endswith("?")
    if sentence.kind not in (Kind.HEADING, Kind.PART) and not is_question:
        yield from _CLAUSE.findall(sentence.words)


def pronoun(sentence: Sentence) -> Iterator[str]:
    """Yield the pronoun that opens a sentence; "it" and "they" may open a later one."""
    if sentence.kind is not Kind.PART or sentence.words[:1].isupper():
        found = _BARE_AND_VERB.match(sentence.words)
        if found := found or (_BARE.match(sentence.words) if sentence.is_first else None):
            yield found[0]


def _colon(sentence: Sentence) -> Iterator[str]:
    is_message = sentence.kind in (Kind.MESSAGE, Kind.PART)
    for found in _COLON.finditer(sentence.words):
        head = found[1].strip()
        after = _JOINED.match(sentence.words, found.end())
        if not is_message:  # "not started: the loop is busy" is how a message gives its reason
            after = after or _SUBJECT_AND_VERB.match(sentence.words, found.end())
        if after and len(head.split()) > 2 and not _BEFORE_A_VALUE.search(head):
            yield f": {after[0]}"


def _length(sentence: Sentence) -> Iterator[str]:
    if sentence.length > LONGEST:
        yield f"{sentence.length} words"


def negated_noun(sentence: Sentence) -> Iterator[str]:
    """Yield "is no server", but not "there is no server"."""
    for found in _NO_NOUN.finditer(sentence.words):
        if not _THERE.search(sentence.words, 0, found.start()):
            yield found[0]


def _all(pattern: re.Pattern[str]) -> Finder:
    return lambda sentence: (found[0] for found in pattern.finditer(sentence.words))


def _table(name: str) -> Finder:
    words = [*_WORDS[name]]
    pattern = re.compile(rf"\b(?:{'|'.join(f'({each})' for each in words)})\b", re.IGNORECASE)

    def find(sentence: Sentence) -> Iterator[str]:
        for found in pattern.finditer(sentence.words):
            which = words[(found.lastindex or 1) - 1]
            right = _WORDS["unless"].get(which, "(?!)")
            if not re.search(right, f"{sentence.file} {sentence.words}", re.IGNORECASE):
                yield f'"{found[0]}", instead: {_WORDS[name][which]}'

    return find


RULES: Final = (
    Rule("clause-as-subject", 2, _clause),
    Rule("pronoun-opening", 3, pronoun),
    Rule("colon-join", 4, _colon),
    Rule("semicolon", 4, _all(_SEMICOLON)),
    Rule("long-sentence", 4, _length),
    Rule("people-pronoun", 6, _table("people-pronoun")),
    Rule("term", 7, _table("term")),
    Rule("negated-noun", 8, negated_noun),
    Rule("old-word", 9, _table("old-word")),
    Rule("machine-speaks", 10, _all(_SPEAKER)),
)
