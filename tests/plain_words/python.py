"""
The texts of a module: its public docstrings, and the strings that people may read.

Rules of this file:

1. A string is a text if it has three words or more, and nothing that only code or markup has. How
   a string reaches people is not followed: help texts, errors, log fields and findings go through
   too many hands.
2. A field of an f-string stands for a noun.
3. A string inside a field or after a plus, and one that does not start with a word, is a part.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from typing import Final

from tests.plain_words import markdown
from tests.plain_words.texts import Kind, Text

_FIELD: Final = "{…}"
_SECTION: Final = re.compile(r"(Args|Attributes|Raises|Returns|Yields):")
_ENTRY: Final = re.compile(r" {4}[*\w.]+(?: \([^)]*\))?: ")
_THREE_WORDS: Final = re.compile(r"(?:[A-Za-z]{2,}[^\w\s]*\s(?:.*?\s)??){2}[A-Za-z]{2,}", re.DOTALL)
_CODE: Final = re.compile(r"<[/!a-z]|[\\\r{}]|\(\?|\w\(\w*\)[:;]|^\W*#(?! [A-Z])|=\"")
_STARTS_WITH_WORD: Final = re.compile(r"[\w'\"`({-]")
_NOT_READ: Final = frozenset({"compile", "TypeVar", "cast", "NewType", "encode"})


def texts(source: str, file: str) -> Iterator[Text]:
    """Yield the texts of a module, from its code and the name of its file."""
    tree = ast.parse(source)
    for docstring in _docstrings(tree):
        written = str(docstring.value)
        blank = written[: len(written) - len(written.lstrip())].count("\n")
        yield from markdown.texts(_as_markdown(written), file, docstring.lineno + blank)
    for line, words, is_part in _strings(tree):
        with_nouns = words.replace(_FIELD, "XX")
        if _THREE_WORDS.search(with_nouns) and not _CODE.search(with_nouns):
            is_whole = not is_part and _STARTS_WITH_WORD.match(words)
            yield Text(file, line, words, Kind.MESSAGE if is_whole else Kind.PART)


def _docstrings(node: ast.AST) -> Iterator[ast.Constant]:
    """Yield the docstring of a module, a class or a function, and those of its public names."""
    documented = True
    for each in getattr(node, "body", ()):
        match each:
            case ast.Expr(value=ast.Constant(value=str()) as docstring) if documented:
                yield docstring
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                yield from () if each.name.startswith("_") else _docstrings(each)
        match each:
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                documented = not name.startswith("_")
            case _:
                documented = False


def _as_markdown(docstring: str) -> str:
    """Make lists of a docstring's sections, and keep its lines."""
    lines = inspect.cleandoc(docstring).splitlines()
    place = ""
    for number, line in enumerate(lines):
        if _SECTION.fullmatch(line):
            place, lines[number] = "before an entry", ""
        elif place and line.startswith(" "):
            entry = _ENTRY.match(line)
            bullet = "- " if entry or place == "before an entry" else "  "
            lines[number] = bullet + line[entry.end() if entry else 4 :].strip()
            place = "in an entry"
        elif line:
            place = ""
    return "\n".join(lines)


def _strings(tree: ast.Module) -> Iterator[tuple[int, str, bool]]:
    """Yield the line of each string, its words, and whether it is only a part of a text."""
    ahead: list[tuple[ast.AST, bool]] = [(tree, False)]
    while ahead:
        node, is_part = ahead.pop()
        match node:
            case ast.Name() | ast.expr_context() | ast.Expr(value=ast.Constant()):
                pass
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in _NOT_READ:
                pass
            case ast.Constant(value=str(words)):
                yield node.lineno, words, is_part
            case ast.JoinedStr(values=values):
                parts = [
                    each.value if isinstance(each, ast.Constant) else _FIELD for each in values
                ]
                yield node.lineno, "".join(map(str, parts)), is_part
                fields = (each for each in values if isinstance(each, ast.FormattedValue))
                ahead += [(each.value, True) for each in fields]
            case ast.BinOp(left=left, right=right):
                ahead += [(left, is_part), (right, True)]
            case _:
                is_part = is_part or isinstance(node, ast.AugAssign)
                ahead += [(each, is_part) for each in ast.iter_child_nodes(node)]
