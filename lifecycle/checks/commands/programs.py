"""Programs that a command starts, through shells, init processes and other wrappers."""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Final

from lifecycle.checks.commands.shell import Unclear, read_script

SHELLS: Final = ("sh", "ash", "dash", "bash", "zsh", "ksh")
SERVERS: Final = ("uvicorn", "hypercorn", "granian", "gunicorn", "daphne", "fastapi")
"""Servers that may run an app with `Managed`."""
MORE_SERVERS: Final = ("waitress-serve", "flask", "sanic", "uwsgi", "pyuwsgi")
"""Servers that only `lifecycle run --` can drain."""
QUEUE_WORKERS: Final = ("celery", "dramatiq", "rq")
"""Workers of a queue that start processes of their own. Only `lifecycle run --` can drain them."""
INITS: Final = ("tini", "tini-static", "dumb-init", "catatonit", "docker-init")
_WRAPPERS: Final = (
    *INITS, "exec", "command", "env", "nohup", "nice", "ionice", "setsid", "stdbuf", "time",
    "timeout", "gosu", "su-exec", "setpriv", "runuser", "chroot", "busybox", "toybox",
    "opentelemetry-instrument", "ddtrace-run", "newrelic-admin", "coverage", "uvx",
)  # fmt: skip
RUNNERS: Final = (
    "poetry", "uv", "pipenv", "pdm", "hatch", "pipx", "rye", "pixi",
    "conda", "mamba", "micromamba",
)  # fmt: skip
"""Programs that start another program only with `run`. `poetry add uvicorn` starts none."""
_RUNNERS_TAKE: Final = (
    "-n", "--name", "-p", "--prefix", "--cwd", "-C", "--directory", "--project", "--with",
    "--with-editable", "--with-requirements", "-e", "--env", "--environment", "--python", "--extra",
    "--group", "--package", "--env-file", "-i", "--index", "--default-index", "--manifest-path",
    "--spec",
)  # fmt: skip
_STARTERS: Final = (
    "doppler", "infisical", "vault-env", "wait-for-it", "s6-setuidgid", "sudo", "chamber",
    "envconsul", "secrets-init", "dockerize",
)  # fmt: skip
"""Programs that start another program after options of unknown length."""
KNOWN: Final = {
    *SHELLS, *SERVERS, *MORE_SERVERS, *_WRAPPERS, *RUNNERS, *QUEUE_WORKERS, "lifecycle", "sleep",
}  # fmt: skip
_PYTHON: Final = re.compile(r"python[\d.]*")
_AMOUNT: Final = re.compile(r"\d+(?:\.\d*)?[smhd]?|\.\d+[smhd]?")
"""The argument of `timeout` and `nice` before the command."""
_DEPTH: Final = 5


def programs(words: Sequence[str], depth: int = 0) -> list[list[str]]:
    """
    Return the commands that a command finally runs. The first word of each is a program's name.

    The commands of a shell script are included. If the script is too complex, the result is empty.

    Args:
        words: The command.
        depth: Number of shells around the command.
    """
    words = unwrapped(words)
    script = script_of(words)
    if script is None or depth == _DEPTH:
        return [words] if words else []
    try:
        commands = read_script(script)
    except Unclear:
        return []
    given = [_filled(each.words, words, script) for each in commands]
    return [found for each in given for found in programs(each, depth + 1)]


def unwrapped(words: Sequence[str]) -> list[str]:
    """Return a command without wrappers such as `tini --`, `env A=1` and `python -m`."""
    return unwrapping(words)[-1]


def stages(words: Sequence[str], depth: int = 0) -> Iterator[list[str]]:
    """
    Give each program that a command starts in turn. For example, `tini -- conda run app` has three.

    The commands of a shell script are included. If the script is too complex, it is left out.

    Args:
        words: The command.
        depth: Number of shells around the command.
    """
    *before, last = unwrapping(words)
    yield from before
    if last:
        yield last
    script = script_of(last)
    if script is not None and depth < _DEPTH:
        with suppress(Unclear):
            for each in read_script(script):
                yield from stages(_filled(each.words, last, script), depth + 1)


