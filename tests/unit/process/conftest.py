"""What the tests of a command's workers share."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifecycle.process.command import board_file


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make boards where nobody else does."""
    monkeypatch.setattr(board_file, "FIRST", str(tmp_path))
