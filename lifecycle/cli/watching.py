"""Printing an answer of the app once, or every second until the app has exited."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

from lifecycle.cli.control_client import Unreachable
from lifecycle.plain import one_line

T = TypeVar("T")

CLEAR: Final = "\x1b[H\x1b[2J"
PERIOD: Final = 1.0


class NotAnswered(Unreachable):
    """The answer is not one of an app that runs with pod-lifecycle, or of another version of it."""


def watch(ask: Callable[[], T], show: Callable[[T], str], *, again: bool, as_json: bool) -> int:
    """
    Print an answer once, or every second until the app has exited or the user presses Ctrl-C.

    Args:
        ask: Returns the answer of the app.
        show: Returns an answer as text.
        again: Whether to print it every second.
        as_json: Whether the text is JSON, which is never cleared from a terminal.

    Returns:
        The exit code.

    Raises:
        Unreachable: The first request found no app.
    """
    never = threading.Event()
    answer = ask()
    clear = CLEAR if again and sys.stdout.isatty() and not as_json else ""
    try:
        while True:
            print(clear + show(answer), flush=True)
            if not again:
                return 0
            never.wait(PERIOD)
            try:
                answer = ask()
            except NotAnswered:
                raise
            except Unreachable:
                print("the app has exited", file=sys.stderr if as_json else sys.stdout)
                return 0
    except KeyboardInterrupt:
        return 0


def first_line(body: str) -> str:
    """Return the beginning of an answer, for a message."""
    return repr(body.strip().partition("\n")[0][:80])


def plain(told: Any) -> Any:
    """Return an answer in which each text stays on one line, and does nothing to a terminal."""
    match told:
        case str():
            return one_line(told)
        case dict():
            return {one_line(name): plain(value) for name, value in told.items()}
        case list():
            return [plain(each) for each in told]
    return told
