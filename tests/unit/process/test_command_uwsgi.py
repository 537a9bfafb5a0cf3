"""uWSGI is told what it needs by variables, and none that a user has set is changed."""

from __future__ import annotations

import os

import pytest

from lifecycle.process.command.uwsgi import (
    DIE_ON_TERM,
    DRAINING,
    ROUTE,
    environment,
    take_back,
    tell,
)

SAYS_CLOSE = "exists:/dev/shm/a.board.draining addheader:Connection: close"


@pytest.mark.parametrize(
    ("given", "board", "added"),
    [
        ({}, "", {DIE_ON_TERM: "1"}),
        ({}, "/dev/shm/a.board", {DIE_ON_TERM: "1", ROUTE: SAYS_CLOSE}),
        ({DIE_ON_TERM: "0", "HOME": "/"}, "/dev/shm/a.board", {ROUTE: SAYS_CLOSE}),
        ({ROUTE: "true: addheader:X: y"}, "/dev/shm/a.board", {DIE_ON_TERM: "1"}),
    ],
)
def test_variables(given, board, added):
    """It ends by SIGTERM, and says close while a file is there, unless the user says otherwise."""
    assert environment(given, board) == added


def test_the_file_of_t0(tmp_path):
    """It is made once, and removed again; where none can be made, nothing is said."""
    board = tmp_path / "a.board"
    tell(str(board))
    tell(str(board))
    assert [each.name for each in tmp_path.iterdir()] == ["a.board" + DRAINING]
    take_back(str(board))
    take_back(str(board))
    assert list(tmp_path.iterdir()) == []
    tell(str(tmp_path / "missing" / "a.board"))


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: os.symlink(f"{path}.target", path)])
def test_another_users_file(tmp_path, make):
    """What somebody else has put in its place is neither waited for nor followed."""
    board = tmp_path / "a.board"
    make(f"{board}{DRAINING}")
    tell(str(board))
    assert [each.name for each in tmp_path.iterdir()] == ["a.board" + DRAINING]
