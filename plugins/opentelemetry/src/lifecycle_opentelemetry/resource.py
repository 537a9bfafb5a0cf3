"""
The resource: which app, and which pod, spans and metrics come from.

The names are those of OpenTelemetry's semantic conventions. `OTEL_RESOURCE_ATTRIBUTES` and
`OTEL_SERVICE_NAME` always win.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from opentelemetry.sdk.resources import OTELResourceDetector, Resource

from lifecycle_opentelemetry.text import bounded

SERVICE: Final = "service.name"
INSTANCE: Final = "service.instance.id"

_VARIABLES: Final = {
    "k8s.pod.name": "POD_NAME",
    "k8s.pod.uid": "POD_UID",
    "k8s.namespace.name": "POD_NAMESPACE",
    "k8s.node.name": "NODE_NAME",
}
"""For each attribute, the variable from the Downward API. `lifecycle manifests` writes some."""


def pod_attributes(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the attributes of the pod. Empty outside Kubernetes."""
    found = {
        name: bounded(environ[variable])
        for name, variable in _VARIABLES.items()
        if environ.get(variable)
    }
    namespace, pod = found.get("k8s.namespace.name"), found.get("k8s.pod.name")
    if namespace:
        found["service.namespace"] = namespace
    if pod:
        found[INSTANCE] = f"{namespace}.{pod}" if namespace else pod
    return found


def resource(environ: Mapping[str, str], services: Sequence[str]) -> Resource:
    """
    Return the resource for the providers of this plugin.

    Args:
        environ: The environment variables.
        services: The names of the app services. The first one is the default of `service.name`.
    """
    base = Resource.create()
    said = OTELResourceDetector().detect().attributes
    ours = pod_attributes(environ)
    if services:
        ours[SERVICE] = bounded(services[0])
    # The SDK has defaults for these two: `unknown_service`, and a random id.
    free = {name for name in (SERVICE, INSTANCE) if name not in said}
    missing = {
        name: value for name, value in ours.items() if name in free or name not in base.attributes
    }
    return base.merge(Resource(missing))
