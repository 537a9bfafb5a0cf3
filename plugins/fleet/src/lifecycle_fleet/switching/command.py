"""
Takes app services of one or several pods offline, or brings them online.

Rules of this file:

1. Several pods are switched one after another, by name. Pods that do not run or are being deleted have
   nothing to switch.
2. The first failure of an `offline` ends it, and the message names the pods that were not switched. An
   `online` goes on with the other pods.
3. Before each pod goes offline, the Services are checked, and once more when the others can see that
   it is offline. Each Service must keep a ready pod, except with --force.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase
from typing import Final

from lifecycle_fleet.cluster.api import Api, Object, connected
from lifecycle_fleet.cluster.in_pod import Place, failed, place_of, run_lifecycle
from lifecycle_fleet.cluster.targets import pods_of, target_of
from lifecycle_fleet.errors import FleetError, InPodError, Misused, NotBack, Unsafe
from lifecycle_fleet.options import namespace_of
from lifecycle_fleet.switching.back import TIMEOUT, bring_back, pattern_of
from lifecycle_fleet.switching.changes import noticed
from lifecycle_fleet.switching.guard import check, check_again
from lifecycle_fleet.view.text import printable_lines
from lifecycle_fleet.view.told import read

MARGIN: Final = 15.0
"""Seconds for a command that waits, beyond its own limit."""

Pods = Sequence[tuple[Object, Place]]


async def switch(options: argparse.Namespace, way: str) -> int:
    """
    Switch the pods of a target.

    Args:
        options: The options of the subcommand.
        way: `offline` or `online`.

    Returns:
        The exit code, 0. Each failure is an error.
    """
    if options.service.startswith("-"):
        raise Misused(
            f"--service takes a pattern of names, and {options.service!r} is an option. To match a "
            "name that starts with -, write [-] in place of it"
        )
    target = target_of(options.target)
    async with connected(options.kubeconfig, options.context) as api:
        namespace = namespace_of(options, api.config.namespace)
        pods = _running(await pods_of(api, namespace, target), options.container)
        if way == "online":
            await _online(api, pods, options)
        else:
            await _offline(api, namespace, pods, options)
    return 0


def _running(pods: list[Object], container: str) -> Pods:
    """Return the pods that run, each with where to run a command. They are at least one."""
    found: list[tuple[Object, Place]] = []
    problem: InPodError | None = None
    for pod in pods:
        try:
            place = place_of(pod, container)
            if len(pods) > 1:
                _refuse_deleted(pod, place)
            found.append((pod, place))
        except InPodError as error:
            if len(pods) > 1:
                print(f"lifecycle: left out: {error}", file=sys.stderr)
            problem = error
    if problem is not None and not found:
        raise problem
    return found


def _refuse_deleted(pod: Object, place: Place) -> None:
    if pod["metadata"].get("deletionTimestamp"):
        raise InPodError(f"{place} is being deleted")


async def _online(api: Api, pods: Pods, options: argparse.Namespace) -> None:
    """Bring the pods online. The refusal of one of them does not keep the others offline."""
    problems: list[InPodError] = []
    for _, place in pods:
        try:
            await _switch_one(api, place, options, "online")
        except InPodError as error:
            if error.everywhere or len(pods) == 1:
                raise
            print(f"lifecycle: {error}", file=sys.stderr)
            problems.append(error)
    if problems:
        raise InPodError(
            f"{len(problems)} of {len(pods)} pods were not brought online. The lines above have the "
            "reasons"
        )


async def _offline(api: Api, namespace: str, pods: Pods, options: argparse.Namespace) -> None:
    done: list[Place] = []
    pattern, services = options.service, frozenset[str]()
    if not options.force:
        services = await check(api, namespace, [pod for pod, _ in pods], pattern)
    try:
        for pod, place in pods:
            if options.force:
                await _switch_one(api, place, options, "offline")
            else:
                taken = [each.pod for each in done]
                if done:
                    await check(api, namespace, [pod], pattern, taken)
                await _offline_one(api, pod, place, options, services, taken)
            done.append(place)
    except FleetError:
        if rest := [str(place) for _, place in pods[len(done) + 1 :]]:
            names = ", ".join(rest)
            print(f"lifecycle: these pods were not switched offline: {names}", file=sys.stderr)
        raise


async def _offline_one(
    api: Api,
    pod: Object,
    place: Place,
    options: argparse.Namespace,
    services: Collection[str],
    taken: Collection[str],
) -> None:
    """Take one pod offline, and take it back if its Services have lost their other pods meanwhile."""
    pattern = options.service
    async with noticed(api, place, pod, pattern) as changes:
        switching = asyncio.create_task(_switch_one(api, place, options, "offline"))
        checking = asyncio.create_task(check_again(api, place, changes, services, taken))
        try:
            await asyncio.wait({switching, checking}, return_when=asyncio.FIRST_EXCEPTION)
            if checking.done():
                checking.result()
            switching.result()
        except Unsafe as error:
            try:
                await bring_back(api, place, pod, _was_online(pod, pattern), options)
            except NotBack as not_back:
                raise NotBack(f"{not_back}\n{error}") from None
            raise
        finally:
            for each in (switching, checking):
                each.cancel()
            await asyncio.wait({switching, checking})


def _was_online(pod: Object, pattern: str) -> list[str]:
    """Return the patterns of the app services that are brought back."""
    told = read(pod["metadata"])
    if told is None or not told.offline:
        return [pattern]
    return [pattern_of(each) for each in told.online if fnmatchcase(each, pattern)]


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
