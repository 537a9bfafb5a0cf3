"""
Notices changes of a pod while a command takes it offline or holds it there.

Rules of this file:

1. The pod is watched. Without the right to watch pods, nothing is noticed, and `problem` is the reason.
2. A pod that is deleted, an app that drains and a container that ends are the end of an `offline`,
   because a new container is online by itself.
3. The annotation is written a moment after a change. So a pod is online again only if the annotation
   has shown it offline while it was held, because an earlier `online` may be shown late.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from fnmatch import fnmatchcase
from typing import Any

from lifecycle_fleet.cluster.api import Api, Object
from lifecycle_fleet.cluster.follow import Followed
from lifecycle_fleet.cluster.in_pod import Place
from lifecycle_fleet.cluster.kinds import POD
from lifecycle_fleet.errors import FleetError
from lifecycle_fleet.view.pod import containers
from lifecycle_fleet.view.told import Told, read
from lifecycle_fleet.view.traffic import LEAVING


def end_of(place: Place, before: Mapping[str, Any], now: Mapping[str, Any] | None) -> str:
    """
    Return why an `offline` in a pod has ended by itself, or empty. Pure.

    Args:
        place: The pod and its container.
        before: The pod before it was taken offline.
        now: The pod, or None if there is none.
    """
    if now is None or now["metadata"].get("uid") != before["metadata"].get("uid"):
        return "was deleted"
    if now["metadata"].get("deletionTimestamp"):
        return "is being deleted"
    if _started(now, place.container) != _started(before, place.container):
        return f"has a container {place.container} that has ended or was restarted"
    told, at_first = read(now["metadata"]), read(before["metadata"])
    if told is None or told.state not in LEAVING:
        return ""
    is_old = at_first is not None and at_first.state in LEAVING
    return "" if is_old else f"has an app that is {told.state}"


def _started(pod: Mapping[str, Any], container: str) -> tuple[object, object]:
    """Return what is another value for each run of a container."""
    for each in containers(pod.get("status") or {}):
        if each.get("name") == container:
            running = (each.get("state") or {}).get("running")
            return each.get("restartCount"), None if running is None else running.get("startedAt")
    return None, None


class PodChanges:
    """
    The noticed changes of a pod.

    Args:
        place: The pod and its container.
        before: The pod before it was taken offline.
        pattern: The pattern of the app services that are taken offline.

    Attributes:
        shown: Set once others can see that the app services are offline, or the `offline` is over.
        over: Set once the pod is not offline any more.
        why: The reason, for example `was deleted`.
        problem: Why the pod cannot be watched, or empty.
    """

    def __init__(self, place: Place, before: Object, pattern: str) -> None:
        self.shown = asyncio.Event()
        self.over = asyncio.Event()
        self.why = ""
        self.problem = ""
        self._place = place
        self._before = before
        self._pattern = pattern
        self._is_out = False
        self._held = False

    def look(self, _: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> None:
        """Handle a change of the pod."""
        if self.over.is_set():
            return
        why = end_of(self._place, self._before, now)
        told = read(now["metadata"]) if now is not None else None
        if not why and told is not None:
            was_out, self._is_out = self._is_out, self._is_out_by(told)
            if self._is_out:
                self.shown.set()
            elif was_out and self._held:
                why = "was brought online by another command"
        if why:
            self.why = why
            self.shown.set()
            self.over.set()

    def hold(self) -> None:
        """Handle that the pod is offline, so that only another command brings it online."""
        self._held = True

    def _is_out_by(self, told: Told) -> bool:
        return not any(fnmatchcase(each, self._pattern) for each in told.online)


@asynccontextmanager
async def noticed(
    api: Api, place: Place, before: Object, pattern: str
) -> AsyncGenerator[PodChanges, None]:
    """
    Watch a pod.

    Args:
        api: The API server.
        place: The pod and its container.
        before: The pod before it is taken offline.
        pattern: The pattern of the app services that are taken offline.
    """
    changes = PodChanges(place, before, pattern)
    name = f"metadata.name={place.pod}"
    followed = Followed(api, POD, place.namespace, fields=name, on_change=changes.look)
    following = asyncio.create_task(_follow(followed, changes))
    try:
        yield changes
    finally:
        following.cancel()
        await asyncio.wait({following})


async def _follow(followed: Followed, changes: PodChanges) -> None:
    try:
        await followed.run()
    except FleetError as error:
        changes.problem = str(error)
