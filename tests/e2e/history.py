"""
Every version of an object that the API server has stored, those that no watch has seen too.

A watch ends when its API server does. What was written is kept: a list "at exactly" a revision
reads it from etcd, which forgets it after 5 minutes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from lifecycle.manifests.names import REGISTERED
from tests.cluster.cluster import Cluster
from tests.e2e.kit import Space

Object = dict[str, Any]


@dataclass(frozen=True)
class Stay:
    """
    What the versions of a namespace's only pod and only EndpointSlice say, each value once.

    Attributes:
        registered: The statuses of the registry's condition, each with its lastTransitionTime.
        ready: Those of Ready, likewise.
        found: Whether the slice has the pod as a ready endpoint.
    """

    registered: set[tuple[str, str]]
    ready: set[tuple[str, str]]
    found: set[bool]

    def assert_in(self) -> None:
        """The provider was in, all the time."""
        for statuses in (self.registered, self.ready):
            assert [status for status, _ in statuses] == ["True"], self
        assert self.found == {True}, self


class History:
    """What has become of a namespace's only pod and only EndpointSlice since this was made."""

    def __init__(self, cluster: Cluster, space: Space) -> None:
        self._cluster = cluster
        self._pods = f"/api/v1/namespaces/{space.name}/pods"
        self._slices = f"/apis/discovery.k8s.io/v1/namespaces/{space.name}/endpointslices"
        self._since = int(self._list(self._pods)["metadata"]["resourceVersion"])

    def stay(self) -> Stay:
        """Return what they have been until now."""
        held = [_conditions(pod) for pod in self._versions(self._pods)]
        return Stay(
            registered={_since(each[REGISTERED]) for each in held},
            ready={_since(each["Ready"]) for each in held},
            found={_is_found(piece) for piece in self._versions(self._slices)},
        )

    def _versions(self, collection: str) -> list[Object]:
        """Return an object's versions, the newest first, the one of the beginning last."""
        versions = [self._only(collection)]
        while (revision := int(versions[-1]["metadata"]["resourceVersion"])) > self._since:
            before = f"?resourceVersionMatch=Exact&resourceVersion={revision - 1}"
            versions.append(self._only(collection + before))
        return versions

    def _only(self, path: str) -> Object:
        found: list[Object] = self._list(path)["items"]
        assert len(found) == 1, f"{path}: {found}"
        return found[0]

    def _list(self, path: str) -> Object:
        answer = self._cluster.get(path)
        assert answer, f"the API server answers {path}"
        found: Object = json.loads(answer)
        return found


def _conditions(pod: Object) -> dict[str, Object]:
    return {each["type"]: each for each in pod["status"]["conditions"]}


def _since(condition: Object) -> tuple[str, str]:
    return condition["status"], condition["lastTransitionTime"]


def _is_found(piece: Object) -> bool:
    return [each["conditions"]["ready"] for each in piece["endpoints"] or ()] == [True]
