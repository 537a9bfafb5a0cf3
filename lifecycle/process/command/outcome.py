"""What the end of a command means: the exit code, and a sentence about what nobody has asked for."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import Final, NamedTuple

BY_SIGNAL: Final = 128
"""What a shell adds to the number of the signal that a command died of."""
INTO_BACKGROUND: Final = ("--daemon", "-D", "--daemonize")
"""The options by which gunicorn and uWSGI leave their parent."""


class Outcome(NamedTuple):
    """
    What an end means.

    Attributes:
        code: The exit code.
        problem: A sentence, if it is not as it should be.
    """

    code: int
    problem: str = ""


def when_told(code: int, sent: signal.Signals, name: str) -> Outcome:
    """
    Judge the end of a command that was told to end.

    Args:
        code: Its exit code, or minus the signal that it died of.
        sent: By which signal it was told.
        name: The command's.
    """
    if code in (0, -sent, BY_SIGNAL + sent):  # the last one is how `sh` and `uv run` put it
        return Outcome(0)
    if code < 0:
        return Outcome(
            BY_SIGNAL - code, f"{name} was told to end by {sent.name}, and died of {_named(-code)}."
        )
    return Outcome(code, f"{name} was told to end by {sent.name}, and ended with exit code {code}.")


def unasked(
    code: int, name: str, *, words: Sequence[str] = (), left: Sequence[str] = ()
) -> Outcome:
    """
    Judge the end of a command that nobody has told to end: it is never a success.

    Args:
        code: Its exit code, or minus the signal that it died of.
        name: The command's.
        words: The command.
        left: The command lines of what it has left behind, if READY had not been reached.
    """
    if code < 0:
        hint = " Perhaps the container is out of memory." if code == -signal.SIGKILL else ""
        return Outcome(
            BY_SIGNAL - code, f"{name} died of {_named(-code)}: nobody had told it to end.{hint}"
        )
    if code:
        return Outcome(code, f"{name} ended with exit code {code}: nobody had told it to end.")
    if left:
        return Outcome(1, _background(name, words, left))
    return Outcome(
        1,
        f"{name} ended with exit code 0: nobody had told it to end. "
        "A service that has ended is not up, so the exit code is 1.",
    )


def _background(name: str, words: Sequence[str], left: Sequence[str]) -> str:
    option = next((each for each in words[1:] if each.split("=")[0] in INTO_BACKGROUND), "")
    if option:
        advice = f"Leave out {option.split('=')[0]}: the command must stay in the foreground."
    else:
        advice = (
            "The command must stay in the foreground: "
            "leave out --daemon (gunicorn), --daemonize (uWSGI), or the & of a script."
        )
    return f"{name} ended at once, and went on in the background ({', '.join(left)}). {advice}"


def _named(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
