"""
The watches of the server: one for each kind, whatever the number of readers.

Rules of this file:

1. Without the right to list pods there is nothing to show, so the start fails. Without the right to
   list EndpointSlices or Events, a part is missing, and the log says which.
2. If the API server does not answer, the server tries again without a limit, at the start too.
   `startupProbe` is the deadline of a start.
3. After the first list, nothing that happens here ends the server. It shows the last view, and says
   that this view is old.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import lifecycle
from lifecycle_fleet.cluster.api import Api
from lifecycle_fleet.cluster.failures import EXPIRED
from lifecycle_fleet.cluster.follow import Followed, pause
from lifecycle_fleet.cluster.kinds import EVENT, POD, SLICE, Kind
from lifecycle_fleet.errors import ApiServerError
from lifecycle_fleet.listing.missing import HOOK_FAILED
from lifecycle_fleet.serve.fleet import Fleet
from lifecycle_fleet.serve.shapes import SHAPES
from lifecycle_fleet.view import pruned

AGAIN: Final = ("unreachable", "slow", "connection lost", "throttled", "broken", EXPIRED)
"""The failures after which it is right to ask again at the start. Waiting does not fix the others."""


class Logger(Protocol):
    """The log."""

    def info(self, event: str, **fields: object) -> None:
        """Log an event that is part of normal work."""

    def warning(self, event: str, **fields: object) -> None:
        """Log an event that a person should look at."""

    def error(self, event: str, **fields: object) -> None:
        """Log a failure."""


class Watches:
    """
    The watches.

    Args:
        api: The API server.
        fleet: Takes the changes.
        log: The log.
        namespace: A namespace, or empty for all.
        labels: A label selector for pods, as kubectl takes it.
        on_link: Called when `problems` has changed.

    Attributes:
        problems: Why a kind is not watched at the moment, by its plural.
        missing: The plurals of the kinds that may not be listed.
    """

    def __init__(
        self,
        api: Api,
        fleet: Fleet,
        log: Logger,
        namespace: str,
        labels: str,
        *,
        on_link: Callable[[], object] = lambda: None,
    ) -> None:
        self.problems: dict[str, str] = {}
        self.missing: list[str] = []
        self._log = log
        self._fleet = fleet
        self._on_link = on_link
        self._since: dict[str, float] = {}

        def followed(
            kind: Kind, keep: Callable[..., Any], on_change: Callable[..., Any], **selected: str
        ) -> Followed:
            return Followed(
                api,
                kind,
                namespace,
                keep=self._guarded(kind, keep, _name_only),
                shape=SHAPES[kind],
                on_change=self._guarded(kind, on_change),
                on_problem=lambda problem: self._say(kind.plural, problem),
                **selected,
            )

        self._pods = followed(POD, pruned.pod, fleet.pod, labels=labels)
        self._slices = followed(SLICE, pruned.piece, fleet.piece)
        self._events = followed(EVENT, pruned.event, fleet.hook_failed, fields=HOOK_FAILED)

    @property
    def lists(self) -> Mapping[str, int]:
        """How many lists were requested, by plural."""
        return {each.kind.plural: each.lists for each in (self._pods, self._slices, self._events)}

    @property
    def watching(self) -> Mapping[str, bool]:
        """Whether each kind is watched now, by plural."""
        return {
            plural: plural not in self.problems and plural not in self.missing
            for plural in self.lists
        }

    async def run(self, ready: Callable[[], object]) -> None:
        """
        Watch forever.

        Args:
            ready: Called when every first list is here.

        Raises:
            ApiServerError: Pods cannot be listed, and waiting does not help. In a group.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow(self._slices))
            tasks.create_task(self._follow(self._pods))
            await self._slices.listed.wait()
            await self._pods.listed.wait()
            tasks.create_task(self._follow(self._events))  # they are about pods that are known
            await self._events.listed.wait()
            ready()

    def _guarded(
        self, kind: Kind, function: Callable[..., Any], instead: Callable[..., Any] | None = None
    ) -> Callable[..., Any]:
        """Let an object that nobody has thought of harm no other one."""

        def guarded(*objects: Any) -> Any:
            try:
                return function(*objects)
            except Exception as error:  # noqa: BLE001 - whatever it is
                problem = f"{type(error).__name__}: {error}"
                self._log.error(
                    "watch failed",
                    kind=kind.plural,
                    problem=problem,
                    see=lifecycle.LifecycleError(see="errors.md#fleet-watch").see,
                )
                return instead(*objects) if instead is not None else None

        return guarded

    async def _follow(self, followed: Followed) -> None:
        failures = 0
        while True:
            try:
                await followed.run()
            except ApiServerError as error:
                if error.state not in AGAIN:
                    if followed is self._pods:
                        raise
                    self._do_without(followed, str(error))
                    return
                self._say(followed.kind.plural, str(error))
            failures += 1
            await asyncio.sleep(pause(failures))

    def _do_without(self, followed: Followed, problem: str) -> None:
        plural = followed.kind.plural
        self.missing.append(plural)
        self._fleet.unknown(slices=followed is self._slices, hooks=followed is self._events)
        self._say(plural, "")
        self._log.warning(
            "watch not allowed",
            kind=plural,
            problem=problem,
            see=lifecycle.LifecycleError(see="errors.md#fleet-watch").see,
        )
        followed.listed.set()

    def _say(self, plural: str, problem: str) -> None:
        before = self.problems.pop(plural, "")
        if problem:
            self.problems[plural] = problem
        if problem and not before:
            self._since[plural] = time.monotonic()
            self._log.warning(
                "watch lost",
                kind=plural,
                problem=problem,
                see=lifecycle.LifecycleError(see="errors.md#fleet-watch").see,
            )
        elif before and not problem:
            seconds = round(time.monotonic() - self._since.pop(plural), 1)
            self._log.info("watch restored", kind=plural, seconds=seconds)
        if problem != before:
            self._on_link()


def _name_only(found: dict[str, Any]) -> dict[str, Any]:
    metadata = found["metadata"]
    return {"metadata": {name: metadata[name] for name in ("namespace", "name")}}
