"""The app's command: what is behind inits, `env` and shells, as far as its words tell."""

from __future__ import annotations

import argparse
import os.path
import re
from collections.abc import Mapping, Sequence
from typing import Final

from lifecycle.checks.commands.listening import listening
from lifecycle.checks.commands.programs import (
    INITS,
    RUNNERS,
    command_after,
    programs,
    script_of,
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
"""What is no Python: only `lifecycle run --` opens the probe port for it."""
_BEFORE: Final = {*INITS, *RUNNERS, "env", "exec"} - {"conda"}
"""What stays in front of `lifecycle run`. `conda run` does not pass SIGTERM on, so it stays behind."""


def own_command(command: Sequence[str]) -> list[str]:
    """Return how `lifecycle` is called in this image: beside the program that the app's one is."""
    words = _program(_without_child(command)) or ["lifecycle"]
    if os.path.basename(words[0]).startswith("python"):
        return [words[0], "-m", "lifecycle"]
    return [os.path.join(os.path.dirname(words[0]), "lifecycle")]


def run_options(command: Sequence[str]) -> argparse.Namespace | None:
    """
    Read `lifecycle run …` as the command itself would; None if it is something else.

    Raises:
        ConfigError: It would refuse its options.
    """
    name, words = _module(_without_child(command))
    return _options(words[1:]) if name == "lifecycle" and words[:1] == ["run"] else None


def listeners(
    command: Sequence[str], env: Mapping[str, str] | None = None
) -> list[tuple[str, int]]:
    """
    Return the hosts, empty if unknown, and the ports that the command says it listens on.

    Args:
        command: Of the app.
        env: Its variables.
    """
    if server := server_of(command, env or {}):
        return listening(server)
    run = run_options(command)
    where = (run.bind or [DEFAULT_BIND]) if run is not None and run.asgi else []
    return [address for each in where if (address := _address(each))]


def server_of(command: Sequence[str], env: Mapping[str, str]) -> ServerCommand | None:
    """Return the server that a command starts, also under `lifecycle run --`; None if none is known."""
    return server_command(programs(command), env.get, known=ALL_SERVERS)


def foreign_program(command: Sequence[str]) -> str:
    """Return the program that cannot run pod-lifecycle itself, such as `node`; empty if there is none."""
    last = next(reversed(programs(command)), [""])
    return last[0] if last[0] in _FOREIGN else ""


def wrapped(command: Sequence[str], services: Sequence[tuple[str, int]]) -> list[str]:
    """Put `lifecycle run` in front of a server: after inits and `poetry run`, before all else."""
    at = next(
        len(command) - len(each)
        for each in unwrapping(command)
        if each[:1] and each[0] not in _BEFORE
    )
    exported = [word for name, port in services for word in ("--service", f"{name}:{port}")]
    return [*command[:at], *own_command(command), "run", *exported, "--", *command[at:]]


def _without_child(command: Sequence[str]) -> list[str]:
    """Leave out what `lifecycle run --` starts."""
    for at, word in enumerate(command):
        if os.path.basename(word) == "lifecycle" and (child := command_after(command[at:])):
            return list(command[: len(command) - len(child) - 1])
    return list(command)


def _program(command: Sequence[str]) -> list[str]:
    """Return the words from the app's own program on: the last that is known."""
    for words in reversed(_opened(command)):
        for at, word in enumerate(words):
            if _KNOWN.fullmatch(word):
                return words[at:]
    return []


def _opened(words: Sequence[str]) -> list[list[str]]:
    """Return the commands of a script, wherever its shell stands; else the one that it is."""
    for at in range(len(words)):
        if (script := script_of(words[at:])) is not None:
            try:
                return [each for part in read_script(script) for each in _opened(part.words)]
            except Unclear:
                return []
    return [list(words)]


def _module(command: Sequence[str]) -> tuple[str, list[str]]:
    """Return the name of the program, or of Python's module, and what follows it."""
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
        raise ConfigError(f"the command: {error}") from None


def _address(where: str) -> tuple[str, int] | None:
    host, _, port = where.rpartition(":")
    if where.startswith("unix:") or not re.fullmatch("[0-9]{1,5}", port):
        return None
    return (host.strip("[]"), int(port)) if 0 < int(port) <= 65535 else None
