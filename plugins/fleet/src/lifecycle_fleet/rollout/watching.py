"""The watches of a rollout: the Deployment, its ReplicaSets and pods, Events and EndpointSlices."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

from lifecycle_fleet.cluster.api import Api
from lifecycle_fleet.cluster.follow import Followed
from lifecycle_fleet.cluster.kinds import DEPLOYMENT, EVENT, POD, REPLICA_SET, SLICE, Kind
from lifecycle_fleet.cluster.targets import selector
from lifecycle_fleet.errors import ApiServerError, FleetError
from lifecycle_fleet.rollout.fold import Fold

Object = dict[str, Any]

LISTED_WITHIN: Final = 60.0
"""Seconds that the first lists may take."""


class Watching:
    """
    The watches, which feed a fold.

    Args:
        api: The API server.
        fold: Takes the changes.
        namespace: The namespace.
        deployment: The Deployment, as it was read before.

    Attributes:
        changed: Set after each change, and when a watch fails or continues.
    """

    def __init__(self, api: Api, fold: Fold, namespace: str, deployment: Object) -> None:
        self.changed = asyncio.Event()
        self._fold = fold
        labels = selector(deployment)
        name = deployment["metadata"]["name"]
        self._followed = [
            self._follow(api, DEPLOYMENT, namespace, fields=f"metadata.name={name}"),
            self._follow(api, REPLICA_SET, namespace, labels=labels),
            self._follow(api, POD, namespace, labels=labels),
            self._follow(api, EVENT, namespace, fields="involvedObject.kind=Pod"),
            self._follow(api, SLICE, namespace),
        ]

    def _follow(
        self, api: Api, kind: Kind, namespace: str, *, labels: str = "", fields: str = ""
    ) -> Followed:
        def on_change(old: Object | None, new: Object | None) -> None:
            self._fold.take(kind, old, new, time.time(), initial=not followed.listed.is_set())
            self.changed.set()

        followed = Followed(
            api,
            kind,
            namespace,
            labels=labels,
            fields=fields,
            keep=_without_managed_fields,
            on_change=on_change,
            on_problem=lambda _problem: self.changed.set(),
        )
        return followed

    @property
    def problem(self) -> str:
        """Why something is not watched at the moment, or empty."""
        return next((each.problem for each in self._followed if each.problem), "")

    async def run(self) -> None:
        """Follow forever."""
        async with asyncio.TaskGroup() as tasks:
            for each in self._followed:
                tasks.create_task(each.run())

    async def listed(self) -> None:
        """Wait for the first lists."""
        try:
            async with asyncio.timeout(LISTED_WITHIN):
                for each in self._followed:
                    await each.listed.wait()
        except TimeoutError:
            raise ApiServerError(
                "slow", f"the first lists have not arrived within {LISTED_WITHIN:g} s"
            ) from None


def _without_managed_fields(found: Object) -> Object:
    found["metadata"].pop("managedFields", None)
    return found


@asynccontextmanager
async def watched(
    api: Api, fold: Fold, namespace: str, deployment: Object
) -> AsyncGenerator[Watching, None]:
    """
    Watch while the block runs. The first lists are there at its start.

    Raises:
        FleetError: Something cannot be listed, or the block has raised it.
    """
    watching = Watching(api, fold, namespace, deployment)
    try:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(watching.run())
            await watching.listed()
            yield watching
            task.cancel()
    except BaseExceptionGroup as group:
        if (found := group.subgroup(FleetError)) is None:
            raise
        raise _first(found) from None


def _first(group: BaseExceptionGroup[FleetError]) -> FleetError:
    """Return one error of a group. Of several, for example during an outage, one is enough."""
    found: FleetError | BaseExceptionGroup[FleetError] = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found
