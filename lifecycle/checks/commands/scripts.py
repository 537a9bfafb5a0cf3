"""Shell scripts: their handling of signals, and the time that they sleep."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from lifecycle.checks.commands.inits import signals_group
from lifecycle.checks.commands.programs import INITS, programs, script_of, unwrapped, unwrapping
from lifecycle.checks.commands.shell import Command, Unclear, read_script
from lifecycle.checks.node import duration

_PYTHON_SLEEP: Final = re.compile(r"\bsleep\(\s*(\d+(?:\.\d+)?|\.\d+)\s*\)")
_HARMLESS: Final = ("true", ":", "exit", "echo", "date", "printf", "set")
_ELSEWHERE: Final = (".", "source", "eval")


@dataclass(frozen=True)
class Keeper:
    """
    A shell that gets SIGTERM and does not forward it.

    Attributes:
        shell: Name of the shell.
        script: The script.
        init: The init process that signals only the shell. Empty if the shell is PID 1.
        certain: Whether no shell replaces itself with the last command of this script.
    """

    shell: str
    script: str
    init: str
    certain: bool


def keeper(
    words: Sequence[str], value: Callable[[str], str | None] = lambda _: None
) -> Keeper | None:
    """
    Return the shell that gets SIGTERM instead of its program. None if there is none.

    Args:
        words: The command.
        value: Returns the value of an environment variable, which may configure an init process.
            None if not set or not known.
    """
    ways = unwrapping(words)
    if any(each[:2] == ["lifecycle", "run"] for each in ways):
        return None  # pod-lifecycle handles the signals, so its child need not forward them
    inits = [each for each in ways if each and each[0] in INITS]
    if any(signals_group(each, value) for each in inits):
        return None
    init = inits[0][0] if inits else ""
    rest = unwrapped(words)
    script = script_of(rest)
    if script is None:
        return None
    try:
        commands = read_script(script)
    except Unclear:
        return None
    if not commands or any(_makes_way(each) for each in commands):
        return None
    last = commands[-1]
    stays = last.forked or last.looped or last.words[0] == "wait"
    hidden = any(each.words[0] in _ELSEWHERE for each in commands)
    return Keeper(rest[0], script, init, stays and not hidden)


def _makes_way(command: Command) -> bool:
    if command.words[0] == "trap":
        return True
    return command.words[0] == "exec" and len(command.words) > 1 and not command.apart


def slept(words: Sequence[str]) -> float:
    """Return the time that a command certainly sleeps, in seconds."""
    commands = _commands(words)
    return sum(_seconds(each.words) for each in commands if each.certain and not each.apart)


def only_sleeps(words: Sequence[str]) -> bool:
    """Tell whether a command only waits."""
    commands = _commands(words)
    return any(map(_sleeps, commands)) and all(
        _sleeps(each) or each.words[0] in _HARMLESS for each in commands
    )


def sleeps_first(words: Sequence[str]) -> bool:
    """Tell whether a command waits before it does anything else."""
    for each in _commands(words):
        if _sleeps(each):
            return each.certain and not each.apart
        if each.words[0] not in _HARMLESS:
            return False
    return False


def _commands(words: Sequence[str]) -> list[Command]:
    script = script_of(unwrapped(words))
    try:
        found = [Command(list(words))] if script is None else read_script(script)
    except Unclear:
        return []
    return [replace(each, words=inner) for each in found for inner in _opened(each.words)]


def _opened(words: list[str]) -> list[list[str]]:
    # A sleep under `timeout` may be shorter than its argument.
    inner = [] if words[:1] == ["timeout"] else programs(words)
    return inner or ([words] if words else [])


def _sleeps(command: Command) -> bool:
    return command.words[0] == "sleep" or _seconds(command.words) > 0


def _seconds(words: list[str]) -> float:
    if words[0] == "sleep":
        return sum(duration(each) or 0.0 for each in words[1:])
    if words[0].startswith("python"):
        return sum(float(each) for each in _PYTHON_SLEEP.findall(" ".join(words)))
    return 0.0
