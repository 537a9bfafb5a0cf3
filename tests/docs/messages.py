"""
The messages in the code, each with the entry of a page that it names, and the entries of the pages.

Messages are found in the syntax, so that a new one without an entry cannot be overlooked.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

from tests.docs.pages import ROOT, slug

PAGES: Final = ("troubleshooting.md", "errors.md")
GAP: Final = "…"
LEVELS: Final = ("debug", "info", "warning", "error")
LOUD: Final = frozenset({"warning", "error"})
PRINTS: Final = frozenset({"fail", "warn"})
ARGUMENTS: Final = "errors.md#wrong-arguments"
"""The entry that `Parser.error` names, for every message of argparse."""
OPTION: Final = "errors.md#option-of-a-plugin"
"""The entry that the core names if a plugin's options raise ValueError."""
_UNREACHABLE: Final = "lifecycle.cli.control_client"
_UNREADABLE: Final = "lifecycle.checks.errors"
PARSERS: Final = frozenset({"parser", "own"})
OF_ARGPARSE: Final = frozenset({"ArgumentTypeError", "error"})
BUILTIN: Final = frozenset(
    name
    for name, each in vars(builtins).items()
    if isinstance(each, type) and issubclass(each, Exception)
)
PREFIX: Final = "lifecycle_worker"
"""A folder that runs without this package, in workers of a command."""


class Message(NamedTuple):
    """
    A message in the code.

    Attributes:
        place: The file and the line.
        text: The message, with a gap for each part that changes; empty if it is made elsewhere.
        entry: The page and the anchor that it names; empty if it names none.
        made: True if the entry is not a constant, but what another message names.
    """

    place: str
    text: str
    entry: str
    made: bool


class Entry(NamedTuple):
    """A section of a page, and the messages that it quotes."""

    page: str
    anchor: str
    quotes: tuple[str, ...]

    @property
    def name(self) -> str:
        """How the code names it."""
        return f"{self.page}#{self.anchor}"


def modules() -> Iterator[tuple[Path, ast.Module]]:
    """Yield each module that a user can meet messages of, without the tools for tests."""
    core = (ROOT / "lifecycle").rglob("*.py")
    for path in sorted([*core, *(ROOT / "plugins").glob("*/src/**/*.py")]):
        if not path.is_relative_to(ROOT / "lifecycle" / "testing") and PREFIX not in path.parts:
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def template(node: ast.AST | None) -> str:
    """Return a string of the code with a gap for each part that changes, or empty."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(template(each) or GAP for each in parts)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return (template(left) or GAP) + (template(right) or GAP)
        case ast.Call(func=ast.Attribute(value=text)) if template(text):
            return GAP  # "; ".join(…)
    return ""


def name_of(function: ast.expr) -> str:
    """Return the last name of what is called."""
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


@cache
def families() -> dict[tuple[str, str], str]:
    """Return each class of errors that name an entry, by module and name, with that of the class."""
    known = {("lifecycle.exceptions", "Explained"): "", (_UNREACHABLE, "Unreachable"): ""}
    known[_UNREADABLE, "Unreadable"] = ""
    before = 0
    while len(known) > before:
        before = len(known)
        for path, tree in modules():
            homes = _homes(path, tree)
            for each in (each for each in ast.walk(tree) if isinstance(each, ast.ClassDef)):
                bases = [homes.get(name_of(base), ("", "")) for base in each.bases]
                if (own := homes[each.name]) in known or known.keys() & {*bases}:
                    inherited = next(filter(None, (known.get(base) for base in bases)), "")
                    known[own] = _entry_of(each) or inherited
    return known


def _entry_of(each: ast.ClassDef) -> str:
    for line in each.body:
        match line:
            case ast.Assign(
                targets=[ast.Name(id="help_entry")], value=ast.Constant(value=str(see))
            ):
                return see
    return ""


def _homes(path: Path, tree: ast.Module) -> dict[str, tuple[str, str]]:
    """Return each class that a module has or imports: the module and the name."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    own = ".".join(parts[parts.index("src") + 1 :] if "src" in parts else parts)
    found = dict.fromkeys(("LifecycleError", "RegistrationRefused"), ("", ""))  # of `lifecycle`
    found = {name: ("lifecycle.exceptions", name) for name in found}
    for each in ast.walk(tree):
        if isinstance(each, ast.ImportFrom):
            found |= {name.name: (each.module or "", name.name) for name in each.names}
        elif isinstance(each, ast.ClassDef):
            found[each.name] = (own, each.name)
    return found


def _constants(tree: ast.Module) -> dict[str, str]:
    return {
        name_of(target): line.value.value
        for line in tree.body
        if isinstance(line, ast.AnnAssign | ast.Assign)
        for target in ([line.target] if isinstance(line, ast.AnnAssign) else line.targets)
        if isinstance(line.value, ast.Constant) and isinstance(line.value.value, str)
    }


def full(entry: str) -> str:
    """Return an entry with its page."""
    return entry if not entry or "#" in entry else f"{PAGES[0]}#{entry}"


