"""Steps of the command of a hook or probe, and its exit code."""

from __future__ import annotations

import os.path
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from lifecycle.checks.commands.programs import flags_of, script_of, unwrapped
from lifecycle.checks.commands.shell import Command, Unclear, read_script
from lifecycle.checks.node import digits, duration

_TIMEOUT_TAKES: Final = ("-k", "--kill-after", "-s", "--signal")
_SUCCEEDS: Final = ("true", ":", "echo", "printf")
_COPIES: Final = ("cat", "tee", "head", "tail", "logger")
_DEPTH: Final = 5


@dataclass(frozen=True)
class Step:
    """
    One program that a command runs.

    Attributes:
        words: Name and arguments of the program, without wrappers.
        command: Position of the program in the script.
        limit: Time limit of `timeout` in seconds. None if there is none.
        shell: Whether a shell stays the parent of the program and waits for it.
    """

    words: list[str]
    command: Command
    limit: float | None = None
    shell: bool = False


def steps(words: Sequence[str], depth: int = 0) -> list[Step]:
    """
    Return the programs that a command runs, in order. Empty if its script is too complex.

    Args:
        words: The command.
        depth: Number of shells around the command.
    """
    inner = unwrapped(words)
    wrappers = words[: len(words) - len(inner)]
    limit = _limit(wrappers)
    forks = "setsid" in wrappers and bool({"-f", "--fork"} & {*wrappers})
    script = script_of(inner)
    if script is None or depth == _DEPTH:
        return [Step(inner, Command(list(words), background=forks), limit)] if inner else []
    try:
        commands = read_script(script)
    except Unclear:
        return []
    waits = any(each.words[0] == "wait" for each in commands)
    return [
        replace(
            step,
            command=_placed(step.command, each, waits=waits),
            limit=step.limit if limit is None else min(limit, step.limit or limit),
            shell=step.shell or each.words[0] != "exec",
        )
        for each in commands
        for step in steps(each.words, depth + 1)
    ]


def _placed(inner: Command, outer: Command, *, waits: bool) -> Command:
    """Return the position of a step in the outermost script."""
    background = inner.background or (outer.background and not waits)
    return replace(
        outer,
        background=background,
        forked=inner.forked or outer.forked,
        certain=inner.certain and outer.certain,
        inside=inner.inside or outer.inside,
    )


def _limit(wrappers: Sequence[str]) -> float | None:
    names = [os.path.basename(each) for each in wrappers]
    if "timeout" not in names:
        return None
    before = ""
    for word in wrappers[names.index("timeout") + 1 :]:
        seconds = duration(word)
        if seconds is not None and before not in _TIMEOUT_TAKES:
            return seconds
        before = word
    return None


def always_succeeds(words: Sequence[str]) -> bool:
    """Tell whether the exit code of a command is always 0, as in `… || true`."""
    found = steps(words)
    if not found or any(each.words[0] == "exit" and each.words[1:2] != ["0"] for each in found):
        return False
    last = found[-1].command
    if last.background:
        return True
    if last.inside or len(found) == 1:
        return False
    if last.after in ("|", "|&"):
        return found[-1].words[0] in (*_SUCCEEDS, *_COPIES) and "pipefail" not in " ".join(words)
    well = found[-1].words[0] in _SUCCEEDS or found[-1].words[:2] == ["exit", "0"]
    return well and (last.after == "||" or (last.after != "&&" and not _stops_at_errors(words)))


def _stops_at_errors(words: Sequence[str]) -> bool:
    found = steps(words)
    by_set = any(each.words[0] == "set" and any("e" in x for x in each.words[1:]) for each in found)
    return by_set or "e" in flags_of(unwrapped(words))


def port_option(words: Sequence[str]) -> int | None:
    """Return the number after `--port`. None if there is no number."""
    for word, after in zip(words, [*words[1:], ""], strict=True):
        name, equals, value = word.partition("=")
        if name == "--port":
            return digits(value if equals else after)
    return None
