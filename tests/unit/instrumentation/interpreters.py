"""Real interpreters under the instrumentation, with a board whose other end the test holds."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lifecycle import instrumentation
from lifecycle.instrumentation.lifecycle_worker.board import VARIABLE, WAKE, Board

FOLDER = Path(instrumentation.__file__).parent
"""What is put on the workers' path."""


class Parent:
    """What the parent of a command has: the board, and the pipe."""

    def __init__(self, board: Board, pipe: int) -> None:
        self.board = board
        self.pipe = pipe

    def told(self) -> list[str]:
        """Return what workers have said since the last call, without their pids."""
        try:
            lines = os.read(self.pipe, 65536).decode().splitlines()
        except BlockingIOError:
            return []
        return [" ".join(word for word in line.split() if not word.isdigit()) for line in lines]

    def run(
        self,
        code: str,
        *paths: Path,
        options: Sequence[str] = (),
        python: str = sys.executable,
        board: bool = True,
        **environment: str,
    ) -> subprocess.CompletedProcess[str]:
        """
        Run a text in an interpreter.

        Args:
            code: It.
            paths: Its PYTHONPATH; our folder alone if there are none.
            options: The interpreter's.
            python: Which one.
            board: False if it has none.
            environment: More variables.
        """
        known = {each: value for each, value in os.environ.items() if each in ("PATH", "HOME")}
        known["PYTHONPATH"] = os.pathsep.join(map(str, paths or (FOLDER,)))
        if board:
            known[VARIABLE] = self.board.path
        return subprocess.run(
            [python, *options, "-c", code],
            env=known | environment,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )


@contextmanager
def parent(folder: Path) -> Iterator[Parent]:
    """Make a board in a folder, and hold the other end."""
    path = str(folder / "board")
    os.mkfifo(path + WAKE)
    pipe = os.open(path + WAKE, os.O_RDONLY | os.O_NONBLOCK)
    board = Board.create(path, ("kube-probe/", "/healthz"))
    try:
        yield Parent(board, pipe)
    finally:
        board.close()
        os.close(pipe)
