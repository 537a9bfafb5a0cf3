"""The parser of the command line. It has the arguments of the subcommand that you name."""

from __future__ import annotations

import argparse
import errno
import sys
from collections.abc import Iterable
from typing import NoReturn

from lifecycle.cli.commands import COMMANDS, module_of
from lifecycle.cli.console import USAGE, fail, stdout_failed
from lifecycle.cli.control_client import Unreachable
from lifecycle.links import help_page
from lifecycle.version import VERSION

UNWRITABLE = (errno.EPIPE, errno.ENOSPC)
TAKES_COMMAND = ("rehearse", "manifests")


def main(words: list[str]) -> int:
    """Run one subcommand, and return its exit code."""
    words = words[1:] if words[:1] == ["--"] else words
    name = words[0] if words else ""
    parser = make_parser([name]) if name in COMMANDS else make_parser(with_arguments=False)
    dashes = f"{name}: put -- before the command: lifecycle {name} [OPTIONS] -- COMMAND"
    if name in TAKES_COMMAND and not {"--", "-h", "--help", "kustomize"} & set(words):
        parser.error(dashes)
    words, command = split(words) if name == "run" else (words, None)
    options, unknown = parser.parse_known_args(words)  # which exits if no command was named
    if name in TAKES_COMMAND and starts_before_dashes(words, options.command, unknown):
        parser.error(dashes)
    if unknown:
        before = command is None and name == "run" and ":" not in (options.target or ":")
        hint = (
            f". Put -- before a command: lifecycle run [--service NAME:PORT] -- {options.target} …"
            if before
            else ""
        )
        parser.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
    if name == "run":
        if options.target is None and command is None:
            parser.error("run: name an app as MODULE:NAME, or put -- before a command")
        options.behind, options.command = options.command, command
    try:
        code: int = options.action(options)
        if name != "run" and sys.stdout is not None:
            sys.stdout.flush()
    except Unreachable as error:
        return fail(error, USAGE)
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        stdout_failed(error)
        return 1
    return code


def split(words: list[str]) -> tuple[list[str], list[str] | None]:
    """Split the words at the first `--`. The second part is None if there is no `--`."""
    if "--" not in words:
        return words, None
    at = words.index("--")
    return words[:at], words[at + 1 :]


def starts_before_dashes(words: list[str], command: list[str], unknown: list[str]) -> bool:
    """
    Tell whether the first `--` is inside the command, as in `rehearse lifecycle run -- uvicorn`.

    Args:
        words: All words.
        command: The words that were read as the command.
        unknown: The words that were not read.
    """
    _, after = split(words)
    if not command or command == after:
        return False
    if unknown and unknown[0] in words:  # an option of the command, or a wrong one before it
        return words.index(command[0]) < words.index(unknown[0])
    return after is not None


class Parser(argparse.ArgumentParser):
    """A parser whose errors name their page."""

    def error(self, message: str) -> NoReturn:
        """Print a message and the page about it, and exit with 2."""
        super().error(f"{message}\nSee {help_page('errors.md#wrong-arguments')}")


def make_parser(
    names: Iterable[str] = COMMANDS, *, with_arguments: bool = True
) -> argparse.ArgumentParser:
    """
    Make the parser. docs/commands.md is generated from it.

    Args:
        names: The subcommands of the parser.
        with_arguments: Whether to declare their arguments too, which imports their modules.
    """
    parser = Parser(
        prog="lifecycle",
        description="Rolling updates without lost requests, for apps on Kubernetes.",
    )
    parser.add_argument("--version", action="version", version=f"pod-lifecycle {VERSION}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name in names:
        command = commands.add_parser(name, help=COMMANDS[name][1])
        if with_arguments:
            module = module_of(name)
            module.add(command)
            command.set_defaults(action=module.run)
    return parser
