"""Where a result goes: stdout, the report and the JUnit file, and what if one cannot be written."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lifecycle.cli import rehearse as cli
from lifecycle.cli.parser import make_parser
from lifecycle.links import help_page
from lifecycle.rehearsal.display.progress import Lines
from lifecycle.rehearsal.errors import CannotRehearse
from lifecycle.rehearsal.plan import Plan
from lifecycle.rehearsal.verdict.result import Result
from tests.rehearsal.test_junit import checked, loss, result_of

Command = Callable[..., int]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command, of which only the rehearsal itself is left out."""

    def run(found: Result | CannotRehearse, *words: str) -> int:
        async def ran(_: Plan) -> Result:
            if isinstance(found, CannotRehearse):
                raise found
            return found

        monkeypatch.setattr(cli, "_rehearse", ran)
        return cli.run(make_parser().parse_args(["rehearse", *words, "--", "shop"]))

    return run


FULL = f"See {help_page('errors.md#output-failed')}"


def gone() -> io.TextIOWrapper:
    """Return a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    return os.fdopen(writing, "w", encoding="utf-8")


def full() -> io.TextIOWrapper:
    return open("/dev/full", "w", encoding="utf-8")


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize(
    ("make", "said"), [(gone, []), (full, ["lifecycle: stdout: No space left on device", FULL])]
)
def test_stdout_that_cannot_be_written(
    make: Callable[[], io.TextIOWrapper],
    said: list[str],
    as_json: bool,
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    """It is no loss: 2 if nothing was lost, and the files are there; a loss stays a loss."""
    file = tmp_path / "junit.xml"
    options = [*("--junit", str(file)), *["--json"] * as_json]
    for found, code in ((result_of(), 2), (result_of(loss(2)), 1)):
        with make() as out:
            monkeypatch.setattr(sys, "stdout", out)
            assert command(found, *options) == code
        checked(file.read_text(encoding="utf-8"))
        assert capsys.readouterr().err.splitlines() == [*[f"junit: {file}"], *said]


def test_bytes_that_are_not_utf_8(command: Command, tmp_path: Path):
    """Such an argument stops neither the page nor the XML."""
    page, xml = tmp_path / "page.html", tmp_path / "junit.xml"
    options = ("--report", str(page), "--junit", str(xml))
    assert command(result_of(command="shop\udcff"), *options) == 0
    assert "shop?" in page.read_text(encoding="utf-8")
    checked(xml.read_text(encoding="utf-8"))


def test_a_terminal_without_the_characters(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """What its encoding does not have is escaped."""
    with open(tmp_path / "out", "w", encoding="ascii") as out:
        monkeypatch.setattr(sys, "stdout", out)
        assert command(result_of()) == 0
    assert "\\xb7 preStop" in (tmp_path / "out").read_text(encoding="ascii")


def test_a_closed_stdout(command: Command, monkeypatch: pytest.MonkeyPatch):
    """It was closed on purpose: the exit code is the answer."""
    monkeypatch.setattr(sys, "stdout", None)
    assert command(result_of()) == 0


def test_no_result_leaves_no_earlier_one(command: Command, tmp_path: Path):
    """A CI system would take the file of an earlier rehearsal for this one's."""
    files = [tmp_path / "page.html", tmp_path / "junit.xml"]
    for file in files:
        file.write_text("stale")
    options = ("--report", str(files[0]), "--junit", str(files[1]))
    assert command(CannotRehearse("the command did not start"), *options) == 2
    assert not any(file.exists() for file in files)


def test_an_earlier_result_behind_a_link(command: Command, tmp_path: Path):
    """The link stays, and what it names holds nothing of an earlier rehearsal."""
    (tmp_path / "run-1.xml").write_text("stale")
    (tmp_path / "latest.xml").symlink_to("run-1.xml")
    option = ("--junit", str(tmp_path / "latest.xml"))
    assert command(CannotRehearse("the command did not start"), *option) == 2
    assert (tmp_path / "latest.xml").is_symlink()
    assert (tmp_path / "run-1.xml").read_text() == ""


def test_one_file_for_two_results_is_refused(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """Under another name for the same path too; what is there stays."""
    (tmp_path / "same").write_text("mine")
    (tmp_path / "link").symlink_to("same")
    options = ("--report", str(tmp_path / "same"), "--junit", str(tmp_path / "link"))
    assert command(result_of(), *options) == 2
    assert "use two different files" in capsys.readouterr().err
    assert (tmp_path / "same").read_text() == "mine"


def test_progress_that_nobody_reads():
    """It does not end the rehearsal, and nothing is left to be written at the end."""
    with gone() as out, Lines(out, hint=True):
        pass