def messages() -> Iterator[Message]:
    """Yield all messages that a user can meet."""
    for path, tree in modules():
        constants, homes = _constants(tree), _homes(path, tree)
        inside = {
            id(each)
            for call in ast.walk(tree)
            if isinstance(call, ast.Call) and name_of(call.func) == "explained"
            for each in call.args
        }
        raised = {id(each.exc) for each in ast.walk(tree) if isinstance(each, ast.Raise)}
        by_cli = path.is_relative_to(ROOT / "lifecycle" / "cli")
        by_plugin = path.is_relative_to(ROOT / "plugins")
        for call in ast.walk(tree):
            if not isinstance(call, ast.Call) or id(call) in inside:
                continue
            family = families().get(homes.get(name_of(call.func), ("", "")))
            is_message = family is not None or (id(call) in raised and _is_builtin(call))
            is_message |= (
                by_cli and isinstance(call.func, ast.Name) and name_of(call.func) in PRINTS
            )
            if (first := _message(call, is_message=is_message)) is None:
                continue
            see = _see(call)
            entry = template(see) or constants.get(name_of(see) if see else "", "")
            if see is None and by_plugin and _is_builtin(call):
                entry = OPTION
            elif see is None:
                entry = family or (ARGUMENTS if name_of(call.func) in OF_ARGPARSE else "")
            is_handed_on = name_of(call.func) in PRINTS and isinstance(first, ast.Name)
            place = f"{path.relative_to(ROOT)}:{call.lineno}"
            made = (see is not None and not entry) or is_handed_on
            yield Message(place, template(first), full(entry), made)


def _is_builtin(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id in BUILTIN


def _see(call: ast.Call) -> ast.expr | None:
    see = next((each.value for each in call.keywords if each.arg == "see"), None)
    if name_of(call.func) == "Outcome" and len(call.args) > 2:
        see = call.args[2]
    if isinstance(see, ast.IfExp):
        empty = isinstance(see.body, ast.Constant) and not see.body.value
        see = see.orelse if empty else see.body
    if isinstance(see, ast.Call) and name_of(see.func) == "help_page":
        see = see.args[0]
    if isinstance(see, ast.Attribute) and isinstance(see.value, ast.Call):  # Error(see="…").see
        see = _see(see.value)
    return see


def _message(call: ast.Call, *, is_message: bool) -> ast.expr | None:
    """Return the message of a call; None if it has none."""
    match name_of(call.func), call.args:
        case "explained", [ast.Call(args=[first, *_])]:
            return first
        case "Outcome", [_, first, *_] if not is_message and _see(call) is not None:
            return first
        case "Response", [ast.Constant(value=int(status)), first, *_] if status >= 400:
            return first
        case "Refusal" | "ArgumentTypeError", [first, *_]:
            return first
        case "error", [first] if name_of(getattr(call.func, "value", call)) in PARSERS:
            return first
        case _, [first, *_] if is_message or (is_log(call) and levels(call) & LOUD):
            return first
    return None


def is_log(call: ast.Call) -> bool:
    """Tell whether a call logs an event of ours: a literal, and fields by name."""
    if not levels(call):
        return False
    if isinstance(call.func, ast.Attribute) and not name_of(call.func.value).endswith("log"):
        return False
    return bool(template(call.args[0])) if call.args else False


def levels(call: ast.Call) -> set[str]:
    """Return the levels that a call may log at; empty if it is no call of a log."""
    match call.func:
        case ast.Attribute(attr=level) if level in LEVELS:
            return {level}
        case ast.IfExp(body=ast.Attribute(attr=one), orelse=ast.Attribute(attr=other)):
            return {one, other} & {*LEVELS}
        case ast.Name(id="say" | "log") if call.keywords:
            return {"info", "warning"} if name_of(call.func) == "say" else {"error", "warning"}
    return set()


def entries() -> list[Entry]:
    """Return every entry of the pages: a heading of the third level, and its quotations."""
    return [
        Entry(name, slug(part.partition("\n")[0]), tuple(_quotes(part)))
        for name in PAGES
        for part in _parts((ROOT / "docs" / name).read_text(encoding="utf-8"))
    ]


def _parts(page: str) -> Iterator[str]:
    heads = [each.start() for each in re.finditer(r"^#{2,3} ", page, re.MULTILINE)]
    for start, end in pairwise([*heads, len(page)]):
        part = page[start:end]
        if part.startswith("### "):
            yield part.removeprefix("### ")


def _quotes(part: str) -> Iterator[str]:
    """Yield what starts a line or a row of a table, as code."""
    yield from re.findall(r"^`([^`]+)`", part, re.MULTILINE)
    for cell in re.findall(r"^\| (`.*?) \|", part, re.MULTILINE):
        yield from re.findall(r"`([^`]+)`", cell)


def fits(quote: str, text: str) -> bool:
    """Tell whether all fixed parts of a quotation are in a message, in this order."""
    parts = [re.escape(each.strip(" .")) for each in quote.split(GAP) if each.strip(" .")]
    return bool(parts) and re.search(".*?".join(parts), text, re.DOTALL) is not None


def fixed(text: str) -> Sequence[str]:
    """Return the words of a message that never change."""
    return re.findall(r"[A-Za-z]{3,}", text.replace(GAP, " "))


@cache
def templates() -> tuple[str, ...]:
    """Return every string of the code, with gaps, also of the workers' part."""
    sources = [*(ROOT / "lifecycle").rglob("*.py"), *(ROOT / "plugins").glob("*/src/**/*.py")]
    trees = [ast.parse(each.read_text(encoding="utf-8")) for each in sources]
    return tuple({found for tree in trees for each in ast.walk(tree) if (found := template(each))})
