"""What the fake API server stores: objects with versions, and the history of their changes."""

from __future__ import annotations

import copy
import threading
import uuid
from collections.abc import Callable
from typing import Any, Final, NamedTuple

Object = dict[str, Any]
Wanted = Callable[[Object], bool]
Name = tuple[str, str, str]
"""The plural of the kind, the namespace (empty for an object of the cluster), and the name."""

APIS: Final = {
    "pods": ("v1", "Pod"),
    "events": ("v1", "Event"),
    "services": ("v1", "Service"),
    "nodes": ("v1", "Node"),
    "namespaces": ("v1", "Namespace"),
    "configmaps": ("v1", "ConfigMap"),
    "persistentvolumeclaims": ("v1", "PersistentVolumeClaim"),
    "deployments": ("apps/v1", "Deployment"),
    "replicasets": ("apps/v1", "ReplicaSet"),
    "statefulsets": ("apps/v1", "StatefulSet"),
    "daemonsets": ("apps/v1", "DaemonSet"),
    "jobs": ("batch/v1", "Job"),
    "endpointslices": ("discovery.k8s.io/v1", "EndpointSlice"),
    "poddisruptionbudgets": ("policy/v1", "PodDisruptionBudget"),
    "roles": ("rbac.authorization.k8s.io/v1", "Role"),
    "rolebindings": ("rbac.authorization.k8s.io/v1", "RoleBinding"),
    "clusterroles": ("rbac.authorization.k8s.io/v1", "ClusterRole"),
    "clusterrolebindings": ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
}
"""The version and the kind of each plural that is served."""


class Change(NamedTuple):
    """One change: the object before, and after. A deleted one has a last version of its own."""

    version: int
    name: Name
    old: Object | None
    new: Object
    deleted: bool = False


class Conflict(Exception):
    """The object has another version."""


class Store:
    """
    Objects by name. Every method may be called from any thread.

    Attributes:
        objects: The objects. Change them by `put`, `patch` and `delete` only.
        version: The version of the last change.
        oldest: The oldest version that a watch may start at.
        on_change: Called after each change.
    """

    def __init__(self) -> None:
        self.objects: dict[Name, Object] = {}
        self.version = 1000
        self.oldest = 0
        self.on_change: Callable[[], object] = lambda: None
        self._history: list[Change] = []
        self._lock = threading.RLock()

    def put(self, plural: str, thing: Object) -> Object:
        """Create an object, or replace it. Returns it as it is stored."""
        api, kind = APIS[plural]
        with self._lock:
            new = {"apiVersion": api, "kind": kind} | copy.deepcopy(thing)
            metadata = new["metadata"]
            name = (plural, metadata.get("namespace", ""), metadata["name"])
            old = self.objects.get(name)
            metadata.setdefault("uid", old["metadata"]["uid"] if old else str(uuid.uuid4()))
            metadata.setdefault("creationTimestamp", "2026-01-02T03:04:05Z")
            return self._store(name, new)

    def patch(self, plural: str, namespace: str, name: str, change: Object) -> Object:
        """
        Change an object by a merge patch, and return it.

        Raises:
            KeyError: There is none.
            Conflict: The patch names another version.
        """
        with self._lock:
            old = self.objects[plural, namespace, name]
            wanted = change.get("metadata", {}).get("resourceVersion")
            if wanted not in (None, old["metadata"]["resourceVersion"]):
                raise Conflict
            return self._store((plural, namespace, name), merged(old, change))

    def delete(self, plural: str, namespace: str, name: str) -> Object:
        """Delete an object, and return it, or raise KeyError."""
        with self._lock:
            old = self.objects.pop((plural, namespace, name))
            return self._record((plural, namespace, name), old, old, deleted=True)

    def forget_history(self) -> None:
        """Let each watch that starts at an older version than now be answered with 410."""
        with self._lock:
            self.version += 1
            self.oldest = self.version
            self._history.clear()

    def select(self, plural: str, namespace: str, wanted: Wanted) -> tuple[int, list[Object]]:
        """Return the version, and the objects of a namespace, or of all (empty), by name."""
        with self._lock:
            return self.version, [
                copy.deepcopy(each)
                for name, each in sorted(self.objects.items())
                if name[0] == plural and namespace in ("", name[1]) and wanted(each)
            ]

    def events(
        self, plural: str, namespace: str, version: int, wanted: Wanted
    ) -> tuple[int, list[tuple[str, Object]]]:
        """Return the last version, and the events after a version as a watch sends them."""
        with self._lock:
            found = []
            for each in self._history:
                if each.version <= version or each.name[0] != plural:
                    continue
                if namespace not in ("", each.name[1]):
                    continue
                before = each.old is not None and wanted(each.old)
                after = not each.deleted and wanted(each.new)
                if before or after:
                    kind = "DELETED" if not after else "MODIFIED" if before else "ADDED"
                    found.append((kind, copy.deepcopy(each.new)))
            return self.version, found

    def _store(self, name: Name, new: Object) -> Object:
        old = self.objects.get(name)
        self.objects[name] = new
        return self._record(name, old, new)

    def _record(
        self, name: Name, old: Object | None, new: Object, *, deleted: bool = False
    ) -> Object:
        self.version += 1
        new = copy.deepcopy(new)
        new["metadata"]["resourceVersion"] = str(self.version)
        if not deleted:
            self.objects[name] = new
        self._history.append(Change(self.version, name, old, new, deleted))
        self.on_change()
        return copy.deepcopy(new)


def merged(old: Any, change: Any) -> Any:
    """Return a value after a JSON merge patch (RFC 7396)."""
    if not isinstance(change, dict):
        return copy.deepcopy(change)
    found = dict(old) if isinstance(old, dict) else {}
    for name, value in change.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = merged(found.get(name), value)
    return found
