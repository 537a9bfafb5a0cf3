"""
Watches the pods, and prints those that have changed.

A line is printed if the pod differs from what was printed last. A problem of a watch is said once on
stderr, and so is its end.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from typing import Any

from lifecycle_fleet.cluster.api import Api
from lifecycle_fleet.cluster.follow import Followed
from lifecycle_fleet.cluster.kinds import EVENT, POD, SLICE, Kind
from lifecycle_fleet.errors import ApiServerError
from lifecycle_fleet.listing.missing import HOOK_FAILED, say_missing
from lifecycle_fleet.listing.printing import Printer
from lifecycle_fleet.view import pruned
from lifecycle_fleet.view.listing import Key, Listing, key_of
from lifecycle_fleet.view.pod import GONE, PodView

Object = dict[str, Any]


class Watch:
    """
    A watch of all that `ls` shows.

    Args:
        api: The API server.
        listing: The pods.
        printer: Prints them.
        namespace: The namespace, or empty for all.
        labels: A label selector of the pods.
    """

    def __init__(
        self, api: Api, listing: Listing, printer: Printer, namespace: str, labels: str
    ) -> None:
        self._api = api
        self._listing = listing
        self._printer = printer
        self._namespace = namespace
        self._labels = labels
        self._ready = {kind: asyncio.Event() for kind in (POD, SLICE, EVENT)}
        self._problems: dict[Kind, str] = {}
        self._shown: dict[Key, PodView] = {}
        self._last: dict[Key, PodView] = {}
        """How pods were at their end, until this is printed."""
        self._changed_pods: set[Key] = set()
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Print all pods, and then each change, forever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(POD, self._pod, pruned.pod, labels=self._labels))
            group.create_task(self._follow(SLICE, self._slice, pruned.piece))
            group.create_task(self._follow(EVENT, self._event, fields=HOOK_FAILED))
            for each in self._ready.values():
                await each.wait()
            self._changed_pods.clear()
            found = self._listing.pods()
            self._shown = {(each.namespace, each.name): each for each in found}
            self._printer.all(found)
            while True:
                await self._changed.wait()
                self._changed.clear()
                changed, self._changed_pods = self._changed_pods, set()
                for key in sorted(changed):
                    self._show(key)

    def _show(self, key: Key) -> None:
        before, found = self._shown.get(key), self._listing.pod(key)
        last = self._last.pop(key, None)
        if found is not None and found != before:
            self._shown[key] = found
            self._printer.one(found)
        if found is None and before is not None:
            del self._shown[key]
            gone = (last or before)._replace(
                state=GONE, since=time.time(), ready=False, in_slices="-"
            )
            self._printer.one(gone)

    async def _follow(
        self,
        kind: Kind,
        take: Callable[[Object | None, Object | None], set[Key]],
        keep: Callable[[Object], Object] = lambda found: found,
        *,
        labels: str = "",
        fields: str = "",
    ) -> None:
        def on_change(old: Object | None, new: Object | None) -> None:
            self._changed_pods |= take(old, new)
            self._changed.set()

        followed = Followed(
            self._api,
            kind,
            self._namespace,
            labels=labels,
            fields=fields,
            keep=keep,
            on_change=on_change,
            on_problem=lambda problem: self._say(kind, problem),
        )
        async with asyncio.TaskGroup() as group:
            running = group.create_task(self._run(followed))
            listed = group.create_task(followed.listed.wait())
            await asyncio.wait({running, listed}, return_when=asyncio.FIRST_COMPLETED)
            listed.cancel()
            self._ready[kind].set()

    async def _run(self, followed: Followed) -> None:
        try:
            await followed.run()
        except ApiServerError as error:
            if followed.kind == POD:
                raise
            say_missing(error, followed.kind, self._namespace, self._listing)

    def _say(self, kind: Kind, problem: str) -> None:
        before = any(self._problems.values())
        self._problems[kind] = problem
        if problem and not before:
            print(
                f"lifecycle: {problem}. The watch continues once the API server answers",
                file=sys.stderr,
            )
        if before and not any(self._problems.values()):
            print("lifecycle: the API server answers again", file=sys.stderr)

    def _pod(self, old: Object | None, new: Object | None) -> set[Key]:
        if new is not None:
            return self._listing.put_pod(new)
        if old is None:
            return set()
        if (last := self._listing.pod(key_of(old))) is not None:
            self._last[key_of(old)] = last
        return self._listing.remove_pod(old)

    def _slice(self, old: Object | None, new: Object | None) -> set[Key]:
        endpoints = self._listing.endpoints
        if endpoints is None:
            return set()
        if new is not None:
            return endpoints.put(new)
        return endpoints.remove(old) if old is not None else set()

    def _event(self, old: Object | None, new: Object | None) -> set[Key]:
        if new is not None:
            return self._listing.put_event(new)
        if old is not None:
            self._listing.remove_event(old)
        return set()