def _filled(command: list[str], shell: list[str], script: str) -> list[str]:
    """Replace `"$0"` and `"$@"` in a command by the operands after the shell's script."""
    operands = shell[shell.index(script) + 1 :]
    puts = {"$0": operands[:1], "$@": operands[1:]}
    return [one for word in command for one in puts.get(word, [word])]


def unwrapping(words: Sequence[str]) -> list[list[str]]:
    """Return the command, and then the rest of it after each wrapper."""
    found = [list(words)]
    while rest := found[-1]:
        rest[0] = name = os.path.basename(rest[0])
        if _PYTHON.fullmatch(name):
            inner = _of_python(rest)
        elif name in RUNNERS:
            inner = _inner(rest[rest.index("run") + 1 :], _RUNNERS_TAKE) if "run" in rest else None
        elif name in _WRAPPERS:
            inner = _inner(rest[1:])
        elif name in SHELLS and rest[1:] and rest[1].endswith(".sh"):
            inner = rest[1:]
        elif name in _STARTERS or name.endswith(".sh") or "entrypoint" in name:
            inner = _started(rest)
        elif name == "lifecycle":
            inner = command_after(rest)
        else:
            break
        if inner is None:
            break
        found.append(inner)
    return found


def command_after(words: Sequence[str]) -> list[str] | None:
    """Return the COMMAND of `lifecycle run … -- COMMAND`. None for other commands."""
    if list(words[1:2]) != ["run"] or "--" not in words[:-1]:
        return None
    return list(words[words.index("--") + 1 :])


def _of_python(words: list[str]) -> list[str] | None:
    for at, word in enumerate(words[1:], start=1):
        if word == "-m":
            return words[at + 1 :]
        if os.path.basename(word) in (*SERVERS, "lifecycle"):
            return words[at:]
        if word == "-c" or word.endswith(".py"):
            break
    return None


def _started(words: list[str]) -> list[str] | None:
    """Return the known program in the arguments of a script or starter. None if there is none."""
    for at, (before, word) in enumerate(pairwise(words), start=1):
        name = os.path.basename(word)
        known = name in KNOWN or _PYTHON.fullmatch(name)
        begins = at == 1 or before == "--" or words[0] in _STARTERS
        if known and begins and before not in ("-u", "-g"):
            return words[at:]
    return None


def _inner(words: list[str], takes: tuple[str, ...] = ()) -> list[str]:
    """Return the wrapped command, from a known name on, or from the first word without a dash."""
    free = [at for at in range(len(words)) if at == 0 or words[at - 1] not in takes]
    for at in free:
        name = os.path.basename(words[at])
        if name in KNOWN or _PYTHON.fullmatch(name):
            return words[at:]
    for at in free:
        word = words[at]
        if not (word.startswith("-") or "=" in word or _AMOUNT.fullmatch(word)):
            return words[at:]
    return []


def script_of(words: Sequence[str]) -> str | None:
    """Return the script after a shell's `-c`. None if there is no shell or no script."""
    flags, operands = _of_shell(words)
    return operands[0] if "c" in flags and operands else None


def flags_of(words: Sequence[str]) -> str:
    """Return the letters of a shell's options, with `l` for --login. Empty for other programs."""
    return _of_shell(words)[0]


def _of_shell(words: Sequence[str]) -> tuple[str, list[str]]:
    """Return the letters of a shell's options, and the words after them."""
    if not words or os.path.basename(words[0]) not in SHELLS:
        return "", []
    flags, left = "", list(words[1:])
    while left and left[0].startswith(("-", "+")):
        word = left.pop(0)
        if word in ("-", "--"):
            break
        if word.startswith("--"):
            flags += "l" if word == "--login" else ""
            continue
        named = left.pop(0) if "o" in word.lower() and left else ""
        if word.startswith("-"):
            flags += word[1:] + ("e" if named == "errexit" else "")
    return flags, left


def runs(words: Sequence[str], *wanted: str) -> bool:
    """Tell whether a command runs a program, directly or through a shell or a wrapper."""
    return any(each[: len(wanted)] == list(wanted) for each in programs(words))


def exports(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Give the names and values of the variables that a command sets with `export` or `env`."""
    for name, *rest in filter(None, stages(words)):
        for variable, equals, value in (each.partition("=") for each in rest):
            if name in ("export", "env") and equals:
                yield variable, value
