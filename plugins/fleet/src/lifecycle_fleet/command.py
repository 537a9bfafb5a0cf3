"""
The command `lifecycle fleet`, with its subcommands.

Importing this module is cheap. The modules of the subcommands import the client library only when
they run.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import sys
from typing import Any, Final

HELP: Final = "show and control the pods of a cluster"
SUBCOMMANDS: Final[dict[str, tuple[str, str]]] = {
    "ls": ("lifecycle_fleet.commands.ls", "list the pods that run pod-lifecycle"),
}
"""Module and help text of each subcommand, by its name."""
FAILED: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130
READER_GONE: Final = 141


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommands and their arguments."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, (module_name, text) in SUBCOMMANDS.items():
        command = commands.add_parser(name, help=text)
        command.set_defaults(subcommand=module_name)
        importlib.import_module(module_name).add(command)


def run(options: argparse.Namespace) -> int:
    """Run the subcommand, and return its exit code."""
    from lifecycle_fleet.errors import FleetError

    module: Any = importlib.import_module(options.subcommand)
    try:
        code: int = asyncio.run(module.run(options))
        sys.stdout.flush()
    except FleetError as error:
        page = f"\nSee {error.see}" if error.see else ""
        print(f"lifecycle: {error}{page}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    return code
