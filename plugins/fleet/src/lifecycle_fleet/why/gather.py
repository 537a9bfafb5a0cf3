"""Reads the facts: what the API server has, what the pods answer, and what could not be read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from lifecycle_fleet.cluster.api import Api, Object
from lifecycle_fleet.cluster.kinds import (
    ALL,
    BUDGET,
    EVENT,
    NODE,
    POD,
    REPLICA_SET,
    SERVICE,
    SLICE,
    Kind,
)
from lifecycle_fleet.cluster.targets import Target, named, selector
from lifecycle_fleet.view.pod import REGISTERED
from lifecycle_fleet.why import events as event_lists
from lifecycle_fleet.why import rights
from lifecycle_fleet.why.answers import Answers
from lifecycle_fleet.why.ask import ask
from lifecycle_fleet.why.events import Event
from lifecycle_fleet.why.facts import Container, Facts
from lifecycle_fleet.why.reading import mapping, objects, part, text
from lifecycle_fleet.why.rights import NotThere, Reader, Right
from lifecycle_fleet.why.rules.probe_failures import troubled
from lifecycle_fleet.why.workload import Workload

MOST: Final = 20
"""Pods of a Deployment that are looked at."""
AT_ONCE: Final = 5
"""Pods that are asked at the same time."""
LINES: Final = 20
"""Lines of a log that are read."""


class Gatherer:
    """
    Reads the facts about pods of one namespace.

    Args:
        api: The API server.
        namespace: The namespace.
        now: The time, in seconds since the epoch.
        commands: Whether commands may be run in the containers.
    """

    def __init__(self, api: Api, namespace: str, now: float, *, commands: bool = True) -> None:
        self._api = api
        self._namespace = namespace
        self._now = now
        self._commands = commands
        self._reader = Reader()
        self._limit = asyncio.Semaphore(AT_ONCE)
        self._nodes: dict[str, Object | None] = {}

    async def pod(self, target: Target) -> Facts:
        """
        Return the facts about one pod.

        Raises:
            TargetError: There is no such pod.
            ApiServerError: The pod cannot be read.
        """
        pod = await named(self._api, self._namespace, target)
        uid = text(pod, "metadata", "uid")
        async with asyncio.TaskGroup() as group:
            shared = group.create_task(self._shared())
            noted = group.create_task(self._events(f"involvedObject.uid={uid}"))
        facts = replace(shared.result(), pod=pod, events=noted.result())
        return self._with_missing(await self._complete(facts))

    async def deployment(self, target: Target) -> Workload:
        """
        Return the facts about one Deployment and its pods.

        Raises:
            TargetError: There is no such Deployment.
            ApiServerError: The Deployment or its pods cannot be read.
        """
        deployment = await named(self._api, self._namespace, target)
        chosen = selector(deployment)
        async with asyncio.TaskGroup() as group:
            pods = group.create_task(self._api.list(POD, self._namespace, labels=chosen))
            sets = group.create_task(self._listed(rights.REPLICA_SETS, REPLICA_SET, chosen))
            shared = group.create_task(self._shared())
            noted = group.create_task(self._events(""))
        uid = text(deployment, "metadata", "uid")
        mine = tuple(each for each in sets.result() if _owner(each) == uid)
        workload = Workload(deployment=deployment, now=self._now, replica_sets=mine)
        owners = {text(each, "metadata", "uid") for each in mine}
        all_pods = [
            replace(shared.result(), pod=each, events=_about(noted.result(), each))
            for each in pods.result()[1]
            if not owners or _owner(each) in owners
        ]
        all_pods = [each for each in all_pods if not each.over]  # already replaced
        all_pods.sort(key=lambda each: (each.ready and not each.leaving, workload.place(each)))
        looked_at, start = all_pods[:MOST], _longest_start(all_pods)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._complete(replace(each, start=start))) for each in looked_at
            ]
        return replace(
            workload,
            pods=tuple(self._with_missing(each.result()) for each in tasks),
            events=tuple(each for each in noted.result() if each.uid in {uid, *owners}),
            more=len(all_pods) - len(looked_at),
            missing=tuple(self._reader.missing),
        )

    async def _shared(self) -> Facts:
        """Read what all pods of the namespace share."""
        async with asyncio.TaskGroup() as group:
            services = group.create_task(self._listed(rights.SERVICES, SERVICE))
            slices = group.create_task(self._listed(rights.SLICES, SLICE))
            budgets = group.create_task(self._listed(rights.BUDGETS, BUDGET))
        return Facts(
            pod={},
            now=self._now,
            services=services.result(),
            slices=slices.result(),
            budgets=budgets.result(),
        )

    async def _listed(self, right: Right, kind: Kind, chosen: str = "") -> tuple[Object, ...]:
        asked = self._api.list(kind, self._namespace, labels=chosen)
        return tuple((await self._reader.read(right, asked, ("", [])))[1])

    async def _events(self, fields: str) -> tuple[Event, ...]:
        asked = self._api.list(EVENT, self._namespace, fields=fields)
        return event_lists.read((await self._reader.read(rights.EVENTS, asked, ("", [])))[1])

    async def _complete(self, facts: Facts) -> Facts:
        """Read what concerns one pod only."""
        async with self._limit, asyncio.TaskGroup() as group:
            node = group.create_task(self._node(text(facts.spec, "nodeName")))
            asked = group.create_task(self._asked(facts))
            lines = group.create_task(self._logs(facts))
        facts = replace(facts, node=node.result(), answers=asked.result(), logs=lines.result())
        unset = REGISTERED in facts.gates and facts.condition(REGISTERED) != "True"
        if unset and not facts.answers.status and not facts.leaving:
            return replace(facts, may_register=await self._may_register(facts))
        return facts

    async def _asked(self, facts: Facts) -> Answers:
        return await ask(self._api, facts, self._reader) if self._commands else Answers()

    async def _node(self, name: str) -> Object | None:
        if not name:
            return {}
        if name not in self._nodes:
            try:
                asked = self._api.get(NODE, ALL, name)
                self._nodes[name] = await self._reader.read(rights.NODES, asked, {})
            except NotThere:
                self._nodes[name] = None
        return self._nodes[name]

    async def _logs(self, facts: Facts) -> dict[str, tuple[str, ...]]:
        found = {}
        for each in (*facts.init_containers, *facts.containers):
            if troubled(facts, each) and not facts.leaving:
                found[each.name] = await self._log(facts, each)
        return found

    async def _log(self, facts: Facts, container: Container) -> tuple[str, ...]:
        is_over = bool(mapping(container.status, "state", "terminated"))
        asked = self._api.logs(
            facts.namespace, facts.name, container.name, previous=not is_over, lines=LINES
        )
        try:
            return tuple((await self._reader.read(rights.LOGS, asked, "")).splitlines())
        except NotThere:
            return ()  # the node keeps no log of that run

    async def _may_register(self, facts: Facts) -> bool | None:
        account = text(facts.spec, "serviceAccountName") or "default"
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{facts.namespace}")
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "LocalSubjectAccessReview",
            "metadata": {"namespace": facts.namespace},
            "spec": {
                "user": f"system:serviceaccount:{facts.namespace}:{account}",
                "groups": [*groups, "system:authenticated"],
                "resourceAttributes": {
                    "namespace": facts.namespace,
                    "verb": "patch",
                    "resource": "pods",
                    "subresource": "status",
                    "name": facts.name,
                },
            },
        }
        path = f"/apis/authorization.k8s.io/v1/namespaces/{facts.namespace}"
        asked = self._api.create(f"{path}/localsubjectaccessreviews", review)
        answer = await self._reader.read(rights.REVIEWS, asked, {})
        allowed = part(answer, "status", "allowed")
        return allowed if isinstance(allowed, bool) else None

    def _with_missing(self, facts: Facts) -> Facts:
        return replace(facts, missing=tuple(self._reader.missing))


def _owner(found: Object) -> str:
    owners = objects(found, "metadata", "ownerReferences")
    return next((text(each, "uid") for each in owners if each.get("controller") is True), "")


def _about(noted: Iterable[Event], pod: Object) -> tuple[Event, ...]:
    uid = text(pod, "metadata", "uid")
    return tuple(each for each in noted if each.uid == uid)


def _longest_start(pods: Iterable[Facts]) -> float | None:
    starts = [each.told.start for each in pods if each.told is not None]
    return max((each for each in starts if each is not None), default=None)
