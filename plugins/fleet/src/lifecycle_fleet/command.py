"""
The command `lifecycle fleet`, with its subcommands.

Importing this module is cheap. The modules of the subcommands import the client library only when
they run.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import importlib
import os
import sys
from typing import Any, Final

from lifecycle_fleet.options import BEFORE, add_cluster, use_those_before

HELP: Final = "show and control the pods of a cluster"
SUBCOMMANDS: Final[dict[str, tuple[str, str]]] = {
    "ls": ("lifecycle_fleet.commands.ls", "list the pods that run pod-lifecycle"),
    "status": ("lifecycle_fleet.commands.status", "show the full status of one pod"),
    "inflight": ("lifecycle_fleet.commands.inflight", "show the work in flight in one pod"),
    "offline": ("lifecycle_fleet.commands.offline", "take app services of pods out of traffic"),
    "online": ("lifecycle_fleet.commands.online", "bring app services of pods back online"),
    "maintain": (
        "lifecycle_fleet.commands.maintain",
        "take one pod out of traffic while you work on it, and bring it back",
    ),
    "why": (
        "lifecycle_fleet.commands.why",
        "explain why a pod is not ready or not gone, or why a rollout is not complete",
    ),
    "rollout": ("lifecycle_fleet.commands.rollout", "watch a rollout of a Deployment to its end"),
    "serve": (
        "lifecycle_fleet.commands.serve",
        "serve all pods as a live page, as JSON and as metrics",
    ),
}
"""
Module and help text of each subcommand, by its name.

A module has `add(parser)` and `run(options)`. It may have `REFUSED`, the exit code of a failure.
"""
FAILED: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130
READER_GONE: Final = 141


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommands and their arguments."""
    add_cluster(parser, prefix=BEFORE)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, (module_name, text) in SUBCOMMANDS.items():
        command = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        command.set_defaults(subcommand=module_name)
        importlib.import_module(module_name).add(command)


def run(options: argparse.Namespace) -> int:
    """Run the subcommand, and return its exit code."""
    from lifecycle_fleet.errors import FleetError

    module: Any = importlib.import_module(options.subcommand)
    refused = getattr(module, "REFUSED", FAILED)
    use_those_before(options)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that cannot show a letter shows its number
            stream.reconfigure(errors="backslashreplace")
    try:
        result = module.run(options)
        code: int = asyncio.run(result) if asyncio.iscoroutine(result) else result
        sys.stdout.flush()
    except (FleetError, OSError) as error:
        return _ended(error, refused)
    except ExceptionGroup as group:  # of tasks side by side
        expected = (each for each in _leaves(group) if isinstance(each, (FleetError, OSError)))
        first = next(expected, None)
        if first is None:
            raise
        return _ended(first, refused)
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _ended(error: Any, code: int) -> int:
    """Explain an error, and return the exit code. Raises an OSError that is not about stdout."""
    from lifecycle_fleet.errors import FleetError

    if isinstance(error, FleetError):
        return _refused(error, code)
    if error.errno not in (errno.EPIPE, errno.ENOSPC):
        raise error
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if error.errno == errno.EPIPE:
        return READER_GONE
    return _refused(FleetError(f"stdout: {error.strerror}", see="errors.md#output-failed"), code)


def _refused(error: Any, code: int) -> int:
    from lifecycle_fleet.errors import Misused

    page = f"\nSee {error.see}" if error.see else ""
    print(f"lifecycle: {error}{page}", file=sys.stderr)
    return USAGE if isinstance(error, Misused) else code


def _leaves(group: BaseExceptionGroup[Any]) -> list[BaseException]:
    found: list[BaseException] = []
    for each in group.exceptions:
        found += _leaves(each) if isinstance(each, BaseExceptionGroup) else [each]
    return found
