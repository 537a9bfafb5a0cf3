"""The app's command: the program behind init processes, `env` and shells."""

from __future__ import annotations

import argparse
import os.path
import re
from collections.abc import Mapping, Sequence
from typing import Final

from lifecycle.checks.commands.listening import listening
from lifecycle.checks.commands.programs import (
    INITS,
    QUEUE_WORKERS,
    RUNNERS,
    command_after,
    programs,
    script_of,
    stages,
    unwrapping,
)
from lifecycle.checks.commands.servers import ALL_SERVERS, ServerCommand, server_command
from lifecycle.checks.commands.shell import Unclear, read_script
from lifecycle.exceptions import ConfigError

DEFAULT_BIND: Final = "0.0.0.0:8080"
_KNOWN: Final = re.compile(rf"(?:[\w./-]*/)?(lifecycle|python[\d.]*|{'|'.join(ALL_SERVERS)})")
_FOREIGN: Final = (
    "node", "npm", "npx", "pnpm", "yarn", "deno", "bun", "java", "dotnet", "ruby", "bundle", "puma",
    "php", "php-fpm", "nginx", "caddy",
)  # fmt: skip
"""Programs that are not Python. Only `lifecycle run --` can open the QOS port for them."""
_BEFORE: Final = {*INITS, *RUNNERS, "env", "exec"} - {"conda"}
"""
Programs that stay in front of `lifecycle run`. `conda run` does not forward SIGTERM, so
`lifecycle run` goes in front of it.
"""


def own_command(command: Sequence[str]) -> list[str]:
    """
    Return the words that start `lifecycle` in the image, from the folder of the app's program.

    Args:
        command: The command of the app.
    """
    words = _program(_without_child(command)) or ["lifecycle"]
    if os.path.basename(words[0]).startswith("python"):
        return [words[0], "-m", "lifecycle"]
    return [os.path.join(os.path.dirname(words[0]), "lifecycle")]


def run_options(command: Sequence[str]) -> argparse.Namespace | None:
    """
    Read the options of `lifecycle run …`. Return None for any other command.

    Raises:
        ConfigError: `lifecycle run` would refuse the options.
    """
    name, words = _module(_without_child(command))
    return _options(words[1:]) if name == "lifecycle" and words[:1] == ["run"] else None


def listeners(
    command: Sequence[str], env: Mapping[str, str] | None = None
) -> list[tuple[str, int]]:
    """
    Return the hosts and ports on which the command listens. An unknown host is empty.

    Args:
        command: The command of the app.
        env: The variables of the app.
    """
    if server := server_of(command, env or {}):
        return listening(server)
    run = run_options(command)
    where = (run.bind or [DEFAULT_BIND]) if run is not None and run.asgi else []
    return [address for each in where if (address := _address(each))]


def server_of(command: Sequence[str], env: Mapping[str, str]) -> ServerCommand | None:
    """Return the server that a command starts, also under `lifecycle run --`. None if not known."""
    return server_command(programs(command), env.get, known=ALL_SERVERS)


def foreign_program(command: Sequence[str]) -> str:
    """Return the program if it is not Python, such as `node`. Empty if it is, or is not known."""
    last = next(reversed(programs(command)), [""])
    return last[0] if last[0] in _FOREIGN else ""


def is_queue_worker(command: Sequence[str]) -> bool:
    """Tell whether a command starts a program such as Celery, which has no pod-lifecycle in it."""
    return next(reversed(programs(command)), [""])[0] in QUEUE_WORKERS


def unknown_program(command: Sequence[str]) -> str:
    """Return the program if it may run without pod-lifecycle. Empty for Python and `lifecycle`."""
    found = [each[0] for each in stages(command)]
    return "" if not found or any(map(_KNOWN.fullmatch, found)) else found[-1]


def wrapped(command: Sequence[str], services: Sequence[tuple[str, int]]) -> list[str]:
    """
    Put `lifecycle run` in front of a server. Init processes and `poetry run` stay in front.

    Args:
        command: The command of the app.
        services: Names and ports of the app services, for `--service`.
    """
    at = next(
        len(command) - len(each)
        for each in unwrapping(command)
        if each[:1] and each[0] not in _BEFORE
    )
    exported = [word for name, port in services for word in ("--service", f"{name}:{port}")]
    return [*command[:at], *own_command(command), "run", *exported, "--", *command[at:]]


def _without_child(command: Sequence[str]) -> list[str]:
    """Return a command without the part that `lifecycle run --` starts."""
    for at, word in enumerate(command):
        if os.path.basename(word) == "lifecycle" and (child := command_after(command[at:])):
            return list(command[: len(command) - len(child) - 1])
    return list(command)


def _program(command: Sequence[str]) -> list[str]:
    """Return the words from the app's own program on. That is the last known program."""
    for words in reversed(_opened(command)):
        for at, word in enumerate(words):
            if _KNOWN.fullmatch(word):
                return words[at:]
    return []


def _opened(words: Sequence[str]) -> list[list[str]]:
    """Return the commands of a shell script in a command. Without a script, return the command."""
    for at in range(len(words)):
        if (script := script_of(words[at:])) is not None:
            try:
                return [each for part in read_script(script) for each in _opened(part.words)]
            except Unclear:
                return []
    return [list(words)]


def _module(command: Sequence[str]) -> tuple[str, list[str]]:
    """Return the name of the program or of Python's module, and the words after it."""
    words = _program(command)
    if words and os.path.basename(words[0]).startswith("python") and "-m" in words[:-1]:
        words = words[words.index("-m") + 1 :]
    return (os.path.basename(words[0]), words[1:]) if words else ("", [])


def _options(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument("--asgi", action="store_true")
    parser.add_argument("--bind", "-b", action="append")
    parser.add_argument("--host", default="")
    parser.add_argument("--port", default="")
    parser.add_argument("--service", action="append")
    try:
        return parser.parse_known_args(words)[0]
    except argparse.ArgumentError as error:
        raise ConfigError(
            f"the app's command is wrong: {error}", see="errors.md#option-of-manifests"
        ) from None


def _address(where: str) -> tuple[str, int] | None:
    host, _, port = where.rpartition(":")
    if where.startswith("unix:") or not re.fullmatch("[0-9]{1,5}", port):
        return None
    return (host.strip("[]"), int(port)) if 0 < int(port) <= 65535 else None
