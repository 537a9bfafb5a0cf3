"""
The parts of objects that a list and the server keep in memory. Pure.

A pod of the API server has 10 kB of JSON or more, of which `view` needs a twentieth. The rest is
thrown away at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from sys import intern
from typing import Any, Final

from lifecycle_fleet.view.container import QOS_NAME, app_container
from lifecycle_fleet.view.listing import time_of_event
from lifecycle_fleet.view.pod import REGISTERED
from lifecycle_fleet.view.told import ANNOTATION, MOST, read

Object = dict[str, Any]

LABELS: Final = ("pod-template-hash", "controller-revision-hash")
CONDITIONS: Final = ("Ready", REGISTERED)
_PORTS: Final = [{"name": QOS_NAME}]
"""What is left of a container in which pod-lifecycle is seen to run: by this it is seen again."""
_RUNNING: Final = {"startedAt": "-"}


def pod(found: Object) -> Object:
    """Return what `view` needs of a pod."""
    metadata, spec = found["metadata"], found.get("spec") or {}
    status = found.get("status") or {}
    gates = [
        {"conditionType": REGISTERED}
        for each in spec.get("readinessGates") or ()
        if each.get("conditionType") == REGISTERED
    ]
    containers = [_container(each) for each in status.get("containerStatuses") or ()]
    kept = _metadata(metadata)
    told = read(kept)
    ours = app_container(found, told.qos_port if told is not None else None)
    return {
        "metadata": kept,
        "spec": _with(
            nodeName=_shared(spec.get("nodeName")),
            readinessGates=gates,
            containers=[{"name": _shared(ours), "ports": _PORTS}] if ours else None,
        ),
        "status": _with(
            phase=_shared(status.get("phase")),
            reason=_shared(status.get("reason")),
            conditions=_conditions(status.get("conditions") or ()),
            containerStatuses=containers,
        ),
    }


def _metadata(metadata: Object) -> Object:
    told = (metadata.get("annotations") or {}).get(ANNOTATION)
    labels = metadata.get("labels") or {}
    owners = [
        _part(each, ("kind", "name", "controller"))
        for each in metadata.get("ownerReferences") or ()
        if each.get("controller")
    ]
    return _with(
        namespace=_shared(metadata.get("namespace")),
        name=metadata["name"],
        uid=metadata.get("uid"),
        creationTimestamp=_shared(metadata.get("creationTimestamp")),
        deletionTimestamp=metadata.get("deletionTimestamp"),
        annotations={ANNOTATION: told} if told and len(told) <= MOST else None,
        labels=_part(labels, LABELS),
        ownerReferences=owners,
    )


def _conditions(conditions: Iterable[Object]) -> list[Object]:
    wanted = (each for each in conditions if each.get("type") in CONDITIONS)
    return [_part(each, ("type", "status")) for each in wanted]


def _container(each: Object) -> Object:
    return _with(
        name=_shared(each.get("name")),
        restartCount=each.get("restartCount"),
        state=_ended(each.get("state") or {}),
        lastState=_ended(each.get("lastState") or {}),
    )


def _ended(state: Object) -> Object:
    ended, waiting = state.get("terminated"), state.get("waiting")
    return _with(
        running=_RUNNING if state.get("running") else None,
        waiting=_part(waiting, ("reason",)) if waiting else None,
        terminated=_part(ended, ("exitCode", "reason", "startedAt", "finishedAt"))
        if ended
        else None,
    )


def piece(found: Object) -> Object:
    """Return what `Endpoints` needs of an EndpointSlice."""
    endpoints = [
        {
            "conditions": _part(each.get("conditions") or {}, ("ready",)),
            "targetRef": {"kind": "Pod", "name": each["targetRef"]["name"]},
        }
        for each in found.get("endpoints") or ()
        if (each.get("targetRef") or {}).get("kind") == "Pod" and each["targetRef"].get("name")
    ]
    return {
        "metadata": _part(found["metadata"], ("namespace", "name")),
        "endpoints": endpoints,
    }


def event(found: Object) -> Object:
    """Return what is needed of an Event: the pod, and when it has happened last."""
    return {
        "metadata": _part(found["metadata"], ("namespace", "name")),
        "involvedObject": _part(found.get("involvedObject") or {}, ("name", "uid")),
        "at": time_of_event(found),
    }


def _part(found: Mapping[str, Any], names: Iterable[str]) -> Object:
    return {name: _shared(found[name]) for name in names if found.get(name) is not None}


def _with(**values: Any) -> Object:
    """Return the values that are there."""
    return {name: value for name, value in values.items() if value}


def _shared(value: Any) -> Any:
    """Return a text of which many objects have the same as one object in memory."""
    return intern(value) if type(value) is str and len(value) < 100 else value
