"""How an app's own error is shown."""

from __future__ import annotations

import io
import sys

import pytest

from lifecycle.process.exit_status import show


class Written(io.StringIO):
    """What is on stderr, in the pieces in which it came."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []

    def write(self, text: str) -> int:
        self.pieces.append(text)
        return len(text)


def test_an_error_is_shown_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log line of another thread comes before or behind it, and not into a line of it."""
    stderr = Written()
    monkeypatch.setattr("sys.stderr", stderr)
    monkeypatch.setattr("sys.excepthook", sys.__excepthook__)
    try:
        raise ValueError("no database") from KeyError("host")
    except ValueError as error:
        show(error)

    [text] = stderr.pieces
    assert text.startswith("KeyError: 'host'\n\nThe above exception was the direct cause")
    assert text.endswith("\nValueError: no database\n")


def test_an_excepthook_of_the_apps_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """It shows the error, as it would have without us."""
    seen: list[object] = []
    monkeypatch.setattr("sys.excepthook", lambda *told: seen.append(told))
    error = ValueError("no database")

    show(error)

    assert seen == [(ValueError, error, None)]
