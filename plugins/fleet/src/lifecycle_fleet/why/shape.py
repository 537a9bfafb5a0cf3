"""A pod with the types that the module `view` relies on, whatever the types of its fields are. Pure."""

from __future__ import annotations

from lifecycle_fleet.view.container import PROBES
from lifecycle_fleet.why.reading import Object, labels, mapping, objects, part, text, texts


def shaped(pod: Object) -> Object:
    """Return the parts of a pod that show where pod-lifecycle runs, and since when."""
    return {
        "metadata": {"annotations": labels(pod, "metadata", "annotations")},
        "spec": {"containers": [_container(each) for each in objects(pod, "spec", "containers")]},
        "status": {
            "containerStatuses": [
                {"name": text(each, "name"), "state": {"running": _running(each)}}
                for each in objects(pod, "status", "containerStatuses")
            ]
        },
    }


def _running(status: Object) -> Object | None:
    found = mapping(status, "state", "running")
    return {"startedAt": text(found, "startedAt")} if found else None


def _container(spec: Object) -> Object:
    hook = mapping(spec, "lifecycle", "preStop")
    return {
        "name": text(spec, "name"),
        "command": texts(spec, "command"),
        "args": texts(spec, "args"),
        "env": [_pair(each, "name", "value") for each in objects(spec, "env")],
        "ports": [_pair(each, "name", "containerPort") for each in objects(spec, "ports")],
        "lifecycle": {
            "preStop": {
                "exec": {"command": texts(hook, "exec", "command")},
                "httpGet": {"path": text(hook, "httpGet", "path")},
            }
        },
        **{
            kind: {"httpGet": _pair(mapping(spec, kind, "httpGet"), "path", "port")}
            for kind in PROBES
        },
    }


def _pair(found: Object, *names: str) -> Object:
    """Return two fields, if they are texts or numbers."""
    values = {name: part(found, name) for name in names}
    return {name: value for name, value in values.items() if isinstance(value, (str, int))}
