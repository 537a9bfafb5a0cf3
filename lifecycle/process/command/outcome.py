"""The meaning of a command's end: the exit code, and a sentence if the end was not expected."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import Final, NamedTuple

from lifecycle.drain.exit_code import CUT_OFF, INTERRUPTED

BY_SIGNAL: Final = 128
"""The number that a shell adds to the signal that killed a command."""
INTO_BACKGROUND: Final = ("--daemon", "-D", "--daemonize")
"""The options with which gunicorn and uWSGI go into the background."""
HELPER: Final = "from multiprocessing."
"""The text that identifies a process of Python's multiprocessing by its command line."""
SHOWN: Final = 80
"""How many characters of a command line are shown."""
BY_ITSELF: Final = "errors.md#command-ended-by-itself"
ENDED_BADLY: Final = "errors.md#command-ended-badly"
IN_BACKGROUND: Final = "errors.md#command-in-the-background"


class Outcome(NamedTuple):
    """
    The meaning of a command's end.

    Attributes:
        code: The exit code.
        problem: A sentence for people if something is wrong, or may be wrong.
        see: The entry of the page that explains the problem.
    """

    code: int
    problem: str = ""
    see: str = ""


def when_told(code: int, sent: signal.Signals, name: str, *, job: bool = False) -> Outcome:
    """
    Judge the end of a command that was asked to end.

    Args:
        code: Its exit code, or minus the number of the signal that killed it.
        sent: The signal that asked it to end.
        name: The name of the command.
        job: Whether the command is a job, with work to complete and no service. A job that the
            signal killed was interrupted, and a Kubernetes Job must not count it as complete.
    """
    if code in (-sent, BY_SIGNAL + sent):  # `sh` and `uv run` exit with the latter
        return Outcome(INTERRUPTED if job else 0)
    if code == 0:
        return Outcome(0)
    if code < 0:
        problem = f"{name} got {sent.name}, and {_named(-code)} killed it."
        return Outcome(BY_SIGNAL - code, problem, ENDED_BADLY)
    return Outcome(code, f"{name} got {sent.name}, and ended with exit code {code}.", ENDED_BADLY)


def cut_off(outcome: Outcome, name: str, at_work: Sequence[str]) -> Outcome:
    """
    Judge the end of a command that was asked to end during work, because its time was over.

    Args:
        outcome: The meaning of its own end.
        name: The name of the command.
        at_work: The workers that died with requests in flight.
    """
    if outcome.code or not at_work:
        return outcome
    return Outcome(
        CUT_OFF,
        f"The time was over, and {name} ended with requests in flight: {', '.join(at_work)}.",
        ENDED_BADLY,
    )


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
    Judge the end of a command that was not asked to end. Only for a job can it be a success.

    Args:
        code: Its exit code, or minus the number of the signal that killed it.
        name: The name of the command.
        words: The command.
        left: The command lines of the processes that still run.
        served: Whether a process of the command has served. A command that goes into the
            background ends before that.
        job: Whether the command is a job, with work to complete and no service.
    """
    if code < 0:
        hint = " The container may be out of memory." if code == -signal.SIGKILL else ""
        problem = f"{_named(-code)} killed {name}. lifecycle did not send it.{hint}"
        return Outcome(BY_SIGNAL - code, problem, "errors.md#command-killed")
    if code:
        return Outcome(code, f"{name} ended by itself, with exit code {code}.", BY_ITSELF)
    left = [line for line in left if HELPER not in line]  # these end by themselves, or are killed
    option = next((each for each in words[1:] if each.split("=")[0] in INTO_BACKGROUND), "")
    if left and (option or not (job or served)):
        return Outcome(1, _in_background(name, option.split("=")[0], left), IN_BACKGROUND)
    if job:
        return Outcome(0, _left_behind(name, left), IN_BACKGROUND) if left else Outcome(0)
    return Outcome(
        1,
        f"{name} ended by itself, with exit code 0. A service must keep running, so the exit code "
        "of lifecycle is 1.",
        BY_ITSELF,
    )


def _in_background(name: str, option: str, left: Sequence[str]) -> str:
    if option:
        advice = f"The command must stay in the foreground. Leave out {option}."
    else:
        advice = (
            "The command must stay in the foreground. "
            "Leave out --daemon (gunicorn), --daemonize (uWSGI), or the & of a script."
        )
    return f"{name} ended at once, and left processes in the background ({_few(left)}). {advice}"


def _left_behind(name: str, left: Sequence[str]) -> str:
    return (
        f"{name} has ended, so its processes in the background are ended too ({_few(left)}). "
        "If they serve traffic, keep them in the foreground, and add --service NAME:PORT."
    )


def _few(lines: Sequence[str]) -> str:
    return ", ".join(line[:SHOWN] for line in lines[:3])


def _named(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
