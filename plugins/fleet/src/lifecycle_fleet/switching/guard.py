"""Refuses to take the last pods of a Service out of traffic."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from lifecycle_fleet.cluster.api import Api, Object
from lifecycle_fleet.cluster.failures import FORBIDDEN
from lifecycle_fleet.cluster.kinds import POD, SLICE
from lifecycle_fleet.errors import ApiServerError, Unsafe
from lifecycle_fleet.view.told import one_line
from lifecycle_fleet.view.traffic import leaves_traffic, stays_in_traffic, without_pods


async def check(
    api: Api,
    namespace: str,
    pods: Sequence[Object],
    pattern: str,
    taken: Collection[str] = (),
) -> None:
    """
    Check that each Service keeps a ready pod.

    Args:
        api: The API server.
        namespace: The namespace.
        pods: The pods to take offline.
        pattern: The pattern of the app services to take offline.
        taken: The names of pods that were taken offline before, and may still be in the slices.

    Raises:
        Unsafe: A Service would have no ready pod, or this cannot be seen.
    """
    wanted = {str(each["metadata"]["name"]) for each in pods if not stays_in_traffic(each, pattern)}
    if not wanted:
        return
    try:
        _, slices = await api.list(SLICE, namespace)
        _, others = await api.list(POD, namespace)
    except ApiServerError as error:
        if error.state != FORBIDDEN:
            raise
        raise Unsafe(
            "this command cannot see whether another pod would be left, because you may not list "
            f"the endpointslices and the pods of the namespace {namespace}. If you are sure, pass "
            "--force"
        ) from None
    leaving = {str(each["metadata"]["name"]) for each in others if leaves_traffic(each)} | {*taken}
    lost = without_pods(slices, wanted, leaving)
    if lost:
        service, names = next(iter(lost.items()))
        shown = names[0] if len(names) == 1 else f"all {len(names)} ready pods"
        raise Unsafe(
            f"without {shown}, the Service {one_line(service)} would have "
            "no ready pod left. Scale up first, or name fewer pods. If you want the outage, pass "
            "--force"
        )
