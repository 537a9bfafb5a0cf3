"""
Takes app services of one or several pods offline, or brings them online.

Rules of this file:

1. Several pods are switched one after another, by name. The first failure ends it, and the message
   names the pods that were not switched. Pods that do not run have nothing to switch.
2. Before each pod goes offline, the Services are checked again. Each Service must keep a ready pod,
   except with --force.
"""

from __future__ import annotations

import argparse
import sys
from typing import Final

from lifecycle_fleet.cluster.api import Api, Object, connected
from lifecycle_fleet.cluster.in_pod import Place, failed, place_of, run_lifecycle
from lifecycle_fleet.cluster.targets import pods_of, target_of
from lifecycle_fleet.errors import FleetError, InPodError
from lifecycle_fleet.options import namespace_of
from lifecycle_fleet.switching.guard import check
from lifecycle_fleet.view.text import printable_lines

TIMEOUT: Final = 20.0
"""Seconds for a command that does not wait."""
MARGIN: Final = 15.0
"""Seconds for a command that waits, beyond its own limit."""


async def switch(options: argparse.Namespace, way: str) -> int:
    """
    Switch the pods of a target.

    Args:
        options: The options of the subcommand.
        way: `offline` or `online`.

    Returns:
        The exit code, 0. Each failure is an error.
    """
    target = target_of(options.target)
    async with connected(options.kubeconfig, options.context) as api:
        namespace = namespace_of(options, api.config.namespace)
        found = await pods_of(api, namespace, target)
        pods = _running(found, options.container)
        guarded = way == "offline" and not options.force
        if guarded:
            await check(api, namespace, [pod for pod, _ in pods], options.service)
        done: list[Place] = []
        try:
            for pod, place in pods:
                if guarded and done:
                    taken = [each.pod for each in done]
                    await check(api, namespace, [pod], options.service, taken)
                await _switch_one(api, place, options, way)
                done.append(place)
        except FleetError:
            if rest := [str(place) for _, place in pods[len(done) + 1 :]]:
                names = ", ".join(rest)
                print(f"lifecycle: these pods were not switched {way}: {names}", file=sys.stderr)
            raise
    return 0


def _running(pods: list[Object], container: str) -> list[tuple[Object, Place]]:
    """Return the pods that run, each with where to run a command. They are at least one."""
    found: list[tuple[Object, Place]] = []
    problem: InPodError | None = None
    for pod in pods:
        try:
            found.append((pod, place_of(pod, container)))
        except InPodError as error:
            if len(pods) > 1:
                print(f"lifecycle: left out: {error}", file=sys.stderr)
            problem = error
    if problem is not None and not found:
        raise problem
    return found


async def _switch_one(api: Api, place: Place, options: argparse.Namespace, way: str) -> None:
    words, timeout = [way, options.service], TIMEOUT
    if way == "offline" and options.wait:
        words += ["--wait", "--timeout", f"{options.timeout:g}"]
        timeout = options.timeout + MARGIN
    ran = await run_lifecycle(api, place, words, timeout)
    for line in printable_lines(ran.out).splitlines():
        print(f"{place}: {line}", flush=True)
    if ran.code:
        raise failed(ran, place, way)
