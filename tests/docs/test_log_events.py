"""docs/log-events.md has every event that the code logs, with its levels and its fields."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

import pytest

from lifecycle.links import help_page
from lifecycle.states import State
from tests.docs.messages import is_log, levels, modules, template
from tests.docs.pages import ROOT

PAGE: Final = (ROOT / "docs" / "log-events.md").read_text(encoding="utf-8")
COMMON: Final = {"event", "level", "timestamp", "see", "events_dropped"}
"""The fields of every event, which the page explains once."""
OF_A_STATE: Final = ("previous", "cause")
ARGUMENTS: Final = "arg_…"
"""The fields of the event `command` that a caller names."""


class Shown(NamedTuple):
    """What the page has about an event."""

    levels: set[str]
    fields: set[str]
    examples: list[dict[str, object]]


class Logged(NamedTuple):
    """What the code logs of an event, at all places together."""

    levels: set[str]
    fields: set[str]


def _page() -> dict[str, Shown]:
    found = {}
    for part in re.split(r"^(?=#{2,3} )", PAGE, flags=re.MULTILINE):
        heading, _, text = part.partition("\n")
        if not heading.startswith("### "):
            continue
        shown = Shown(
            {
                level
                for line in re.findall(r"^Level: (.+)", text, re.MULTILINE)
                for level in re.findall(r"`(\w+)`", line)
                if level in ("debug", "info", "warning", "error")
            },
            set(re.findall(r"^\| `([\w…]+)` \|", text, re.MULTILINE)),
            [json.loads(each) for each in re.findall(r"^```json\n(.+)\n```$", text, re.MULTILINE)],
        )
        found |= dict.fromkeys(re.findall(r"`([^`]+)`", heading), shown)
    return found


def _logged() -> dict[str, Logged]:
    found: dict[str, Logged] = {}
    for name, call, function in _calls():
        each = found.setdefault(name, Logged(set(), set()))
        each.levels.update(levels(call))
        each.fields.update(_fields(call, function))
    return found


def _calls() -> Iterator[tuple[str, ast.Call, ast.AST]]:
    """Yield each call that logs, with the names of its events, and the function around it."""
    for _, tree in modules():
        functions = [
            each
            for each in ast.walk(tree)
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
        for function in functions:
            for call in ast.walk(function):
                if not isinstance(call, ast.Call) or levels(call) <= {"debug"}:
                    continue
                if is_log(call):
                    yield template(call.args[0]), call, function
                elif {each.arg for each in call.keywords} == {*OF_A_STATE}:
                    yield from ((state, call, function) for state in State if state != "starting")


def _fields(call: ast.Call, function: ast.AST) -> set[str]:
    """Return the fields of an event; those of a `**`, from the dicts that the function makes."""
    named = {each.arg for each in call.keywords if each.arg}
    opened = [each.value for each in call.keywords if each.arg is None]
    for value in opened:
        where = function if isinstance(value, ast.DictComp) else value
        named |= {template(key) for each in ast.walk(where) for key in _keys(each)}
        if isinstance(value, ast.Name):
            named.add(ARGUMENTS)
    return named - COMMON


def _keys(node: ast.AST) -> list[ast.expr]:
    match node:
        case ast.Dict(keys=keys):
            return [key for key in keys if key is not None and template(key)]
        case ast.Assign(targets=[ast.Subscript(slice=key)]) if template(key):
            return [key]
    return []


SHOWN: Final = _page()
LOGGED: Final = _logged()


def test_the_page_has_every_event_and_no_other() -> None:
    """By its name, as the log has it."""
    assert SHOWN.keys() == LOGGED.keys()
    assert len(SHOWN) > 35


@pytest.mark.parametrize("name", SHOWN)
def test_levels_and_fields(name: str) -> None:
    """Those of all places in the code that log the event."""
    shown, logged = SHOWN[name], LOGGED[name]

    assert shown.levels == logged.levels
    assert shown.fields == logged.fields


@pytest.mark.parametrize("name", SHOWN)
def test_an_example_is_such_an_event(name: str) -> None:
    """One line, with a name, a level and fields that the page has."""
    shown = SHOWN[name]

    assert len(shown.examples) == 1
    (example,) = shown.examples
    assert SHOWN[str(example["event"])] == shown
    assert example["level"] in shown.levels
    fields = {"arg_…" if each.startswith("arg_") else each for each in example}
    assert fields - COMMON - shown.fields == set()


def test_the_fields_of_every_event_are_explained_once() -> None:
    """In a table of their own."""
    table = PAGE.partition("## Fields of every event")[2].partition("\n## ")[0]

    assert {*re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)} == {*COMMON, "plugin"}


def test_the_report_is_explained_in_full_elsewhere() -> None:
    """Each of its fields is in the table of docs/drain-report.md too."""
    drain = (ROOT / "docs" / "drain-report.md").read_text(encoding="utf-8")
    table = drain.partition("### Fields of the report")[2].partition("\n### ")[0]

    assert {*re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)} == SHOWN["drain report"].fields
    assert help_page("drain-report").endswith("troubleshooting.md#drain-report")
