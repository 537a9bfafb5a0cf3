"""Completes a command line with subcommands, options, and names of pods."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, Final

DIRECTIVE: Final = ":4"
"""Do not offer files."""
LONGEST: Final = 3.0
"""Seconds for the names of pods."""
NAMED: Final = ("target", "targets")
"""Positional arguments that name a pod."""


def candidates(parser: argparse.ArgumentParser, words: Sequence[str]) -> list[str]:
    """
    Return the words that the last one may become.

    Args:
        parser: The parser of the command.
        words: The words after the name of the command. The last one is not complete.
    """
    *before, last = words or [""]
    commands = _commands(parser)
    name = next((each for each in before if each in commands), "")
    if not name:
        return _beginning(last, [*commands, *_options(parser)])
    if last.startswith("-"):
        return _beginning(last, _options(commands[name]))
    if not any(each.dest in NAMED for each in commands[name]._actions):  # noqa: SLF001 - argparse shows them nowhere else
        return []
    return _beginning(last, asyncio.run(_pods(before)))


def _beginning(last: str, words: Sequence[str]) -> list[str]:
    shown = words if last else [each for each in words if not each.startswith("-")]
    return sorted({each for each in shown if each.startswith(last)})


def _commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    found: Any = next(a for a in parser._actions if isinstance(a.choices, dict))  # noqa: SLF001 - argparse shows them nowhere else
    return dict(found.choices)


def _options(parser: argparse.ArgumentParser) -> list[str]:
    return [
        option
        for each in parser._actions  # noqa: SLF001 - argparse shows them nowhere else
        for option in each.option_strings
        if option.startswith("--")
    ]


async def _pods(before: Sequence[str]) -> list[str]:
    """Return the pods and the Deployments of the namespace. Nothing if they cannot be read."""
    from lifecycle_fleet.cluster.api import connected
    from lifecycle_fleet.cluster.kinds import DEPLOYMENT, POD
    from lifecycle_fleet.errors import FleetError
    from lifecycle_fleet.options import add_cluster

    parser = argparse.ArgumentParser(add_help=False)
    add_cluster(parser)
    options, _ = parser.parse_known_args([*before])
    with contextlib.suppress(FleetError, TimeoutError):
        async with (
            asyncio.timeout(LONGEST),
            connected(options.kubeconfig, options.context) as api,
        ):
            namespace = options.namespace or api.config.namespace
            _, pods = await api.list(POD, namespace)
            _, deployments = await api.list(DEPLOYMENT, namespace)
            names = [str(each["metadata"]["name"]) for each in pods]
            return names + [f"deploy/{each['metadata']['name']}" for each in deployments]
    return []
