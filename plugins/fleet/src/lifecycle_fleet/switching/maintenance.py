"""
Takes one pod out of traffic, holds it there, and brings it back.

Rules of this file:

1. The pod is brought back however the command ends: at its end, on Ctrl-C, SIGTERM, a terminal that is
   closed, or a failure. If that fails, the last message is the command that does it.
2. A command goes on in a pod after its connection is lost, so an `offline` whose end is not known may
   come after an `online`. Then the pod is brought back once more.
3. An app service that a person had taken offline before stays offline. If that is all of them, perhaps
   by another `maintain`, this one is refused, because the pod would come back under one of the two.
4. The hold is over if the pod is deleted, drains, restarts, or is brought online by another command.
5. All messages go to stderr, because stdout belongs to the command that is run meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any, Final

from lifecycle_fleet.cluster.api import Api, Object, Ran, connected
from lifecycle_fleet.cluster.in_pod import Place, as_json, failed, place_of, run_lifecycle
from lifecycle_fleet.cluster.kinds import POD
from lifecycle_fleet.cluster.targets import pods_of, target_of
from lifecycle_fleet.errors import FleetError, InPodError, Misused
from lifecycle_fleet.options import namespace_of
from lifecycle_fleet.switching import holding
from lifecycle_fleet.switching.back import TIMEOUT, bring_back, pattern_of
from lifecycle_fleet.switching.changes import PodChanges, noticed
from lifecycle_fleet.switching.command import MARGIN
from lifecycle_fleet.switching.guard import check, check_again
from lifecycle_fleet.switching.holding import say
from lifecycle_fleet.switching.signals import Signals, noted
from lifecycle_fleet.view.text import printable_lines
from lifecycle_fleet.view.told import one_line

PERSON: Final = "operator"
"""The reason of an app service that a person has taken offline."""
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
        services = frozenset() if options.force else await check(api, namespace, [pod], "*")
        patterns = await _patterns(api, place)
        with noted() as signals:
            async with noticed(api, place, pod, "*") as changes:
                leaving = asyncio.create_task(_leave(api, place, options.timeout))
                checking = asyncio.create_task(check_again(api, place, changes, services))
                try:
                    await _until_idle(leaving, checking, place, signals)
                    code = signals.code or await _hold(place, options, signals, changes)
                finally:
                    try:
                        end = await _bring_back(api, pod, place, patterns, leaving, options)
                    finally:
                        leaving.cancel()
                        checking.cancel()
                        await asyncio.wait({leaving, checking})
        if end:
            say(f"{place}: {end}, so there is nothing to bring back")
    return code


async def _hold(
    place: Place, options: argparse.Namespace, signals: Signals, changes: PodChanges
) -> int:
    if changes.problem:
        say(f"lifecycle: changes of {place} are not noticed meanwhile: {changes.problem}")
    changes.hold()
    return await holding.hold(place, options.command, options.seconds, signals, changes)


async def _bring_back(
    api: Api,
    pod: Object,
    place: Place,
    patterns: list[str],
    leaving: asyncio.Task[Ran | FleetError],
    options: argparse.Namespace,
) -> str:
    """Bring the pod back, twice if an `offline` may still come. Return why it is not needed."""
    unsure = not leaving.done() or _is_unknown(leaving)
    end = await bring_back(api, place, pod, patterns, options)
    if not unsure or end:
        return end
    await asyncio.wait({leaving}, timeout=ORDER_TIME)
    return await bring_back(api, place, pod, patterns, options)


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
    if not free:
        raise InPodError(
            f"all app services in {place} are offline already, by a person or by another lifecycle "
            f"fleet maintain. To bring them back, run: lifecycle fleet online {place.pod}"
        )
    if held:
        say(f"{place}: already offline, and stays offline at the end: {one_line(', '.join(held))}")
    return [pattern_of(each) for each in free] if held else ["*"]


async def _leave(api: Api, place: Place, limit: float) -> Ran | FleetError:
    """Take all app services offline, and wait until no client is being served."""
    say(f"{place}: goes offline, and waits until no client is being served, at most {limit:g} s")
    words = ["offline", "*", "--wait", "--timeout", f"{limit:g}"]
    try:
        return await run_lifecycle(api, place, words, limit + MARGIN)
    except FleetError as error:
        return error


async def _until_idle(
    leaving: asyncio.Task[Ran | FleetError],
    checking: asyncio.Task[None],
    place: Place,
    signals: Signals,
) -> None:
    """Return when the pod is idle and others are left in its Services, or at a signal."""
    stopped = asyncio.create_task(signals.any.wait())
    waiting: set[asyncio.Task[Any]] = {leaving, checking}
    try:
        while waiting and not stopped.done():
            done, _ = await asyncio.wait({*waiting, stopped}, return_when=asyncio.FIRST_COMPLETED)
            waiting -= done
            if checking in done:
                checking.result()
            if leaving in done:
                _take_answer(leaving.result(), place)
    finally:
        stopped.cancel()


def _take_answer(ran: Ran | FleetError, place: Place) -> None:
    if isinstance(ran, FleetError):
        raise ran
    for line in printable_lines(ran.out).splitlines():
        say(f"{place}: {line}")
    if ran.code:
        raise failed(ran, place, "offline")
