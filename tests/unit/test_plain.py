"""What strangers have chosen reaches a person as text: it moves no cursor and forges no line."""

from __future__ import annotations

import io
import json
import logging
import sys
import time
import unicodedata
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.cli import console, status
from lifecycle.log import Log, LogEntry, logfmt, renderer_for
from lifecycle.plain import lines, one_line, table
from lifecycle.qos import port_holder

EVIL = "a\x1b[31m\x1b]0;t\x07\x9b1Ab\r\x7f\u202ec\u2028\u061c\u200b\ufeff\U000e0041"
JOINERS = "\u200c\u200d"
OBEYED = {"Cc", "Cf", "Zl", "Zp"}


def obeyed(text: str) -> set[str]:
    """Return what a terminal would obey; the ends and the columns of our own lines apart."""
    return {
        each
        for each in text
        if unicodedata.category(each) in OBEYED and each not in f"\n\t{JOINERS}"
    }


@given(st.text())
def test_nothing_in_it_is_obeyed(text: str) -> None:
    """Whatever it is made of; on one line, or on the lines that it has."""
    assert obeyed(lines(text)) == obeyed(one_line(text)) == set()
    assert "\n" not in one_line(text)
    assert lines(text).count("\n") == text.count("\n")
    assert lines(lines(text)) == lines(text)
    assert one_line(one_line(text)) == one_line(text)


@given(
    st.text(alphabet=st.characters(exclude_categories=["C", "Zl", "Zp"]) | st.sampled_from("\n\t"))
)
def test_what_is_harmless_stays_as_it_is(text: str) -> None:
    """Every script, tabs and the ends of lines, in text that has lines."""
    assert lines(text) == text


def test_every_character_there_is() -> None:
    """Controls, what turns text round, what has no width, tags: all of a kind, whatever came first."""
    kept = {chr(code) for code in range(sys.maxunicode + 1) if lines(chr(code)) == chr(code)}

    assert obeyed("".join(kept)) == set()
    woman_at_work = "\U0001f469\u200d\U0001f4bb"
    assert lines(woman_at_work) == woman_at_work
    assert lines("\u061c\U000e0041") == "\\u061c\\U000e0041"


@given(st.dictionaries(st.text(), st.text()))
def test_json_stays_json(value: dict[str, str]) -> None:
    """It has escaped what is dangerous itself, and is not escaped twice."""
    assert lines(json.dumps(value, indent=2)) == json.dumps(value, indent=2)


def test_the_ends_of_windows_lines() -> None:
    """They are ends of lines, and no cursor's return."""
    assert lines("a\r\nb\rc") == "a\nb\\x0dc"


def test_a_table() -> None:
    """A cell stays on its line, so that no row is forged."""
    shown = table(("NAME", "PORT"), [(f"x\n{EVIL}", 80), ("y", 8080)])

    assert obeyed(shown) == set()
    assert len(shown.split("\n")) == 3


def test_a_status() -> None:
    """Names, causes, user agents, reasons: everything in `/status` comes from somebody."""
    service = {"name": EVIL, "port": 1, "online": False, "held_by": [EVIL]}
    told: dict[str, Any] = {
        "state": EVIL,
        "since": time.time(),
        "in_flight": 1,
        "pid": 1,
        "version": EVIL,
        "drain": {
            "cause": f"{EVIL}\nforged",
            "elapsed": 1.0,
            "step": EVIL,
            "deadline": 1.0,
            "disturbed_by": [EVIL],
            "waiting_for": [EVIL],
        },
        "services": [{**service, "registrations": {EVIL: {"registered": "no", "reason": EVIL}}}],
        "probes": [
            {**dict.fromkeys(("name", "kind", "reason"), EVIL), "ok": True, "ms": 1.0, "age": 1.0}
        ],
        "transitions": [{"from": EVIL, "to": EVIL, "at": 1.0, "cause": EVIL}],
        "plugins": [{"name": EVIL, "problem": EVIL}],
    }

    shown = status.render(told)

    assert obeyed(shown) == set()
    assert "\nforged" not in shown
    assert "\\x1b[31m" in shown


def test_what_the_commands_say() -> None:
    """The answer of `lifecycle offline`, the reasons of `lifecycle probe`, every error."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")

    console.say(f"OK: {EVIL}\n", stream)

    stream.seek(0)
    assert obeyed(stream.read()) == set()


class Terminal(io.StringIO):
    """A stream with a person behind it."""

    def isatty(self) -> bool:
        """Say so."""
        return True


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()], ids=["terminal", "pipe"])
def test_the_log_of_run(stream: io.StringIO) -> None:
    """For people as for machines: the fields of an event, their names, what lists hold."""
    fields = {"agent": EVIL, EVIL: 1, "agents": [EVIL]}

    renderer_for(stream)(LogEntry(0.0, logging.WARNING, EVIL, fields))

    written = stream.getvalue()
    assert written.count("\n") == 1
    if not stream.isatty():
        assert json.loads(written)["agent"] == EVIL
    assert "\x1b]0;" not in written  # its own colours are the renderer's
    assert not obeyed(written) - {"\x1b"}


@given(st.text(), st.text())
def test_the_standard_logs_line(name: str, text: str) -> None:
    """One line of `key=value`, whatever the field is called, and whatever its value."""
    shown = logfmt({"event": "command", f"x{name}": text})

    assert obeyed(shown) == set()
    assert "\n" not in shown
    key = shown.removeprefix("event=command ").partition("=")[0]
    assert not set(key) & set(' "\\')


def test_the_apps_own_log() -> None:
    """A structlog of the app's may show to people what it is given: text comes to it as one line."""
    written: list[dict[str, Any]] = []

    def keep(_: object, __: str, event: dict[str, Any]) -> dict[str, Any]:
        written.append(dict(event))
        raise structlog.DropEvent

    structlog.configure(processors=[keep])
    try:
        Log()._emit(
            LogEntry(0.0, logging.WARNING, "probe", {"agent": f"{EVIL}\nforged", "ms": 1.5})
        )
    finally:
        structlog.reset_defaults()

    [event] = written
    assert obeyed(event["agent"]) == set()
    assert "\n" not in event["agent"]
    assert event["ms"] == 1.5


def test_another_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The command line of who has the port is that process's own choice."""
    monkeypatch.setattr(port_holder, "_names", lambda _: ["7"])
    files = {"/proc/7/stat": "7 (x) S 1 1", "/proc/7/cmdline": f"{EVIL}\0--option"}
    monkeypatch.setattr(port_holder, "_read", files.__getitem__)

    [found] = port_holder._processes()

    assert obeyed(str(found)) == set()
