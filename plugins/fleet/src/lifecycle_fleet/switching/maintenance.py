"""
Takes one pod out of traffic, holds it there, and brings it back.

Rules of this file:

1. The pod is brought back however the command ends: at its end, on Ctrl-C, SIGTERM, a terminal that is
   closed, or a failure. If that fails, the last message is the command that does it.
2. A command goes on in a pod after its connection is lost, so an `offline` whose end is not known may
   come after an `online`. Then the pod is brought back once more.
3. An app service that a person had taken offline before stays offline.
4. All messages go to stderr, because stdout belongs to the command that is run meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import shlex
from typing import Any, Final

from lifecycle_fleet.cluster.api import Api, Ran, connected
from lifecycle_fleet.cluster.in_pod import Place, as_json, failed, place_of, run_lifecycle
from lifecycle_fleet.cluster.kinds import POD
from lifecycle_fleet.cluster.targets import pods_of, target_of
from lifecycle_fleet.errors import ApiServerError, FleetError, InPodError, Misused, NotBack
from lifecycle_fleet.options import namespace_of
from lifecycle_fleet.switching import holding
from lifecycle_fleet.switching.command import MARGIN, TIMEOUT
from lifecycle_fleet.switching.guard import check
from lifecycle_fleet.switching.holding import say
from lifecycle_fleet.switching.signals import Signals, noted
from lifecycle_fleet.view.text import printable_lines

PERSON: Final = "operator"
"""The reason of an app service that a person has taken offline."""
PAUSES: Final = (0.0, 1.0, 2.0, 5.0)
"""Seconds before each attempt to bring the pod back."""
ORDER_TIME: Final = 5.0
"""Seconds after which an `offline` that was sent has come, even if its end is not known."""


async def maintain(options: argparse.Namespace) -> int:
    """
    Take a pod out of traffic until the command, the time or the person is done.

    Returns:
        The exit code of the command, 128 and the number of a signal that ended it, or 0.
    """
    holding.check(options.command, options.seconds)
    target = target_of(options.target)
    if target.kind != POD:
        raise Misused(
            f"maintain takes one pod, and {target} is not a pod. To see its pods, "
            "run lifecycle fleet ls"
        )
    async with connected(options.kubeconfig, options.context) as api:
        namespace = namespace_of(options, api.config.namespace)
        (pod,) = await pods_of(api, namespace, target)
        place = place_of(pod, options.container)
        if not options.force:
            await check(api, namespace, [pod], "*")
        patterns = await _patterns(api, place)
        with noted() as signals:
            leaving = asyncio.create_task(_leave(api, place, options.timeout))
            try:
                await _until_idle(leaving, place, signals)
                code = signals.code or await holding.hold(
                    place, options.command, options.seconds, signals
                )
            finally:
                unsure = not leaving.done() or _is_unknown(leaving)
                try:
                    await _bring_back(api, place, patterns, options)
                    if unsure:
                        await asyncio.wait({leaving}, timeout=ORDER_TIME)
                        await _bring_back(api, place, patterns, options)
                finally:
                    leaving.cancel()
                    await asyncio.wait({leaving})
    return code


def _is_unknown(leaving: asyncio.Task[Ran | FleetError]) -> bool:
    """Tell whether the end of an `offline` that was sent is not known."""
    return leaving.exception() is not None or isinstance(leaving.result(), FleetError)


async def _patterns(api: Api, place: Place) -> list[str]:
    """Return what to bring back: all app services, or those that no person had taken offline."""
    ran = await run_lifecycle(api, place, ["status", "--json"], TIMEOUT)
    services: Any = as_json(ran, place, "status", ("state", "services"))["services"]
    try:
        held = [str(each["name"]) for each in services if PERSON in each["held_by"]]
        free = [str(each["name"]) for each in services if PERSON not in each["held_by"]]
    except (TypeError, KeyError):
        raise InPodError(
            f"lifecycle status --json in {place} does not show its app services. Update "
            "pod-lifecycle in the image"
        ) from None
    if not held and not free:
        raise InPodError(f"the app in {place} has no app services, so nothing can be taken offline")
    if held:
        say(f"{place}: already offline, and stays offline at the end: {', '.join(held)}")
    return free if held else ["*"]


async def _leave(api: Api, place: Place, limit: float) -> Ran | FleetError:
    """Take all app services offline, and wait until no client is being served."""
    say(f"{place}: goes offline, and waits until no client is being served, at most {limit:g} s")
    words = ["offline", "*", "--wait", "--timeout", f"{limit:g}"]
    try:
        return await run_lifecycle(api, place, words, limit + MARGIN)
    except FleetError as error:
        return error


async def _until_idle(
    leaving: asyncio.Task[Ran | FleetError], place: Place, signals: Signals
) -> None:
    """Return when the pod is idle, or at a signal."""
    stopped = asyncio.create_task(signals.any.wait())
    await asyncio.wait({leaving, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not leaving.done():
        return
    ran = leaving.result()
    if isinstance(ran, FleetError):
        raise ran
    for line in printable_lines(ran.out).splitlines():
        say(f"{place}: {line}")
    if ran.code:
        raise failed(ran, place, "offline")


async def _bring_back(
    api: Api, place: Place, patterns: list[str], options: argparse.Namespace
) -> None:
    """Bring app services online. Each of them is tried, whatever became of the others."""
    commands, problems = [], []
    for pattern in patterns:
        if problem := await _online(api, place, pattern):
            commands.append(_command(place, pattern, options))
            problems.append(problem)
    if commands:
        raise NotBack(
            f"{place} may still be offline. Bring it back with: {' && '.join(commands)}\n"
            f"The reason: {problems[0]}"
        )


async def _online(api: Api, place: Place, pattern: str) -> str:
    """Bring app services online, and return why this fails, or empty."""
    problem = ""
    for pause in PAUSES:
        await asyncio.sleep(pause)  # between attempts, for an API server that is away
        try:
            ran = await run_lifecycle(api, place, ["online", pattern], TIMEOUT)
        except ApiServerError as error:
            problem = str(error)
            continue
        except FleetError as error:
            return str(error)
        if ran.code:
            return str(failed(ran, place, "online"))
        for line in printable_lines(ran.out).splitlines():
            say(f"{place}: online again ({line})")
        return ""
    return problem


def _command(place: Place, pattern: str, options: argparse.Namespace) -> str:
    words = ["lifecycle", "fleet", "online", place.pod, "-n", place.namespace]
    for name in ("kubeconfig", "context", "container"):
        if value := getattr(options, name):
            words += [f"--{name}", value]
    return shlex.join(words + ([] if pattern == "*" else ["--service", pattern]))
