"""Objects as a real API server has them, and answers as a real pod has them."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from typing import Any

from lifecycle_fleet.why.answers import Answers
from lifecycle_fleet.why.events import read as events_of
from lifecycle_fleet.why.facts import Facts

NOW = 1_796_000_000.0
NS = "shop"
NAME = "orders-5d9c7b6f4-x2x8k"
HASH = "5d9c7b6f4"
UID = "6f0f2f53-4a7e-4d3b-9b57-0c3a4c8f1d11"
OPEN = {8080: True, 22222: True}

Object = dict[str, Any]


def at(seconds: float) -> str:
    """A time of the API server, so many seconds ago."""
    return datetime.fromtimestamp(NOW - seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def condition(name: str, status: str, ago: float = 60, **more: str) -> Object:
    return {"type": name, "status": status, "lastTransitionTime": at(ago), **more}


def conditions(
    *, ready: bool, containers: bool | None = None, gate: bool | None = True
) -> list[Object]:
    containers = ready if containers is None else containers
    found = [
        condition("PodReadyToStartContainers", "True"),
        condition("Initialized", "True"),
        condition("Ready", str(ready), **({} if ready else {"reason": "ContainersNotReady"})),
        condition("ContainersReady", str(containers)),
        condition("PodScheduled", "True"),
    ]
    if gate is not None:
        found.insert(0, condition("pod-lifecycle.dev/registered", str(gate)))
    return found


def running(
    name: str = "orders", *, ready: bool = True, started: bool = True, ago: float = 60
) -> Object:
    return {
        "name": name,
        "ready": ready,
        "started": started,
        "restartCount": 0,
        "image": "registry.example/orders:1",
        "imageID": "registry.example/orders@sha256:1",
        "containerID": "containerd://1",
        "lastState": {},
        "state": {"running": {"startedAt": at(ago)}},
    }


def waiting(reason: str, message: str = "", *, name: str = "orders", **more: Any) -> Object:
    state = {"waiting": {"reason": reason, "message": message}}
    return running(name, ready=False, started=False) | {"state": state} | more


def terminated(code: int, reason: str = "Error", *, ago: float = 5, ran: float = 3) -> Object:
    times = {"startedAt": at(ago + ran), "finishedAt": at(ago)}
    return {"terminated": {"exitCode": code, "reason": reason, **times}}


def crashed(code: int, reason: str = "Error", *, name: str = "orders", ran: float = 3) -> Object:
    message = "back-off 20s restarting failed container=orders pod=orders_shop(1)"
    last = terminated(code, reason, ran=ran)
    return waiting("CrashLoopBackOff", message, name=name, restartCount=3, lastState=last)


def probe(path: str, port: Any = "qos", **settings: int) -> Object:
    return {
        "httpGet": {"path": path, "port": port, "scheme": "HTTP"},
        "timeoutSeconds": 1,
        **settings,
    }


def app_container() -> Object:
    return {
        "name": "orders",
        "image": "registry.example/orders:1",
        "imagePullPolicy": "IfNotPresent",
        "command": ["lifecycle", "run", "--asgi", "orders:app", "--bind", "0.0.0.0:8080"],
        "env": [
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "LIFECYCLE_SERVICES", "value": "orders:8080"},
            {"name": "LIFECYCLE_GRACE_PERIOD", "value": "30"},
        ],
        "ports": [
            {"name": "port-8080", "containerPort": 8080, "protocol": "TCP"},
            {"name": "qos", "containerPort": 22222, "protocol": "TCP"},
        ],
        "startupProbe": probe("/startup", periodSeconds=1, failureThreshold=120),
        "readinessProbe": probe("/ready", periodSeconds=2, failureThreshold=1),
        "livenessProbe": probe("/live", periodSeconds=10, failureThreshold=3),
        "lifecycle": {"preStop": {"exec": {"command": ["lifecycle", "prestop"]}}},
        "resources": {"requests": {"cpu": "250m"}, "limits": {"memory": "256Mi"}},
        "volumeMounts": [
            {
                "name": "kube-api-access-x",
                "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
            }
        ],
    }


def pod(
    *statuses: Object,
    ready: bool = True,
    gate: bool | None = True,
    containers: bool | None = None,
    phase: str = "Running",
    told: Object | None = None,
    age: float = 300,
    **metadata: Any,
) -> Object:
    """A pod of ours, as `lifecycle manifests` writes it."""
    annotations = {} if told is None else {"pod-lifecycle.dev/status": json.dumps(told)}
    owner = {"kind": "ReplicaSet", "name": f"orders-{HASH}", "uid": "rs-1", "controller": True}
    return {
        "metadata": {
            "namespace": NS,
            "name": NAME,
            "uid": UID,
            "creationTimestamp": at(age),
            "labels": {"app.kubernetes.io/name": "orders", "pod-template-hash": HASH},
            "annotations": annotations,
            "ownerReferences": [owner],
            **metadata,
        },
        "spec": {
            "nodeName": "node-1",
            "serviceAccountName": "orders",
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 30,
            "readinessGates": [{"conditionType": "pod-lifecycle.dev/registered"}],
            "containers": [app_container()],
        },
        "status": {
            "phase": phase,
            "podIP": "10.0.0.7",
            "conditions": conditions(ready=ready, containers=containers, gate=gate),
            "containerStatuses": list(statuses) or [running()],
        },
    }


def leaving(since: float, grace: int = 30, **more: Any) -> Object:
    return {"deletionTimestamp": at(since - grace), "deletionGracePeriodSeconds": grace, **more}


TOLD = {
    "state": "ready",
    "since": NOW - 60,
    "cause": "ready",
    "version": "0.2.0",
    "settle": 5,
    "grace": 30,
    "start": 3.2,
    "online": ["orders"],
    "offline": [],
    "qos_port": 22222,
}


def foreign(*statuses: Object, ready: bool = True, phase: str = "Running") -> Object:
    """A pod of nginx, without anything of ours."""
    found = pod(*(statuses or (running("web"),)), ready=ready, gate=None, phase=phase)
    spec = found["spec"]
    del spec["readinessGates"]
    found["metadata"]["labels"] = {"app": "web", "pod-template-hash": HASH}
    found["metadata"]["ownerReferences"][0]["name"] = f"web-{HASH}"
    spec["serviceAccountName"] = "default"
    spec["containers"] = [
        {
            "name": "web",
            "image": "nginx:1.27",
            "ports": [{"containerPort": 80, "protocol": "TCP"}],
            "readinessProbe": probe("/healthz", 80, periodSeconds=5, failureThreshold=3),
            "livenessProbe": probe("/healthz", 80, periodSeconds=10, failureThreshold=3),
        }
    ]
    return found


def service(
    name: str = "orders", target: Any = "port-8080", labels: dict[str, str] | None = None
) -> Object:
    wanted = {"app.kubernetes.io/name": "orders"} if labels is None else labels
    return {
        "metadata": {"namespace": NS, "name": name},
        "spec": {
            "type": "ClusterIP",
            "selector": wanted,
            "ports": [{"name": "http", "port": 80, "targetPort": target, "protocol": "TCP"}],
        },
    }


def piece(
    name: str = "orders", *, ready: bool | None = True, pods: tuple[str, ...] = (NAME,)
) -> Object:
    """An EndpointSlice."""
    return {
        "metadata": {
            "namespace": NS,
            "name": f"{name}-abcde",
            "labels": {"kubernetes.io/service-name": name},
        },
        "endpoints": [
            {
                "addresses": ["10.0.0.7"],
                "conditions": {"ready": ready, "serving": ready, "terminating": False},
                "targetRef": {"kind": "Pod", "namespace": NS, "name": each},
            }
            for each in pods
        ],
    }


def budget(
    allowed: int = 1, healthy: int = 2, desired: int = 1, expected: int = 2, **spec: Any
) -> Object:
    selector = {"matchLabels": {"app.kubernetes.io/name": "orders"}}
    return {
        "metadata": {"namespace": NS, "name": "orders", "generation": 1},
        "spec": {"selector": selector, "maxUnavailable": 1, **spec},
        "status": {
            "observedGeneration": 1,
            "disruptionsAllowed": allowed,
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "expectedPods": expected,
        },
    }


def node(ready: str = "True", *, cordoned: bool = False, beat: float = 5) -> Object:
    message = {
        "True": "kubelet is posting ready status",
        "Unknown": "Kubelet stopped posting node status.",
    }.get(ready, "container runtime is down")
    return {
        "metadata": {"name": "node-1"},
        "spec": {"unschedulable": True} if cordoned else {},
        "status": {
            "conditions": [
                condition("Ready", ready, message=message, lastHeartbeatTime=at(beat)),
            ]
        },
    }


def event(
    reason: str,
    message: str,
    *,
    ago: float = 4,
    container: str = "orders",
    count: int = 3,
    **more: Any,
) -> Object:
    path = {"fieldPath": f"spec.containers{{{container}}}"} if container else {}
    return {
        "metadata": {"namespace": NS, "name": f"{NAME}.{reason}.{ago}"},
        "involvedObject": {"kind": "Pod", "namespace": NS, "name": NAME, "uid": UID, **path},
        "reason": reason,
        "message": message,
        "type": "Warning",
        "count": count,
        "firstTimestamp": at(ago + 60),
        "lastTimestamp": at(ago),
        "source": {"component": "kubelet", "host": "node-1"},
        **more,
    }


def unhealthy(kind: str, said: str, **more: Any) -> Object:
    return event("Unhealthy", f"{kind} probe failed: {said}", **more)


def refused(port: int, path: str = "/ready") -> str:
    return (
        f'Get "http://10.0.0.7:{port}{path}": dial tcp 10.0.0.7:{port}: connect: connection refused'
    )


def status(state: str = "ready", **more: Any) -> Object:
    """The answer of `lifecycle status --json`."""
    ok = state == "ready"
    return {
        "state": state,
        "since": NOW - 60,
        "in_flight": 0,
        "services": [exported()] if ok else [],
        "probes": [
            {"kind": "readiness", "name": "state", "ok": ok, "ms": 0.0, "reason": "", "age": 0.1},
            {
                "kind": "readiness",
                "name": "services",
                "ok": True,
                "ms": 0.0,
                "reason": "",
                "age": 0,
            },
            {"kind": "readiness", "name": "loop", "ok": True, "ms": 0.0, "reason": "", "age": 0.1},
        ],
        "transitions": [],
        "start": {"seconds": 3.0, "over": ok, "steps": [], "slowest": ""},
        "drain": None,
        "workers": [],
        "plugins": [
            {"name": "state", "ok": True, "problem": ""},
            {"name": "kubernetes", "ok": True, "problem": ""},
        ],
        "pid": 1,
        "version": "0.2.0",
        **more,
    }


def exported(
    registered: str = "yes", reason: str = "", *, online: bool = True, held_by: Any = None
) -> Object:
    return {
        "name": "orders",
        "port": 8080,
        "online": online,
        "held_by": held_by or {},
        "registrations": {
            "kubernetes": {"registered": registered, "required": True, "reason": reason}
        },
    }


def answers(found: Object | None = None, **more: Any) -> Answers:
    given = {"status": status() if found is None else found, "listening": dict(OPEN)}
    return Answers(**(given | more))


def facts(found: Object | None = None, *events: Object, **more: Any) -> Facts:
    """Facts about a pod, by default in a namespace where all else is well."""
    found = pod(told=TOLD) if found is None else found
    given: dict[str, Any] = {
        "services": (service(),),
        "slices": (piece(ready=True),),
        "budgets": (budget(),),
        "node": node(),
        "answers": answers(),
    }
    return Facts(pod=copy.deepcopy(found), now=NOW, events=events_of(events), **(given | more))


PROC = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1
   1: 0100007F:2328 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2 1
   2: 0700000A:1F90 0100000A:C350 01 00000000:00000000 00:00000000 00000000     0        0 3 1
  sl  local_address                         remote_address                        st
   0: 00000000000000000000000000000000:56CE 00000000000000000000000000000000:0000 0A 00000000
   1: 00000000000000000000000001000000:2329 00000000000000000000000000000000:0000 0A 00000000
"""
