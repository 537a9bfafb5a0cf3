"""
Follows the objects of one kind: a list, and then a watch that never ends.

Rules of this file:

1. A list is requested at the start, and after a watch whose version has expired. A watch that ends
   or fails goes on at the last version that was seen, of an object or a bookmark.
2. After a failure, the next request waits: from 0.2 s on, twice as long each time, with jitter. A
   watch that ends at once without an event is a failure too.
3. After the first list, no failure ends it. A credential plugin that fails may work again too.
4. Objects are cut down by `keep` before they are stored, because of the memory.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final

from lifecycle_fleet.cluster.api import BOOKMARK, Api, Object
from lifecycle_fleet.cluster.failures import EXPIRED
from lifecycle_fleet.cluster.kinds import ALL, Kind
from lifecycle_fleet.errors import ApiServerError, FleetError

FIRST: Final = 0.2
LONGEST: Final = 5.0
"""The shortest and the longest pause after a failure, in seconds."""
SHORT: Final = 1.0
"""Seconds that a watch lasts at least if the server is well."""


class Followed:
    """
    The objects of one kind, kept up to date. For one event loop.

    Args:
        api: The API server.
        kind: The kind.
        namespace: A namespace, or all.
        labels: A label selector, as kubectl takes it.
        fields: A field selector.
        keep: Returns the part of an object to store.
        shape: A TypedDict of a page of a list. Names that it lacks are not decoded.
        on_change: Called with each changed object as it was and as it is. None means that there was
            none, or is none any more. Before a deletion, it is called with the last object, which
            says how a pod has ended.
        on_problem: Called with `problem` when it has changed.

    Attributes:
        objects: The objects, by namespace and name.
        listed: Set once the first list is here.
        problem: Why there is no watch at the moment. Empty if there is one.
        lists: How many lists were requested.
    """

    def __init__(
        self,
        api: Api,
        kind: Kind,
        namespace: str = ALL,
        *,
        labels: str = "",
        fields: str = "",
        keep: Callable[[Object], Object] = lambda found: found,
        shape: type = dict,
        on_change: Callable[[Object | None, Object | None], object] = lambda _old, _new: None,
        on_problem: Callable[[str], object] = lambda _problem: None,
    ) -> None:
        self.kind = kind
        self.objects: dict[tuple[str, str], Object] = {}
        self.listed = asyncio.Event()
        self.problem = ""
        self.lists = 0
        self._api = api
        self._namespace = namespace
        self._labels = labels
        self._fields = fields
        self._keep = keep
        self._shape = shape
        self._on_change = on_change
        self._on_problem = on_problem
        self._version = ""

    async def run(self) -> None:
        """
        Follow forever.

        Raises:
            FleetError: The first list is not answered, for example because it is forbidden.
        """
        failures = 0
        clock = asyncio.get_running_loop().time
        while True:
            try:
                if not self._version:
                    await self._list()
                began, silent = clock(), True
                async with aclosing(self._watch()) as changes:
                    async for kind, found in changes:
                        failures, silent = 0, False
                        self._take(kind, found)
            except FleetError as error:
                if not self.listed.is_set():
                    raise
                failures += 1
                if isinstance(error, ApiServerError) and error.state == EXPIRED:
                    self._version = ""
                    if failures == 1:
                        continue
                self._say(str(error))
                await asyncio.sleep(pause(failures))
            else:
                failures = failures + 1 if silent and clock() - began < SHORT else 0
                await asyncio.sleep(pause(max(1, failures)))

    def _watch(self) -> AsyncGenerator[tuple[str, Object], None]:
        return self._api.watch(
            self.kind,
            self._version,
            self._namespace,
            labels=self._labels,
            fields=self._fields,
            on_open=lambda: self._say(""),
        )

    def _say(self, problem: str) -> None:
        if problem != self.problem:
            self.problem = problem
            self._on_problem(problem)

    async def _list(self) -> None:
        self.lists += 1
        version, found = await self._api.list(
            self.kind,
            self._namespace,
            labels=self._labels,
            fields=self._fields,
            keep=self._keep,
            shape=self._shape,
        )
        before, self.objects = self.objects, {key(each): each for each in found}
        for name, each in self.objects.items():
            if (old := before.pop(name, None)) != each:
                self._on_change(old, each)
        for each in before.values():
            self._on_change(each, None)
        self._version = version
        self.listed.set()

    def _take(self, kind: str, found: Object) -> None:
        self._version = found["metadata"]["resourceVersion"]
        if kind == BOOKMARK:
            return
        name = key(found)
        if kind == "DELETED":
            if (old := self.objects.pop(name, None)) is not None:
                last = self._keep(found)
                self._on_change(old, last)
                self._on_change(last, None)
            return
        old, new = self.objects.get(name), self._keep(found)
        self.objects[name] = new
        self._on_change(old, new)


def key(found: Object) -> tuple[str, str]:
    """Return namespace and name of an object."""
    metadata = found["metadata"]
    return str(metadata.get("namespace", "")), str(metadata["name"])


def pause(failures: int) -> float:
    """Return the seconds to wait after so many failures in a row."""
    longest: float = min(LONGEST, FIRST * 2 ** min(failures - 1, 10))
    return longest * (0.5 + random.random() / 2)  # noqa: S311 - jitter
