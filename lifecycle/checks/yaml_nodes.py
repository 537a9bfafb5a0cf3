"""
YAML with its line numbers, from whoever sends it.

Rules of this file:

1. Events are read, not objects: no tag constructs anything.
2. Depth is bounded while reading, size while following aliases: neither a bomb of
   aliases nor one that contains itself costs more than a sentence.
3. A scalar means what Kubernetes' own parser makes of it: a date is text, `0o17` and `08` are numbers, `y` is true.
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
EXTRA: Final = "YAML needs PyYAML: pip install 'pod-lifecycle[manifests]'"


@dataclass
class _Raw:
    line: int
    text: str | None = None  # of a scalar
    plain: bool = False
    items: list[_Raw] = field(default_factory=list)  # of a mapping: key, value, key, …
    is_mapping: bool = False


def read_yaml(text: str) -> Iterator[Node]:
    """
    Read the documents of a YAML stream.

    Raises:
        Unreadable: It is none, or too large; or PyYAML is not installed.
    """
    try:
        for raw in _raw_documents(text):
            yield _node(raw, "$", 0, Budget())
    except Unreadable as error:
        hint = "; is it a template? Render it first: helm template … | lifecycle check -"
        raise Unreadable(f"{error}{hint if '{{' in text else ''}") from None


def _raw_documents(text: str) -> Iterator[_Raw]:
    try:
        import yaml
    except ModuleNotFoundError:
        raise Unreadable(EXTRA) from None
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    tree = _Tree()
    try:
        for event in yaml.parse(text, Loader=loader):
            match event:
                case yaml.DocumentStartEvent():
                    tree = _Tree()
                case yaml.DocumentEndEvent():
                    yield tree.root
                case yaml.AliasEvent():
                    tree.repeat(event)
                case yaml.ScalarEvent():
                    tree.add(event).text = event.value
                case yaml.CollectionStartEvent():
                    tree.open(event).is_mapping = isinstance(event, yaml.MappingStartEvent)
                case yaml.CollectionEndEvent():
                    tree.close()
    except yaml.YAMLError as error:
        raise Unreadable(_explain(error)) from None


class _Tree:
    """One document while it is read."""

    def __init__(self) -> None:
        self._open = [_Raw(1)]
        self._anchors: dict[str, _Raw] = {}

    @property
    def root(self) -> _Raw:
        return self._open[0].items[0]

    def add(self, event: Any) -> _Raw:
        raw = _Raw(event.start_mark.line + 1)
        raw.plain = event.implicit is True or (event.implicit is not False and _is_plain(event))
        if event.anchor:
            self._anchors[event.anchor] = raw
        self._open[-1].items.append(raw)
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
            line = event.start_mark.line + 1
            raise Unreadable(f"line {line}: no anchor is called &{event.anchor}")
        self._open[-1].items.append(self._anchors[event.anchor])


def _is_plain(event: Any) -> bool:
    return bool(event.implicit[0]) and not event.style


def _explain(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it is broken"
    where = f"line {mark.line + 1}: " if mark is not None else ""
    return f"{where}no YAML: {problem}"


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
            found[key.text] = Node(child.value, child.path, key.line)
    return Node(merged | found, path, raw.line)


def scalar(text: str) -> Any:
    """Return what an unquoted scalar means, as go-yaml resolves it: `08` is 8.0, `y` is true."""
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
