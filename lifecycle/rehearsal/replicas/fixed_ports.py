"""
The ports of a command's services: fixed ones, which all replicas would share, and a missing one.

Every replica needs its own port. If a service has a fixed port, another program on that port makes
the replicas ready, and the rehearsal measures nothing. So it is refused before any start. Pure.
"""

from __future__ import annotations

import os.path
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Final

from lifecycle.checks.commands.lifecycle_run import lifecycle_run
from lifecycle.checks.commands.servers import read_options
from lifecycle.rehearsal.errors import CannotRehearse

SERVICES: Final = "LIFECYCLE_SERVICES"


def refuse_fixed_ports(
    command: Sequence[str], variables: Mapping[str, str], *, is_ours: bool = False
) -> None:
    """
    Refuse a service, or an address of `lifecycle run --asgi`, with a fixed port.

    Args:
        command: The command that starts the app, with `{port}`.
        variables: The environment of the app.
        is_ours: Whether the app answers on the QOS port, whatever its command is.

    Raises:
        CannotRehearse: There is a fixed port.
    """
    run = lifecycle_run(command)
    if run is None and not is_ours:
        return
    given = list(read_options(run.options)) if run else []
    services = [value for name, value in given if name == "--service"]
    binds = [value for name, value in given if name == "--bind"]
    for option, values in (("--service", services), ("--bind", binds)):
        for value, port in _fixed(values):
            raise _refusal(f"{option} {value}", _instead(command, port))
    if services:
        return
    said = _said(command, variables)
    for value, port in _fixed(each.strip() for each in said.split(",")):
        change = f"Set {SERVICES}={with_placeholder(said, [port])}"
        if [with_placeholder(word, [port]) for word in command] != [*command]:
            change += f". {_instead(command, port)}"
        raise _refusal(f"{SERVICES}={value}", change)


def missing_service(command: Sequence[str], variables: Mapping[str, str]) -> str:
    """
    Return what to write if `lifecycle run -- COMMAND` has no app service. Empty if it has one.

    Without a service, the replica is ready before its server listens.

    Args:
        command: The command that starts the app, with `{port}`.
        variables: The environment of the app.
    """
    run = lifecycle_run(command)
    if run is None or not run.command or run.services or _said(command, variables):
        return ""
    at = next((at for at, words in enumerate(pairwise(command)) if _is_run(words)), None)
    added = ["--service", "NAME:{port}"]
    if at is None:  # inside a shell script
        return f"Add {' '.join(added)} after `lifecycle run`"
    return f"Add {' '.join(added)}: {shown([*command[: at + 2], *added, *command[at + 2 :]])}"


def _is_run(words: tuple[str, str]) -> bool:
    return os.path.basename(words[0]) == "lifecycle" and words[1] == "run"


def _said(command: Sequence[str], variables: Mapping[str, str]) -> str:
    """Return the value of LIFECYCLE_SERVICES, from the command or the environment."""
    inside = (word.partition("=")[2] for word in command if word.startswith(f"{SERVICES}="))
    return next(inside, variables.get(SERVICES, ""))


def _fixed(values: Iterable[str]) -> list[tuple[str, int]]:
    """Return the addresses with a fixed port, and their ports."""
    parts = ((each, each.rpartition(":")[2]) for each in values if ":" in each)
    return [
        (each, int(port)) for each, port in parts if re.fullmatch("[0-9]{1,5}", port) and int(port)
    ]


def _instead(command: Sequence[str], port: int) -> str:
    return f"Write {{port}} instead: {shown(with_placeholder(word, [port]) for word in command)}"


def _refusal(what: str, change: str) -> CannotRehearse:
    return CannotRehearse(
        f"{what} has a fixed port, but each replica needs its own port. {change}",
        see="errors.md#wrong-port-in-rehearse",
    )


def with_placeholder(word: str, ports: Iterable[int]) -> str:
    """Replace some ports in a word by `{port}`."""
    for port in ports:
        word = re.sub(rf"(?<!\d){port}(?!\d)", "{port}", word)
    return word


def shown(command: Iterable[str]) -> str:
    """Return `lifecycle rehearse` with a command, quoted for a shell. `{port}` needs no quotes."""
    words = (
        word if shlex.quote(plain := word.replace("{port}", "0")) == plain else shlex.quote(word)
        for word in command
    )
    return f"lifecycle rehearse -- {' '.join(words)}"
