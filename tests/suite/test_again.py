"""A second try, alone, for a few tests that have failed: what it forgives, and what it does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.suite import again

UNSTEADY = """
import pathlib
import pytest

@pytest.mark.parametrize("name", ["a::b", "c d/[e]", "ü"])
def test_once(name):
    seen = pathlib.Path(__file__).with_name(f"seen-{len(name)}-{name[0]}")
    before, _ = seen.exists(), seen.touch()
    assert before
"""
BROKEN = "def test_never():\n    assert False\n"
GOOD = "def test_good():\n    pass\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with tests in two folders; pytest begins faster without its plugins."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    for name in ("some", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "some/test_good.py").write_text(GOOD)
    return tmp_path


def first_try(root: Path) -> None:
    """Run everything there, as the suite does it."""
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "."]
    done = subprocess.run(words, cwd=root, capture_output=True, check=False)
    assert done.returncode == 1, done.stdout


def test_what_passes_alone_is_named(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It fails nothing, whatever its name; and somebody reads that it is unsteady."""
    (root / "some/test_some.py").write_text(UNSTEADY)
    first_try(root)
    assert again.main(["some"], root) == 0
    out = capfd.readouterr().out
    assert "3 passed" in out
    told = out.partition("== UNSTEADY: passed alone, and failed before\n")[2].splitlines()
    assert len(told) == 3
    assert all(each.startswith("some/test_some.py::test_once[") for each in told)
    assert again.failed([], root) == []


def test_what_fails_alone_too_is_a_failure(root: Path) -> None:
    """A fault of the code's fails every time."""
    (root / "some/test_some.py").write_text(UNSTEADY + BROKEN)
    first_try(root)
    assert again.main(["some"], root) == 1


def test_many_failures_are_not_played_again(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """They are no moment of the machine."""
    name = "some/test_some.py"
    (root / name).write_text(UNSTEADY.replace('["a', '["x", "yy", "zzz", "a'))
    first_try(root)
    assert len(again.failed([name], root)) == again.LIMIT + 1
    assert again.main([name], root) == 1
    assert "6 tests have failed, none is played once more" in capfd.readouterr().out


def test_only_failures_of_the_files_are_played(root: Path) -> None:
    """A failure elsewhere is neither played nor forgiven; without any, the failure stands."""
    (root / "other/test_broken.py").write_text(BROKEN)
    (root / "some/test_some.py").write_text(UNSTEADY)
    first_try(root)
    assert again.main(["some/test_some.py"], root) == 0
    assert again.failed([], root) == ["other/test_broken.py::test_never"]
    assert again.failed(["oth"], root) == []
    assert again.main(["some"], root) == 1
