"""`make test`: what it runs, what it leaves out, and that it says so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.suite import __main__ as suite
from tests.suite import needs
from tests.suite.needs import NEEDS, Need

ROOT = Path(__file__).parents[2]
NEVER = Need("no-such-program-anywhere", "no-such-package", ("tests/unit/test_states.py",))


def test_every_file_is_in_one_half() -> None:
    """Nothing is forgotten, nothing is run twice; the tests on a cluster have their own command."""
    files = suite.all_files()
    first, second = suite.halves(files, ())
    assert sorted(first.files + second.files) == sorted(files)
    assert set(first.files).isdisjoint(second.files)
    assert "tests/suite/test_suite.py" in first.files
    assert "tests/hosts/test_redis_worker.py" in second.files
    assert any(each.startswith("plugins/kubernetes/") for each in first.files)
    assert not [each for each in files if "e2e" in each]


@pytest.mark.parametrize("need", NEEDS, ids=lambda need: need.program)
def test_a_need_names_files_that_are_there(need: Need) -> None:
    """What is left out without a program are files that there are."""
    assert need.tests
    assert set(need.tests) <= set(suite.all_files())


@pytest.mark.parametrize(
    ("names", "some"),
    [
        ((), "tests/unit/test_states.py"),
        (("tests/unit",), "tests/unit/test_states.py"),
        (("tests/unit/",), "tests/unit/test_states.py"),
        (("tests/hosts", "tests/unit/test_states.py"), "tests/unit/test_states.py"),
    ],
)
def test_some_only(names: tuple[str, ...], some: str) -> None:
    """A file or a folder chooses; so that one can be run without the rest."""
    files = suite.chosen(names, suite.all_files())
    assert some in files
    assert not names or "tests/docs/test_docs.py" not in files


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Run nothing, but note what would be; the first half fails."""
    ran: list[tuple[str, ...]] = []

    def run(half: suite.Half) -> int:
        ran.append(half.files)
        return int(len(ran) == 1)

    monkeypatch.setattr(suite, "_run", run)
    monkeypatch.delenv("ALL", raising=False)
    return ran


def test_a_failing_half_hides_no_other(ran: list[tuple[str, ...]]) -> None:
    """The second half is run whatever has become of the first, whose failure stays one."""
    assert suite.main(["tests/unit/test_states.py", "tests/rehearsal/test_pure.py"]) == 1
    assert ran == [("tests/unit/test_states.py",), ("tests/rehearsal/test_pure.py",)]


@pytest.mark.parametrize(("asked_for_all", "code"), [(False, 0), (True, 1)])
def test_what_is_missing_is_left_out_and_named(
    ran: list[tuple[str, ...]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    asked_for_all: bool,
    code: int,
) -> None:
    """Its tests are not begun; the end lists them; with ALL that is a failure."""
    ran.append(())  # so that nothing else fails
    monkeypatch.setattr(suite, "NEEDS", (NEVER,))
    monkeypatch.setattr(suite, "install", lambda _: "only root may install packages")
    if asked_for_all:
        monkeypatch.setenv("ALL", "1")

    assert suite.main(["tests/unit/test_states.py", "tests/unit/test_config.py"]) == code

    assert ran == [(), ("tests/unit/test_config.py",)]
    said = capsys.readouterr().out
    assert "== NOT RUN\ntests/unit/test_states.py: needs the program no-such-program" in said
    assert "because only root may install packages." in said
    assert "apt-get install no-such-package" in said


def test_nothing_missing_says_nothing(
    ran: list[tuple[str, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a need there is no list, and nothing is installed."""
    ran.append(())
    assert suite.main(["tests/unit/test_config.py"]) == 0
    assert capsys.readouterr().out == ""


def test_installing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As root with apt-get what is missing is installed, and no more; else it says why not."""
    asked: list[list[str]] = []

    def run(words: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        asked.append(words)
        failed = "install" in words and "broken" in words
        return subprocess.CompletedProcess(words, int(failed), "", "E: one\nE: two\n")

    there = {"apt-get": "/usr/bin/apt-get", "sh": "/bin/sh"}
    uid = 0
    monkeypatch.setattr(needs.shutil, "which", there.get)
    monkeypatch.setattr(needs.os, "geteuid", lambda: uid)
    monkeypatch.setattr(needs.subprocess, "run", run)

    assert needs.install([Need("sh", "dash", ())]) == ""
    assert asked == []
    assert needs.install([NEVER, Need("sh", "dash", ())]) == ""
    assert [each[2:] for each in asked] == [
        ["update"],
        ["install", "--no-install-recommends", "no-such-package"],
    ]
    assert needs.install([Need("x", "broken", ())]) == "apt-get install failed: E: two"
    uid = 1000
    assert needs.install([NEVER]) == "only root may install packages"
    there.clear()
    assert needs.install([NEVER]) == "there is no apt-get on this machine"


IGNORING = """
import os, signal, sys
for name in ("SIGHUP", "SIGINT", "SIGQUIT"):
    signal.signal(getattr(signal, name), signal.SIG_IGN)
os.execv(sys.executable, [sys.executable, "-c", sys.argv[1], *sys.argv[2:]])
"""
RUNNER = """
import os, signal, subprocess, sys
import tests.conftest
os.kill(os.getpid(), signal.SIGHUP)
if len(sys.argv) > 2:
    subprocess.run([sys.executable, "-c", *sys.argv[2:]], check=True)
else:
    subprocess.run(["sed", "-n", "s/^SigIgn:[^0-9a-f]*//p", f"/proc/self/status"], check=True)
"""


@pytest.mark.parametrize("depth", [1, 2], ids=["pytest", "a worker of pytest-xdist"])
def test_ignored_signals_are_not_handed_on(depth: int) -> None:
    """Under nohup the runner goes on ignoring SIGHUP, but what it starts does not."""
    nested = [RUNNER, "again"] * (depth - 1)
    done = subprocess.run(
        [sys.executable, "-c", IGNORING, RUNNER, "first", *nested],
        cwd=ROOT,
        env=os.environ | {"TESTS_IGNORE_SIGNALS": ""},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # Not the C library's own signals, which a program may have left ignored, and nobody sends.
    sent = sum(1 << each - 1 for each in signal.valid_signals())
    assert int(done.stdout, 16) & sent == 0
