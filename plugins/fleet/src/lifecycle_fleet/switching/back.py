"""Brings app services of one pod back online, or tells why this is not possible, or not needed."""

from __future__ import annotations

import argparse
import asyncio
import glob
import shlex
from collections.abc import Sequence
from typing import Final

from lifecycle_fleet.cluster.api import Api, Object
from lifecycle_fleet.cluster.failures import NOT_FOUND
from lifecycle_fleet.cluster.in_pod import Place, failed, run_lifecycle
from lifecycle_fleet.cluster.kinds import POD
from lifecycle_fleet.errors import ApiServerError, FleetError, NotBack
from lifecycle_fleet.switching.changes import end_of
from lifecycle_fleet.switching.holding import say
from lifecycle_fleet.view.text import printable_lines

TIMEOUT: Final = 20.0
"""Seconds for a command that does not wait."""
PAUSES: Final = (0.0, 1.0, 2.0, 5.0)
"""Seconds before each attempt to bring the pod back."""
LEAVING: Final = "is not possible while the app is "
"""A part of what `lifecycle online` prints in a drain."""


def pattern_of(name: str) -> str:
    """Return the pattern that matches only one app service, and is not read as an option."""
    escaped = glob.escape(name)
    return f"[-]{escaped[1:]}" if escaped.startswith("-") else escaped


async def bring_back(
    api: Api, place: Place, before: Object, patterns: Sequence[str], options: argparse.Namespace
) -> str:
    """
    Bring app services online. Each of them is tried, whatever became of the others.

    Args:
        api: The API server.
        place: The pod and its container.
        before: The pod before it was taken offline.
        patterns: The patterns of the app services.
        options: The options of the subcommand, for the message.

    Returns:
        Why there is nothing to bring back any more, for example `was deleted`, or empty.

    Raises:
        NotBack: The app services may still be offline.
    """
    commands, problems = [], []
    for pattern in patterns:
        problem, end = await _online(api, place, before, pattern)
        if end:
            return end
        if problem:
            commands.append(_command(place, pattern, options))
            problems.append(problem)
    if commands:
        raise NotBack(
            f"{place} may still be offline. Bring it back with: {' && '.join(commands)}\n"
            f"The reason: {problems[0]}"
        )
    return ""


async def _online(api: Api, place: Place, before: Object, pattern: str) -> tuple[str, str]:
    """Bring app services online. Return why this fails, and why it is not needed, or empty."""
    problem = ""
    for pause in PAUSES:
        await asyncio.sleep(pause)  # between attempts, for an API server that is away
        again = False
        try:
            ran = await run_lifecycle(api, place, ["online", pattern], TIMEOUT)
        except FleetError as error:
            problem, again = str(error), isinstance(error, ApiServerError)
        else:
            if not ran.code:
                for line in printable_lines(ran.out).splitlines():
                    say(f"{place}: online again ({line})")
                return "", ""
            if LEAVING in ran.err:
                return "", "has an app that drains"
            problem = str(failed(ran, place, "online"))
        if end := await _end(api, place, before):
            return "", end
        if not again:
            break
    return problem, ""


async def _end(api: Api, place: Place, before: Object) -> str:
    try:
        return end_of(place, before, await api.get(POD, place.namespace, place.pod))
    except ApiServerError as error:
        return end_of(place, before, None) if error.state == NOT_FOUND else ""


def _command(place: Place, pattern: str, options: argparse.Namespace) -> str:
    words = ["lifecycle", "fleet", "online", place.pod, "-n", place.namespace]
    for name in ("kubeconfig", "context", "container"):
        if value := getattr(options, name):
            words += [f"--{name}", value]
    return shlex.join(words + ([] if pattern == "*" else ["--service", pattern]))
