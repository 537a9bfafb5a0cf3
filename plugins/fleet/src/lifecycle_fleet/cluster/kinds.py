"""The kinds of objects that are read, and their paths on the API server."""

from __future__ import annotations

from typing import Final, NamedTuple

ALL: Final = ""
"""In place of a namespace: all namespaces."""


class Kind(NamedTuple):
    """
    One kind of namespaced objects.

    Attributes:
        name: The name of the kind, for example `Pod`.
        api: The beginning of the path, for example `/apis/apps/v1`.
        plural: The name in the path.
    """

    name: str
    api: str
    plural: str

    @property
    def group(self) -> str:
        """The API group. Empty for the core."""
        return self.api.split("/")[2] if self.api.startswith("/apis/") else ""

    def path(self, namespace: str = ALL, name: str = "") -> str:
        """Return the path of one object, or of all objects of a namespace, or of all namespaces."""
        where = f"/namespaces/{namespace}" if namespace else ""
        return f"{self.api}{where}/{self.plural}" + (f"/{name}" if name else "")


POD: Final = Kind("Pod", "/api/v1", "pods")
EVENT: Final = Kind("Event", "/api/v1", "events")
SERVICE: Final = Kind("Service", "/api/v1", "services")
DEPLOYMENT: Final = Kind("Deployment", "/apis/apps/v1", "deployments")
REPLICA_SET: Final = Kind("ReplicaSet", "/apis/apps/v1", "replicasets")
STATEFUL_SET: Final = Kind("StatefulSet", "/apis/apps/v1", "statefulsets")
DAEMON_SET: Final = Kind("DaemonSet", "/apis/apps/v1", "daemonsets")
JOB: Final = Kind("Job", "/apis/batch/v1", "jobs")
SLICE: Final = Kind("EndpointSlice", "/apis/discovery.k8s.io/v1", "endpointslices")
BUDGET: Final = Kind("PodDisruptionBudget", "/apis/policy/v1", "poddisruptionbudgets")
NODE: Final = Kind("Node", "/api/v1", "nodes")
"""A kind of the cluster, which has no namespace."""
