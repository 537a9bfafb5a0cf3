"""The parser of the command line. It has the arguments of the subcommand that you name."""

from __future__ import annotations

import argparse
import errno
import re
import sys
from collections.abc import Iterable
from difflib import get_close_matches
from itertools import pairwise
from typing import Any, NoReturn

from lifecycle.cli.commands import COMMANDS, module_of
from lifecycle.cli.console import USAGE, fail, stdout_failed
from lifecycle.cli.control_client import Unreachable
from lifecycle.cli.plugin_commands import PluginCommand, plugin_commands
from lifecycle.exceptions import PluginError
from lifecycle.links import help_page
from lifecycle.version import VERSION

UNWRITABLE = (errno.EPIPE, errno.ENOSPC)
READER_GONE = 141
"""The exit code if the reader of stdout has gone, as in a shell: 128 and the number of SIGPIPE."""
TAKES_COMMAND = ("rehearse", "manifests")
ALONE = frozenset({"--", "-h", "--help", "kustomize", "control-plane"})
"""Words with which `manifests` needs no command."""
ALIKE = 0.75
"""How alike a misspelt option and the meant one are, from 0 to 1."""


def main(words: list[str]) -> int:
    """Run one subcommand, and return its exit code."""
    words = words[1:] if words[:1] == ["--"] else words
    name = words[0] if words else ""
    parser = _parser_of(name)
    own = parser.subparser(name)
    dashes = f"put -- before the command: lifecycle {name} [OPTIONS] -- COMMAND"
    if name in TAKES_COMMAND and not ALONE & {each.rpartition("=")[2] for each in words}:
        none = f"there is no command: lifecycle {name} [OPTIONS] -- COMMAND"
        own.error(dashes if own.has_positional(words[1:]) else none)
    words, command = split(words) if name == "run" else (words, None)
    options, unknown = parser.parse_known_args(words)  # which exits if no command was named
    if name in TAKES_COMMAND and starts_before_dashes(words, options.command, unknown):
        own.error(dashes)
    if unknown:
        hint = _of_run(options, command, unknown) or own.nearest(split(unknown)[0])
        own.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
    if name == "run":
        if options.target is None and command is None:
            own.error("name an app as MODULE:NAME, or put -- before a command")
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
        return READER_GONE if error.errno == errno.EPIPE else USAGE
    return code


def _parser_of(name: str) -> Parser:
    """Make the parser of one subcommand, or the list of all subcommands."""
    if name in COMMANDS:
        return make_parser([name])
    try:
        plugins = plugin_commands()
        if name not in plugins:
            return make_parser(with_arguments=False, plugins=plugins.values())
        return make_parser((), plugins=[plugins[name].loaded()])
    except PluginError as error:
        raise SystemExit(fail(error, USAGE)) from None


def _of_run(options: argparse.Namespace, command: list[str] | None, unknown: list[str]) -> str:
    """Return what to write for options that only a command has. Empty for another subcommand."""
    target = getattr(options, "target", None)
    if command is not None or not target:
        return ""
    if options.asgi and any(re.fullmatch(r"(--workers|-w)(=.*|\d+)?", each) for each in unknown):
        return (
            ". --asgi serves with one process. For several workers, run a server: lifecycle run "
            f"--service NAME:PORT -- uvicorn --port PORT --workers 2 {target}"
        )
    if ":" not in target:
        return f". Put -- before a command: lifecycle run [--service NAME:PORT] -- {target} …"
    return ""


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
    """A parser whose errors name their page, and which finds the nearest option."""

    def __init__(self, **given: Any) -> None:
        self._declared: list[argparse.Action] = []
        self._commands: dict[str, Parser] = {}
        super().__init__(**given)

    def add_argument(self, *names: Any, **given: Any) -> argparse.Action:
        """Declare an argument, and keep it."""
        action = super().add_argument(*names, **given)
        self._declared.append(action)
        return action

    def add_command(self, commands: Any, name: str, text: str) -> Parser:
        """Declare a subcommand with its help text, and return its parser."""
        added: Parser = commands.add_parser(name, help=text)
        self._commands[name] = added
        return added

    def subparser(self, name: str) -> Parser:
        """Return the parser of a subcommand. Without such a subcommand, return this parser."""
        return self._commands.get(name, self)

    def has_positional(self, words: list[str]) -> bool:
        """Tell whether a word is neither an option nor the value of one."""
        takes = {name for each in self._declared if each.nargs != 0 for name in each.option_strings}
        return any(
            not word.startswith("-") and before not in takes
            for before, word in pairwise(["", *words])
        )

    def nearest(self, unknown: list[str]) -> str:
        """Return the options that may be meant by unknown ones, as a question. Or empty."""
        known = {name.strip("-"): name for each in self._declared for name in each.option_strings}
        given = (each.partition("=")[0].strip("-") for each in unknown if each.startswith("-"))
        near = [known[name] for each in given for name in get_close_matches(each, known, 1, ALIKE)]
        return f". Did you mean {' and '.join(dict.fromkeys(near))}?" if near else ""

    def error(self, message: str) -> NoReturn:
        """Print a message and the page about it, and exit with 2."""
        super().error(f"{message}\nSee {help_page('errors.md#wrong-arguments')}")


def make_parser(
    names: Iterable[str] = COMMANDS,
    *,
    with_arguments: bool = True,
    plugins: Iterable[PluginCommand] = (),
) -> Parser:
    """
    Make the parser. docs/commands.md is generated from it.

    Args:
        names: The subcommands of the parser.
        with_arguments: Whether to declare their arguments too, which imports their modules.
        plugins: The subcommands of plugins.
    """
    parser = Parser(
        prog="lifecycle",
        description="Rolling updates without lost requests, for apps on Kubernetes.",
    )
    parser.add_argument("--version", action="version", version=f"pod-lifecycle {VERSION}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name in names:
        command = parser.add_command(commands, name, COMMANDS[name][1])
        if with_arguments:
            module = module_of(name)
            module.add(command)
            command.set_defaults(action=module.run)
    for each in plugins:
        command = parser.add_command(commands, each.name, each.help)
        if with_arguments:
            each.add(command)
            command.set_defaults(action=each.run)
    return parser
