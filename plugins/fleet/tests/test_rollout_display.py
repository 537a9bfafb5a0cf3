"""What the command shows while a rollout runs, and at its end."""

from __future__ import annotations

import io
import json
import os
import re
from dataclasses import replace

import pytest
import yaml
from lifecycle_fleet.rollout.display.live import Live
from lifecycle_fleet.rollout.display.progress import Lines, display
from lifecycle_fleet.rollout.moves import moves
from lifecycle_fleet.rollout.report import document, text
from lifecycle_fleet.rollout.result import Rollout, Verdict

from plugins.fleet.tests.test_rollout_page import HOSTILE, scene


class Terminal(io.TextIOWrapper):
    """A terminal, with an encoding."""

    def __init__(self, encoding: str = "utf-8") -> None:
        super().__init__(io.BytesIO(), encoding=encoding)

    def isatty(self) -> bool:
        return True

    def read_all(self) -> str:
        self.flush()
        return self.buffer.getvalue().decode(self.encoding)  # type: ignore[attr-defined]


def drawn(
    rollout: Rollout,
    monkeypatch: pytest.MonkeyPatch,
    *,
    width: int = 80,
    height: int = 24,
    encoding: str = "utf-8",
    colour: bool = False,
    problem: str = "the API server is away",
) -> list[str]:
    """Return the lines of the live display on a terminal."""
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("LINES", str(height))
    monkeypatch.setenv("TERM", "xterm-256color")
    if not colour:
        monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal(encoding)
    live = Live(terminal)
    live._console.print(live.draw(rollout, problem))
    found = terminal.read_all()
    return (found if colour else re.sub("\x1b\\[[0-9;]*m", "", found)).splitlines()


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("pods", [1, 50])
def test_the_display_fits_the_terminal(
    monkeypatch: pytest.MonkeyPatch, width: int, pods: int
) -> None:
    """Whatever the names are, and however many pods there are."""
    lines = drawn(scene(HOSTILE * 9, pods=pods), monkeypatch, width=width)

    assert {len(each) for each in lines} == {width}
    assert len(lines) <= 24


def test_each_lane_can_be_read_without_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each phase has a character of its own, also without Unicode."""
    for encoding, marks in (("utf-8", "·░█▒▓"), ("ascii", ".:#?=")):
        shown = "\n".join(drawn(scene(), monkeypatch, encoding=encoding))
        assert [each for each in marks if each not in shown] == []


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """With NO_COLOR, text may be bold or dim."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = re.compile("\x1b\\[[0-9;]*(3[0-8]|9[0-7])[;m]")
    painted = text.render(scene(), text.Painter(Terminal()))
    assert coloured.search("\n".join(drawn(scene(), monkeypatch, colour=True)))
    assert coloured.search(painted)

    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    live = Live(terminal)
    live._console.print(live.draw(scene()))
    assert not coloured.search(terminal.read_all())
    assert not coloured.search(text.render(scene(), text.Painter(Terminal())))


def test_the_pods_that_move_are_shown_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """If there is no room for all."""
    rollout = scene(pods=50)
    still = [replace(each, spans=each.spans[:4]) for each in rollout.lanes[1:-1]]
    rollout = replace(rollout, lanes=(rollout.lanes[0], *still, rollout.lanes[-1]))
    shown = "\n".join(drawn(rollout, monkeypatch, height=16))

    assert "and 46 more pods" in shown
    assert "new-50" in shown


def test_a_hostile_text_stays_on_its_line() -> None:
    """In the lines, and in the text at the end."""
    out = io.StringIO()
    evil = "a\x1b[2J\nb\u202e"
    Lines(out).update(scene(evil), "")
    shown = out.getvalue() + text.render(scene(evil), text.Painter(io.StringIO()))

    assert [each for each in shown if not each.isprintable() and each != "\n"] == []


def test_a_line_is_printed_once() -> None:
    """The second time, nothing has happened."""
    out = io.StringIO()
    lines = Lines(out)
    lines.update(scene(), "")
    first = out.getvalue()
    lines.update(scene(), "")

    assert out.getvalue() == first
    assert "orders-new-0 (new): ready after 3.0 s" in first


def test_what_happened_is_what_is_new() -> None:
    """Between two moments."""
    before = scene()
    lane = before.lanes[1]
    after = replace(before, lanes=(before.lanes[0], replace(lane, restarts=2), *before.lanes[2:]))

    assert [each.text for each in moves(before, after)] == ["orders-new-0: restarted 2 times"]


def test_a_reader_that_has_gone_does_not_end_the_watch() -> None:
    """The result counts, and not who reads the progress."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", encoding="utf-8") as out:
        lines = display(out)
        lines.update(scene(), "")
        lines.hint("a hint")

    assert isinstance(lines, Lines)


def test_the_json_and_the_yaml_say_the_same() -> None:
    """With each phase of each pod."""
    found = json.loads(document.render(scene(), "json"))

    assert yaml.safe_load(document.render(scene(), "yaml")) == found
    assert (found["verdict"], found["clean"], found["passed"]) == ("stuck", False, False)
    killed = found["pods"][0]
    assert (killed["outcome"], killed["drained_in"], killed["grace"]) == ("killed", 30.0, 30.0)
    assert [each["kind"] for each in killed["faults"]] == ["killed", "hook failed"]


@pytest.mark.parametrize("verdict", [*Verdict])
def test_each_verdict_has_a_headline(verdict: Verdict) -> None:
    """And the text begins with it."""
    rollout = scene().ended(verdict)

    assert text.render(rollout, text.Painter(io.StringIO())).startswith(rollout.headline())
    assert ("lifecycle fleet why" in text.hint(rollout)) == (
        verdict not in (Verdict.DONE, Verdict.NONE, Verdict.ROLLING)
    )


def test_a_long_list_is_cut_with_its_faults_on_top() -> None:
    """The JSON has all."""
    shown = text.table(scene(pods=100))

    assert "and 62 more" in shown
    assert "killed" in shown
    assert len(shown.splitlines()) == 42
