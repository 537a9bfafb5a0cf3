"""Which programs a command starts, through shells, inits and other wrappers."""

from __future__ import annotations

import os.path
import re
from collections.abc import Sequence
from typing import Final

from lifecycle.checks.shell import Unclear, read_script

SHELLS: Final = ("sh", "ash", "dash", "bash", "zsh", "ksh")
SERVERS: Final = ("uvicorn", "hypercorn", "granian", "gunicorn", "daphne")
INITS: Final = ("tini", "tini-static", "dumb-init", "catatonit", "docker-init")
_WRAPPERS: Final = (
    *INITS, "exec", "command", "env", "nohup", "nice", "ionice", "setsid", "stdbuf", "time",
    "timeout", "gosu", "su-exec", "setpriv", "runuser", "chroot", "busybox", "toybox",
    "opentelemetry-instrument", "ddtrace-run", "newrelic-admin", "poetry", "uv", "pipenv", "pdm",
    "hatch", "coverage",
)  # fmt: skip
_KNOWN: Final = {*SHELLS, *SERVERS, *_WRAPPERS, "lifecycle", "sleep"}
_PYTHON: Final = re.compile(r"python[\d.]*")
_AMOUNT: Final = re.compile(r"\d+(?:\.\d*)?[smhd]?|\.\d+[smhd]?")
"""What `timeout` and `nice` take before the command."""
_DEPTH: Final = 5


def programs(words: Sequence[str], depth: int = 0) -> list[list[str]]:
    """
    Return the commands that a command amounts to, each with its program's name first.

    A shell's script is opened; of one that cannot be followed there is none.
    """
    words = unwrapped(words)
    script = script_of(words)
    if script is None or depth == _DEPTH:
        return [words] if words else []
    try:
        commands = read_script(script)
    except Unclear:
        return []
    return [found for each in commands for found in programs(each.words, depth + 1)]


def unwrapped(words: Sequence[str]) -> list[str]:
    """Take away what only starts another program: `tini --`, `env A=1`, `python -m`."""
    rest = list(words)
    while rest:
        rest[0] = name = os.path.basename(rest[0])
        if _PYTHON.fullmatch(name):
            inner = _of_python(rest)
        elif name in _WRAPPERS:
            inner = _inner(rest[1:])
        else:
            break
        if inner is None:
            break
        rest = inner
    return rest


def _of_python(words: list[str]) -> list[str] | None:
    for at, word in enumerate(words[1:], start=1):
        if word == "-m":
            return words[at + 1 :]
        if os.path.basename(word) in (*SERVERS, "lifecycle"):
            return words[at:]
        if word == "-c" or word.endswith(".py"):
            break
    return None


def _inner(words: list[str]) -> list[str]:
    """Return where the wrapped command begins: at a known name, or at what is no option."""
    for at, word in enumerate(words):
        name = os.path.basename(word)
        if name in _KNOWN or _PYTHON.fullmatch(name):
            return words[at:]
    for at, word in enumerate(words):
        if not (word.startswith("-") or "=" in word or _AMOUNT.fullmatch(word)):
            return words[at:]
    return []


def script_of(words: Sequence[str]) -> str | None:
    """Return the script of a shell's `-c`; None if it is no shell, or has none."""
    if not words or os.path.basename(words[0]) not in SHELLS:
        return None
    for at, word in enumerate(words[1:], start=1):
        if re.fullmatch(r"-[a-z]*c", word):
            return words[at + 1] if at + 1 < len(words) else None
        if not word.startswith(("-", "+")) and word != "pipefail":
            return None
    return None


def runs(words: Sequence[str], *wanted: str) -> bool:
    """Tell whether a command is another one, directly or through a shell or a wrapper."""
    return any(each[: len(wanted)] == list(wanted) for each in programs(words))
