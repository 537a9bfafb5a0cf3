"""What the end of a command means: the exit code, and a sentence about what nobody has asked for."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import Final, NamedTuple

from lifecycle.drain.exit_code import CUT_OFF, INTERRUPTED

BY_SIGNAL: Final = 128
"""What a shell adds to the number of the signal that a command died of."""
INTO_BACKGROUND: Final = ("--daemon", "-D", "--daemonize")
"""The options by which gunicorn and uWSGI leave their parent."""
HELPER: Final = "from multiprocessing."
"""What a process that Python's multiprocessing has started is known by."""
SHOWN: Final = 80
"""Characters of a command line."""


class Outcome(NamedTuple):
    """
    What an end means.

    Attributes:
        code: The exit code.
        problem: A sentence, if it is not, or perhaps not, as it should be.
    """

    code: int
    problem: str = ""


def when_told(code: int, sent: signal.Signals, name: str, *, job: bool = False) -> Outcome:
    """
    Judge the end of a command that was told to end.

    Args:
        code: Its exit code, or minus the signal that it died of.
        sent: By which signal it was told.
        name: The command's.
        job: Whether it had work to complete, and nothing to serve: then it was interrupted if it
            died of the signal, and a Kubernetes Job is not to take it for complete.
    """
    if code in (-sent, BY_SIGNAL + sent):  # the last one is how `sh` and `uv run` put it
        return Outcome(INTERRUPTED if job else 0)
    if code == 0:
        return Outcome(0)
    if code < 0:
        return Outcome(
            BY_SIGNAL - code, f"{name} was told to end by {sent.name}, and died of {_named(-code)}."
        )
    return Outcome(code, f"{name} was told to end by {sent.name}, and ended with exit code {code}.")


def cut_off(outcome: Outcome, name: str, at_work: Sequence[str]) -> Outcome:
    """
    Judge the end of a command that was told to end while it was at work, because time was over.

    Args:
        outcome: What its own end means.
        name: The command's.
        at_work: The workers that have died with requests in flight.
    """
    if outcome.code or not at_work:
        return outcome
    return Outcome(CUT_OFF, f"{name} ended with requests in flight: {', '.join(at_work)}.")


def unasked(
    code: int,
    name: str,
    *,
    words: Sequence[str] = (),
    left: Sequence[str] = (),
    served: bool = False,
    job: bool = False,
) -> Outcome:
    """
    Judge the end of a command that nobody has told to end: only for a job it may be a success.

    Args:
        code: Its exit code, or minus the signal that it died of.
        name: The command's.
        words: The command.
        left: The command lines of what it has left behind.
        served: Whether anything of it has served: what goes into the background does so before.
        job: Whether it had work to complete, and nothing to serve.
    """
    if code < 0:
        hint = " Perhaps the container is out of memory." if code == -signal.SIGKILL else ""
        return Outcome(
            BY_SIGNAL - code, f"{name} died of {_named(-code)}: nobody had told it to end.{hint}"
        )
    if code:
        return Outcome(code, f"{name} ended with exit code {code}: nobody had told it to end.")
    left = [line for line in left if HELPER not in line]  # which end by themselves, or are lost
    option = next((each for each in words[1:] if each.split("=")[0] in INTO_BACKGROUND), "")
    if left and (option or not (job or served)):
        return Outcome(1, _in_background(name, option.split("=")[0], left))
    if job:
        return Outcome(0, _left_behind(name, left) if left else "")
    return Outcome(
        1,
        f"{name} ended with exit code 0: nobody had told it to end. "
        "A service that has ended is not up, so the exit code is 1.",
    )


def _in_background(name: str, option: str, left: Sequence[str]) -> str:
    if option:
        advice = f"Leave out {option}: the command must stay in the foreground."
    else:
        advice = (
            "The command must stay in the foreground: "
            "leave out --daemon (gunicorn), --daemonize (uWSGI), or the & of a script."
        )
    return f"{name} ended at once, and went on in the background ({_few(left)}). {advice}"


def _left_behind(name: str, left: Sequence[str]) -> str:
    return (
        f"{name} has ended, and what it has left in the background ends too ({_few(left)}). "
        "If that serves something, keep it in the foreground, and name it: --service NAME:PORT."
    )


def _few(lines: Sequence[str]) -> str:
    return ", ".join(line[:SHOWN] for line in lines[:3])


def _named(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
