"""`lifecycle run -- COMMAND`: what was asked for, checked before anything is started."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
from collections.abc import Iterable

from lifecycle.cli.console import USAGE
from lifecycle.exceptions import ConfigError
from lifecycle.process.command.child import Command
from lifecycle.service_names import service_spec

NOT_FOUND = 127
NOT_EXECUTABLE = 126
NO_STOP = (signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, signal.SIGCONT)
"""What ends no command, or gives it no time."""
OF_AN_APP = {
    "asgi": "the command has a server of its own",
    "bind": "say it to the command itself",
    "keep_alive": "say it to the command itself",
    "server": "the command has a server of its own",
    "access_log": "say it to the command itself",
    "loop": "say it to the command itself",
    "certfile": "say it to the command itself",
    "keyfile": "say it to the command itself",
}
"""The options of `lifecycle run MODULE:NAME`, and what a command has instead."""
OF_A_COMMAND = ("stop_signal", "instrument")
USES = "lifecycle run [OPTIONS] MODULE:NAME, or lifecycle run [OPTIONS] -- COMMAND"
EXAMPLE = "lifecycle run --service shop:8000 -- gunicorn shop.wsgi"


class Refused(Exception):
    """
    What was asked for does not add up, or there is no such program.

    Attributes:
        code: The exit code.
    """

    def __init__(self, message: str, code: int = USAGE) -> None:
        super().__init__(message)
        self.code = code


def add(parser: argparse.ArgumentParser) -> None:
    """Declare its arguments."""
    parser.usage = USES
    parser.add_argument(
        "command",
        nargs="*",
        metavar="COMMAND",
        help="after --: any server, as you start it without us",
    )
    parser.add_argument(
        "--stop-signal",
        metavar="SIGNAL",
        help="tells COMMAND to end, once the drain is over (default: SIGTERM)",
    )
    parser.add_argument(
        "--instrument",
        choices=("yes", "no"),
        help="whether the Python processes of COMMAND tell what they serve, and tell kept "
        "connections to go (default: yes)",
    )


def command_of(options: argparse.Namespace) -> Command | None:
    """
    Return the command that is to be run; None if it is a MODULE:NAME.

    Raises:
        Refused: It does not add up.
    """
    words = options.command
    if options.behind:
        raise Refused(f"{options.behind[0]!r}: put -- before a command: {EXAMPLE}")
    if words is None:
        for name in OF_A_COMMAND:
            if getattr(options, name) is not None:
                raise Refused(f"--{name.replace('_', '-')} is for a command: {EXAMPLE}")
        return None
    if options.target is not None:
        raise Refused(f"{options.target} and a command: run one of them")
    for name, instead in OF_AN_APP.items():
        if getattr(options, name):
            flag = "--" + name.replace("_", "-")
            raise Refused(f"{flag} is for MODULE:NAME, and not for a command: {instead}")
    if not words or not words[0]:
        raise Refused(f"there is no command after --: {EXAMPLE}")
    return Command(
        tuple(words),
        _found(words[0]),
        _stop_signal(options.stop_signal or "TERM"),
        instrumented=options.instrument != "no",
    )


def services_of(specs: Iterable[str]) -> list[tuple[str, int]]:
    """
    Return the services of a command, with their ports.

    Raises:
        ConfigError: One has no port.
    """
    found = []
    for name, port in map(service_spec, specs):
        if port is None:
            raise ConfigError(
                f"service {name!r}: say on which port the command serves it: --service {name}:8080"
            )
        found.append((name, port))
    return found


def _stop_signal(text: str) -> signal.Signals:
    name = text.upper()
    number = int(text) if text.isascii() and text.isdigit() else 0
    for each in signal.Signals:
        if each not in NO_STOP and (each == number or name in (each.name, each.name[3:])):
            return each
    raise Refused(f"--stop-signal {text}: no signal that tells a process to end, like INT or QUIT")


def _found(word: str) -> str:
    """Return where a program is, as a shell would find it."""
    program = shutil.which(word)
    if program is not None:
        return program
    folders = [""] if os.sep in word else os.get_exec_path()
    there = next(
        (path for path in (os.path.join(f, word) for f in folders) if os.path.exists(path)), ""
    )
    if there:
        why = (
            "it is a folder"
            if os.path.isdir(there)
            else "it is not executable: chmod +x it, or name its interpreter, like -- python FILE"
        )
        raise Refused(f"cannot run {there}: {why}", NOT_EXECUTABLE)
    hint = ""
    if ":" in word:
        hint = f": an app is run without the --, lifecycle run {word}"
    elif os.sep not in word:
        hint = (
            f" in {os.environ.get('PATH', os.defpath)}: install it, or give its path; "
            "an alias or a function of your shell is not a command"
        )
    raise Refused(f"there is no command {word!r}{hint}", NOT_FOUND)
