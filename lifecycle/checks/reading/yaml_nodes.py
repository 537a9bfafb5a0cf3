"""
YAML with line numbers, from any source.

Rules of this file:

1. Read events, not objects. So no tag can construct an object.
2. Limit the depth while reading, and the size while following aliases. So a bomb of aliases, or an
   alias that contains itself, only causes an error message.
3. Read a scalar as Kubernetes' own parser does. A date is text, `0o17` and `08` are numbers, and `y`
   is true.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from lifecycle.checks.errors import Unreadable
from lifecycle.checks.node import MAX_DEPTH, Budget, Node, step

_WORDS: Final = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **{
        written: value
        for words, value in (
            (("true", "yes", "on", "y"), True),
            (("false", "no", "off", "n"), False),
        )
        for word in words
        for written in (word, word.capitalize(), word.upper())
    },
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **{f"{sign}{word}": math.inf for sign in ("", "+") for word in (".inf", ".Inf", ".INF")},
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_BASES: Final = {"0x": 16, "0o": 8, "0b": 2}
_INTEGER: Final = re.compile(
    r"(?P<sign>[-+]?)(?P<digits>0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0[bB][01]+|0|[1-9][0-9]*)"
)
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_LONGEST: Final = 67  # 64 bits, a sign and `0b`
MAX_BROKEN: Final = 50
EXTRA: Final = "YAML needs PyYAML. Run: pip install 'pod-lifecycle[manifests]'"


@dataclass
class _Raw:
    line: int
    text: str | None = None  # of a scalar
    plain: bool = False
    items: list[_Raw] = field(default_factory=list)  # of a mapping: key, value, key, …
    is_mapping: bool = False


def read_yaml(text: str) -> Iterator[Node | Unreadable]:
    """Give the documents of a YAML stream. A broken document does not hide the next ones."""
    lines = text.splitlines(keepends=True)
    start = 0
    for _ in range(MAX_BROKEN):  # each broken document means parsing the rest again
        broken: int | None = None
        for tree in _trees("".join(lines[start:]), start):
            try:
                yield tree.node()
            except Unreadable as error:
                hint = (
                    ". If this is a template, render it first: helm template … | lifecycle check -"
                )
                yield Unreadable(f"{error}{hint if '{{' in text else ''}")
            broken = tree.broken
        after = None if broken is None else _next_document(lines, max(broken, start + 1))
        if after is None:
            return
        start = after
    yield Unreadable(f"line {start + 1}: not read, because {MAX_BROKEN} documents are broken")


def _trees(text: str, skipped: int) -> Iterator[_Tree]:
    tree = _Tree(skipped)
    try:
        import yaml
    except ModuleNotFoundError:
        tree.problem = EXTRA
        yield tree
        return
    try:
        for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            match event:
                case yaml.DocumentStartEvent():
                    tree = _Tree(skipped)
                case yaml.DocumentEndEvent():
                    yield tree
                case yaml.AliasEvent():
                    tree.repeat(event)
                case yaml.ScalarEvent():
                    tree.add(event).text = event.value
                case yaml.CollectionStartEvent():
                    tree.open(event).is_mapping = isinstance(event, yaml.MappingStartEvent)
                case yaml.CollectionEndEvent():
                    tree.close()
    except (yaml.YAMLError, Unreadable) as error:
        tree.end(error)
        yield tree


def _next_document(lines: list[str], at: int) -> int | None:
    return next((n for n in range(at, len(lines)) if re.match(r"---(\s|$)", lines[n])), None)


class _Tree:
    """
    One document during reading.

    Attributes:
        problem: Why the document cannot be read. Empty if it can.
        broken: The line at which the parser stopped, from 0. None if it did not stop.
    """

    def __init__(self, skipped: int) -> None:
        self.problem = ""
        self.broken: int | None = None
        self._skipped = skipped
        self._line = skipped
        self._written = 0
        self._open = [_Raw(1)]
        self._anchors: dict[str, _Raw] = {}

    def node(self) -> Node:
        if self.problem:
            raise Unreadable(self.problem)
        return _node(self._open[0].items[0], "$", 0, Budget(self._written))

    def end(self, error: Exception) -> None:
        if isinstance(error, Unreadable):
            self.broken, self.problem = self._line, str(error)
            return
        mark = getattr(error, "problem_mark", None)
        self.broken = None if mark is None else self._skipped + mark.line
        where = "" if self.broken is None else f"line {self.broken + 1}: "
        what = getattr(error, "problem", None) or getattr(error, "reason", None) or "broken"
        self.problem = f"{where}not valid YAML: {what}"

    def add(self, event: Any) -> _Raw:
        self._line = self._skipped + event.start_mark.line
        raw = _Raw(self._line + 1)
        raw.plain = event.implicit is True or (event.implicit is not False and _is_plain(event))
        if event.anchor:
            self._anchors[event.anchor] = raw
        self._open[-1].items.append(raw)
        self._written += 1
        return raw

    def open(self, event: Any) -> _Raw:
        raw = self.add(event)
        self._open.append(raw)
        if len(self._open) > MAX_DEPTH:
            raise Unreadable(f"line {raw.line}: nested deeper than {MAX_DEPTH}")
        return raw

    def close(self) -> None:
        self._open.pop()

    def repeat(self, event: Any) -> None:
        if event.anchor not in self._anchors:
            line = self._skipped + event.start_mark.line + 1
            self.problem = f"line {line}: there is no anchor &{event.anchor}"
        self._open[-1].items.append(self._anchors.get(event.anchor, _Raw(1, "")))


def _is_plain(event: Any) -> bool:
    return bool(event.implicit[0]) and not event.style


def _node(raw: _Raw, path: str, depth: int, budget: Budget) -> Node:
    budget.spend(depth)
    if raw.text is not None:
        return Node(scalar(raw.text) if raw.plain else raw.text, path, raw.line)
    if not raw.is_mapping:
        items = [
            _node(each, f"{path}[{at}]", depth + 1, budget) for at, each in enumerate(raw.items)
        ]
        return Node(items, path, raw.line)
    found: dict[str, Node] = {}
    merged: dict[str, Node] = {}
    repeated: list[tuple[str, Node]] = []
    for key, value in zip(raw.items[::2], raw.items[1::2], strict=True):
        if key.text is None:
            raise Unreadable(f"line {key.line}: a key must be text")
        if key.text == "<<" and key.plain:
            parts = value.items if not value.is_mapping and value.text is None else [value]
            for part in parts:
                inherited = _node(part, path, depth + 1, budget).value
                merged = (inherited if isinstance(inherited, dict) else {}) | merged
        else:
            child = _node(value, step(path, key.text), depth + 1, budget)
            if key.text in found:
                repeated.append((key.text, found[key.text]))
            found[key.text] = Node(child.value, child.path, key.line, child.repeated)
    return Node(merged | found, path, raw.line, tuple(repeated))


def scalar(text: str) -> Any:
    """Return the value of an unquoted scalar as go-yaml reads it. `08` is 8.0, and `y` is true."""
    if text in _WORDS:
        return _WORDS[text]
    if text[:1] not in set("+-.0123456789"):
        return text
    plain = re.sub(r"(?<=\d)_(?=\d)", "", text) if text[0] == "." else text.replace("_", "")
    if (found := _INTEGER.fullmatch(plain)) and len(plain) <= _LONGEST:
        digits = found["digits"].lower()
        octal = 8 if digits[0] == "0" and digits != "0" else 10
        number = int(
            found["sign"] + digits[2 * (digits[:2] in _BASES) :], _BASES.get(digits[:2], octal)
        )
        if -(2**63) <= number < 2**64:
            return number
    if _FLOAT.fullmatch(plain):
        value = float(plain)
        return value if math.isfinite(value) else text
    return text
