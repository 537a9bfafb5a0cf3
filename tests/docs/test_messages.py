"""Every message has an entry on a page, and every entry is about a message."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from lifecycle.links import docs_page, help_page
from tests.docs.messages import (
    ARGUMENTS,
    OPTION,
    Entry,
    Message,
    entries,
    families,
    fits,
    fixed,
    full,
    is_log,
    messages,
    modules,
    template,
    templates,
)
from tests.docs.pages import ROOT, anchors

MESSAGES: Final = [*messages()]
ENTRIES: Final = {each.name: each for each in entries()}

REASON: Final = "the reason of a probe, which the entry of the event `probe` quotes"
NEVER: Final = "never shown: it is caught by a caller of ours"
PART: Final = "a part of another message, which has the entry"
WITHOUT: Final[Mapping[str, str]] = {
    "lifecycle/__init__.py": "the AttributeError of any module",
    "lifecycle/calls/dispatch.py": REASON,
    "lifecycle/control/probes.py": REASON,
    "lifecycle/control/registration.py": "the field `reason` of the event `registration`",
    "lifecycle/drain/in_flight.py": "a mistake in our own code",
    "lifecycle/environment_variables.py": PART,
    "lifecycle/qos/takeover.py": NEVER,
    "lifecycle/serving/byte_stream.py": NEVER,
    "lifecycle/serving/port_wait.py": NEVER,
    "lifecycle/serving/sockets.py": "an error of the system, which `bind` puts into its message",
    "lifecycle/serving/tls/transport.py": NEVER,
}
"""Files with messages that have no entry of their own, and why."""
WORKER: Final = "it runs without this package: see the table of the entry `Not instrumented`"
PRINTED: Final[Mapping[str, str]] = {
    "lifecycle/cli/console.py": "adds the link in the same line of code",
    "lifecycle/process/exit_status.py": "adds the link in the same line of code",
    "lifecycle/instrumentation/lifecycle_worker/worker.py": WORKER,
    "lifecycle/instrumentation/sitecustomize.py": WORKER,
}
"""Files that print a message without a link, and why."""
SYMPTOMS: Final[Mapping[str, str]] = {
    "startup-not-done": "answers of the probes",
    "service-offline": "an answer of a probe",
    "killed-with-137": "the kubelet kills",
    "sigterm-does-nothing": "nothing is said",
    "serving-until-sigterm": "nothing is wrong",
    "a-drain-hangs": "nothing is said before its deadline",
    "http-1-only": "an answer to any client, which must not learn our version",
}
"""Entries that no message names, and why."""


def _ids(message: Message) -> str:
    return f"{message.place}"


def test_every_message_names_an_entry() -> None:
    """Errors, warnings and errors in the log, refusals, and what the command prints."""
    nameless = [
        each
        for each in MESSAGES
        if not each.entry and not each.made and each.place.rpartition(":")[0] not in WITHOUT
    ]

    assert nameless == []
    assert len(MESSAGES) > 300


def test_each_exception_is_one() -> None:
    """No reason is left for what has an entry by now."""
    files = {each.place.rpartition(":")[0] for each in MESSAGES if not each.entry}

    assert WITHOUT.keys() - files == set()
    assert {full(each) for each in SYMPTOMS} - ENTRIES.keys() == set()


def test_every_named_entry_exists() -> None:
    """A link that is printed leads to a heading of the page."""
    named = {each.entry for each in MESSAGES if each.entry}
    dead = [
        each for each in named if each.partition("#")[2] not in anchors(ROOT / "docs" / _page(each))
    ]

    assert dead == []


def test_an_event_has_a_whole_address() -> None:
    """The log changes no field, because an app may have a field `see` of its own."""
    short = [
        f"{path}:{call.lineno}"
        for path, tree in modules()
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and is_log(call)
        for each in call.keywords
        if each.arg == "see" and template(each.value)
    ]

    assert short == []


def _page(entry: str) -> str:
    return entry.partition("#")[0]


@pytest.mark.parametrize("message", [each for each in MESSAGES if each.entry], ids=_ids)
def test_an_entry_quotes_the_message(message: Message) -> None:
    """Whoever follows the link finds what they have read."""
    if message.entry in ENTRIES and fixed(message.text):
        assert [q for q in ENTRIES[message.entry].quotes if fits(q, message.text)] != []


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=lambda entry: entry.name)
def test_an_entry_is_about_a_message(entry: Entry) -> None:
    """The code names it, and has every message that it quotes."""
    named = {full(text) for text in templates()}

    assert entry.name in named or entry.anchor in SYMPTOMS
    assert [q for q in entry.quotes if not any(fits(q, text) for text in templates())] == []


def test_an_entry_of_its_own_for_each_heading() -> None:
    """No anchor is there twice, on either page."""
    names = [each.name for each in entries()]

    assert len(names) == len({*names}) > 90


def test_nothing_else_is_printed() -> None:
    """What is written to stderr beside the log, in our name, has a link, or a reason for none."""
    found = {
        path.relative_to(ROOT).as_posix(): [text for text in texts if "See " not in text]
        for path in sorted((ROOT / "lifecycle").rglob("*.py"))
        if (texts := [text for text in _strings(path) if text.startswith("lifecycle: ")])
    }

    assert {name for name, linkless in found.items() if linkless} == PRINTED.keys()


def _strings(path: Path) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {id(part) for each in ast.walk(tree) for part in getattr(each, "values", ())}
    return [template(each) for each in ast.walk(tree) if id(each) not in inside]


def test_the_addresses() -> None:
    """An anchor, a page with an anchor, and a whole address."""
    assert help_page("draining") == docs_page("troubleshooting.md#draining")
    assert help_page("checks.md#settings") == docs_page("checks.md#settings")
    assert help_page("https://example.com/") == "https://example.com/"


def test_what_the_walk_sees() -> None:
    """Classes below ours, also those of the plugins, and the entries that all of them have."""
    assert families()["lifecycle.cli.watching", "NotAnswered"] == "errors.md#app-not-reachable"
    assert families()["lifecycle_kubernetes.errors", "ApiServerError"]
    assert families()["lifecycle.manifests.validation", "Refused"]
    assert {ARGUMENTS, OPTION} <= {each.entry for each in MESSAGES}
    assert len([*modules()]) > 250
