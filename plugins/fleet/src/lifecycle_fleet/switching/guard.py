"""
Refuses to take the last pods of a Service out of traffic.

Rules of this file:

1. A look at the Services and a switch are two requests, so two commands may each find that the pod of
   the other one is left. So each looks again, once others can see its own switch in the annotation.
   The one whose annotation came later sees both, and perhaps the other one does too.
2. The annotation shows a switch earlier than the EndpointSlices do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Final

from lifecycle_fleet.cluster.api import Api, Object
from lifecycle_fleet.cluster.failures import FORBIDDEN
from lifecycle_fleet.cluster.in_pod import Place
from lifecycle_fleet.cluster.kinds import POD, SLICE
from lifecycle_fleet.errors import ApiServerError, Unsafe
from lifecycle_fleet.switching.changes import PodChanges
from lifecycle_fleet.switching.holding import say
from lifecycle_fleet.view.told import one_line
from lifecycle_fleet.view.traffic import (
    leaves_traffic,
    ready_endpoints,
    stays_in_traffic,
    without_pods,
)

SHOWN_TIME: Final = 5.0
"""Seconds until the annotation shows a switch. Its writer allows itself one request a second."""


async def check(
    api: Api,
    namespace: str,
    pods: Sequence[Object],
    pattern: str,
    taken: Collection[str] = (),
) -> frozenset[str]:
    """
    Check that each Service keeps a ready pod.

    Args:
        api: The API server.
        namespace: The namespace.
        pods: The pods to take offline.
        pattern: The pattern of the app services to take offline.
        taken: The names of pods that were taken offline before, and may still be in the slices.

    Returns:
        The Services in which one of the pods is ready, for `check_again`.

    Raises:
        Unsafe: A Service would have no ready pod, or this cannot be seen.
    """
    wanted = {str(each["metadata"]["name"]) for each in pods if not stays_in_traffic(each, pattern)}
    if not wanted:
        return frozenset()
    try:
        slices, leaving = await _seen(api, namespace)
    except ApiServerError as error:
        if error.state != FORBIDDEN:
            raise
        raise Unsafe(
            f"this command cannot see whether another pod would be left. {error}. Ask for this "
            "right, or pass --force if you are sure"
        ) from None
    lost = without_pods(slices, wanted, leaving | {*taken})
    if lost:
        service, names = next(iter(lost.items()))
        shown = names[0] if len(names) == 1 else f"all {len(names)} ready pods"
        raise Unsafe(
            f"without {shown}, the Service {one_line(service)} would have "
            "no ready pod left. Scale up first, or name fewer pods. If you want the outage, pass "
            "--force"
        )
    return frozenset(service for service, pod in ready_endpoints(slices) if pod in wanted)


async def check_again(
    api: Api,
    place: Place,
    changes: PodChanges,
    services: Collection[str],
    taken: Collection[str] = (),
) -> None:
    """
    Check after the switch of a pod that each Service has kept another ready pod.

    Args:
        api: The API server.
        place: The pod.
        changes: The noticed changes of the pod.
        services: The Services in which it was ready.
        taken: The names of other pods that were taken offline before.

    Raises:
        Unsafe: A Service has no other ready pod. The caller takes the switch back.
    """
    if not services:
        return
    with suppress(TimeoutError):
        await asyncio.wait_for(changes.shown.wait(), SHOWN_TIME)
    try:
        slices, leaving = await _seen(api, place.namespace)
    except ApiServerError as error:
        say(f"lifecycle: the Services were not checked again after {place} went offline: {error}")
        return
    out = leaving | {*taken, place.pod}
    left = {service for service, pod in ready_endpoints(slices) if pod not in out}
    if lost := sorted({*services} - left):
        raise Unsafe(
            f"other pods left the Service {one_line(lost[0])} at the same time as {place}, so it "
            f"would have no ready pod left. {place} is brought back. If several people ran this "
            "command, each of them may be refused. Run it again for one pod"
        )


async def _seen(api: Api, namespace: str) -> tuple[list[Object], set[str]]:
    """Return the slices, and the names of the pods that are on their way out of them."""
    _, slices = await api.list(SLICE, namespace)
    _, pods = await api.list(POD, namespace)
    return slices, {str(each["metadata"]["name"]) for each in pods if leaves_traffic(each)}
