"""What a shell's words say, as far as reading can tell."""

from __future__ import annotations

import os.path
import re
import shlex
from collections.abc import Sequence
from typing import Final

SHELLS: Final = ("sh", "ash", "dash", "bash", "zsh", "ksh")
_INITS: Final = ("tini", "dumb-init", "catatonit", "docker-init")
_SLEEP: Final = re.compile(r"\bsleep[\s(]+(\d+(?:\.\d+)?|\.\d+)([smh]?)\b")
_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600}
_HARMLESS: Final = ("sleep", "true", ":", "exit", "echo", "date")


def script_of(words: Sequence[str]) -> tuple[str, str] | None:
    """Return the shell that is PID 1 and its script; None if no shell is, or it has no `-c`."""
    if not words or os.path.basename(words[0]) in _INITS:
        return None
    shell = os.path.basename(words[0])
    if shell not in SHELLS:
        return None
    for at, word in enumerate(words[1:], start=1):
        if re.fullmatch(r"-[a-z]*c", word):
            return (shell, words[at + 1]) if at + 1 < len(words) else None
        if not word.startswith(("-", "+")) and word != "pipefail":
            return None
    return None


def hands_over(script: str) -> bool:
    """Tell whether a script makes way for its program, or hears signals itself."""
    if re.search(r"\btrap\b", script):
        return True
    return any(words[:1] == ["exec"] for words in simple_commands(script))


def forks(script: str) -> bool:
    """Tell whether the last program is in a pipe or in the background: no shell execs it."""
    return bool({"|", "|&", "&"} & set(_tokens(script)))


def simple_commands(script: str) -> list[list[str]]:
    """Split a script into its commands, without their assignments."""
    found: list[list[str]] = [[]]
    for token in _tokens(script):
        if re.fullmatch(r"[;&|()]+", token):
            found.append([])
        elif found[-1] or not re.match(r"[A-Za-z_]\w*=", token):
            found[-1].append(token)
    return [words for words in found if words]


def _tokens(script: str) -> list[str]:
    text = re.sub(r"\$\([^()]*\)|`[^`]*`", "SUBSTITUTED", script).replace("\\\n", " ")
    lexer = shlex.shlex(text.replace("\n", " ; "), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        return list(lexer)
    except ValueError:
        return text.split()


def slept(words: Sequence[str]) -> float:
    """Return for how many seconds a command sleeps, at least."""
    return sum(float(number) * _UNITS[unit] for number, unit in _SLEEP.findall(" ".join(words)))


def only_sleeps(words: Sequence[str]) -> bool:
    """Tell whether a command does nothing but wait."""
    script = script_of(words)
    parts = simple_commands(script[1]) if script else [list(words)]
    names = [os.path.basename(part[0]) for part in parts if part]
    if "sleep" in names:
        return set(names) <= set(_HARMLESS)
    return bool(names) and names[0].startswith("python") and slept(words) > 0
