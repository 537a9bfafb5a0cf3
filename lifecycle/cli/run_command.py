"""The arguments of `lifecycle run -- COMMAND`, checked before anything is started."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import signal
from collections.abc import Iterable

from lifecycle.checks.commands.quoted import is_quoted, separated
from lifecycle.cli.console import USAGE
from lifecycle.exceptions import ConfigError, Explained
from lifecycle.process.command.child import Command
from lifecycle.service_names import service_spec

NOT_FOUND = 127
NOT_EXECUTABLE = 126
NO_STOP = (signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, signal.SIGCONT)
"""Signals that do not end a command, or that leave it no time to end."""
OF_AN_APP = {
    "asgi": "the command has its own server",
    "bind": "use the option of the command itself",
    "keep_alive": "use the option of the command itself",
    "server": "the command has its own server",
    "access_log": "use the option of the command itself",
    "loop": "use the option of the command itself",
    "certfile": "use the option of the command itself",
    "keyfile": "use the option of the command itself",
}
"""The options that only `lifecycle run MODULE:NAME` has, and what to do instead for a command."""
OF_A_COMMAND = ("stop_signal", "instrument")
USES = "lifecycle run [OPTIONS] MODULE:NAME, or lifecycle run [OPTIONS] -- COMMAND"
EXAMPLE = "lifecycle run --service shop:8000 -- gunicorn shop.wsgi"


class Refused(Explained):
    """
    The arguments are wrong, or the program does not exist.

    Attributes:
        code: The exit code.
    """

    help_entry = "errors.md#wrong-use-of-run"

    def __init__(self, message: str, code: int = USAGE, *, see: str = "") -> None:
        super().__init__(message, see=see)
        self.code = code


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.usage = USES
    parser.add_argument(
        "command",
        nargs="*",
        metavar="COMMAND",
        help="command of any server, after --, as you start it without pod-lifecycle",
    )
    parser.add_argument(
        "--stop-signal",
        metavar="SIGNAL",
        help="signal that ends COMMAND after the drain (default: SIGTERM)",
    )
    parser.add_argument(
        "--instrument",
        choices=("yes", "no"),
        help="load the instrumentation into the Python processes of COMMAND (yes or no). It counts "
        "requests, and closes keep-alive connections in a drain (default: yes)",
    )


def command_of(options: argparse.Namespace) -> Command | None:
    """
    Return the command to run, or None if the target is a MODULE:NAME.

    Raises:
        Refused: The arguments are wrong, or the program does not exist.
    """
    words = options.command
    if options.behind:
        raise Refused(f"{options.behind[0]!r}: put -- before a command: {EXAMPLE}")
    if words is None:
        for name in OF_A_COMMAND:
            if getattr(options, name) is not None:
                raise Refused(f"--{name.replace('_', '-')} is only for a command: {EXAMPLE}")
        return None
    if options.target is not None:
        raise Refused(f"{options.target} and a command: give only one of the two")
    for name, instead in OF_AN_APP.items():
        if getattr(options, name):
            flag = "--" + name.replace("_", "-")
            raise Refused(f"{flag} is only for MODULE:NAME, not for a command: {instead}")
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
    Return the app services of a command, with their ports.

    Raises:
        ConfigError: A service has no port.
    """
    found = []
    for name, port in map(service_spec, specs):
        if port is None:
            raise ConfigError(
                f"service {name!r}: name the port on which the command serves it: --service {name}:8080",
                see="errors.md#wrong-use-of-run",
            )
        found.append((name, port))
    return found


def _stop_signal(text: str) -> signal.Signals:
    name = text.upper()
    number = int(text) if text.isascii() and text.isdigit() else 0
    for each in signal.Signals:
        if each not in NO_STOP and (each == number or name in (each.name, each.name[3:])):
            return each
    raise Refused(
        f"--stop-signal {text}: must be a signal that ends a process, for example INT or QUIT"
    )


def _found(word: str) -> str:
    """Return the path of a program. It is looked up as a shell does it."""
    program = shutil.which(word)
    if program is not None:
        return program
    folders = [""] if os.sep in word else os.get_exec_path()
    there = next(
        (path for path in (os.path.join(f, word) for f in folders) if os.path.exists(path)), ""
    )
    if there:
        why = (
            "the path is a folder"
            if os.path.isdir(there)
            else "the file is not executable. Run chmod +x, or name its interpreter, for example -- python FILE"
        )
        raise Refused(
            f"cannot run {there}: {why}", NOT_EXECUTABLE, see="errors.md#command-not-executable"
        )
    if is_quoted(word):
        raise Refused(
            f"the command {word!r} is one word with spaces. Make each word its own argument, "
            f"without quotes around all of them: lifecycle run [OPTIONS] -- "
            f"{shlex.join(separated(word))}. In a manifest, make each word its own list item",
            NOT_FOUND,
            see="errors.md#command-in-one-word",
        )
    hint = ""
    if ":" in word:
        hint = f": to run an app, leave out the --: lifecycle run {word}"
    elif os.sep not in word:
        hint = (
            f" in {os.environ.get('PATH', os.defpath)}. Install it, or give its path. An alias or "
            "a function of your shell cannot be used"
        )
    raise Refused(
        f"there is no command {word!r}{hint}", NOT_FOUND, see="errors.md#command-not-found"
    )
