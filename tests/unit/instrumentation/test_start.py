"""The start of an interpreter: ours runs once, and so does every other sitecustomize."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

from lifecycle.instrumentation.lifecycle_worker import start
from tests.unit.instrumentation.interpreters import FOLDER, Parent

HOOKED = "import sys; print([type(each).__name__ for each in sys.meta_path].count('Finder'))"


def test_without_a_board_nothing_happens(command: Parent) -> None:
    """Whoever is started with our path and no board is left alone."""
    done = command.run(HOOKED, board=False)

    assert (done.stdout, done.stderr) == ("0\n", "")
    assert command.told() == []


def test_with_a_board(command: Parent) -> None:
    """The parent hears of it, and servers are watched for."""
    done = command.run(HOOKED)

    assert (done.stdout, done.stderr) == ("1\n", "")
    assert command.told() == ["hello"]


def test_its_start_imports_next_to_nothing(command: Parent) -> None:
    """What gevent patches later is the server's to import, and what takes time nobody's."""
    code = "import sys; print(*sorted(sys.modules))"

    ours = set(command.run(code).stdout.split())
    bare = set(command.run(code, board=False, options=["-S"]).stdout.split())

    found = {each for each in ours - bare if not each.startswith("lifecycle_worker")}
    assert not found & {"threading", "socket", "ssl", "asyncio", "typing", "importlib.util"}


@pytest.mark.parametrize("gone", [False, True])
def test_a_board_that_is_not_to_be_had(command: Parent, tmp_path: Path, gone: bool) -> None:
    """One warning that names it; the process goes on."""
    path = tmp_path / "no board"
    if not gone:
        path.write_text("x")

    done = command.run("print('serves')", LIFECYCLE_BOARD=str(path))

    assert done.stdout == "serves\n"
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"lifecycle: this process is not counted: {path}")


def test_a_board_of_another_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The warning says as whom lifecycle is to be started."""
    path = tmp_path / "board"
    path.write_text("x")
    monkeypatch.setattr(os, "geteuid", lambda: 65534)

    start.open_board(str(path))

    assert "This process runs as uid 65534" in capsys.readouterr().err


def test_a_python_that_is_too_old(command: Parent) -> None:
    """One line that says so, and the process goes on."""
    code = (
        "import runpy, sys; sys.version_info = (2, 7, 18);"
        f"runpy.run_path({str(FOLDER / 'sitecustomize.py')!r}, run_name='sitecustomize');"
        "print('serves')"
    )

    done = command.run(code, Path("/nowhere"))

    assert done.stdout == "serves\n"
    assert done.stderr == (
        "lifecycle: requests are not counted, because Python 2.7 is too old. Use 3.8 or later\n"
    )


def test_what_it_is_written_in() -> None:
    """An old Python can read the file that says that it is too old; 3.8 can read all the rest."""
    first = FOLDER / "sitecustomize.py"
    newer = (ast.JoinedStr, ast.AnnAssign, ast.AsyncFunctionDef, ast.Nonlocal, ast.NamedExpr)
    for node in ast.walk(ast.parse(first.read_text())):
        assert not isinstance(node, newer), ast.unparse(node)
        assert not getattr(node, "annotation", None)
        assert not getattr(node, "returns", None)
    for path in FOLDER.rglob("*.py"):
        ast.parse(path.read_text(), feature_version=(3, 8))
