"""
A kubelet and a Service for tests, which treat an app on one machine as Kubernetes does.

`Kubelet` starts real processes, and probes, restarts and ends them by the rules of the real
kubelet. `Service` reports new and removed endpoints to its clients, with a different delay per
client. Each name is imported at its first use, so a pytest run pays only for what it uses.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lifecycle.testing.blocking import BlockingKubelet, BlockingPod
    from lifecycle.testing.endpoints import Client, Endpoint, NoEndpoints, Service, SliceEntry
    from lifecycle.testing.events import Event
    from lifecycle.testing.kubelet import Kubelet
    from lifecycle.testing.pods import Pod, PodEnded
    from lifecycle.testing.ports import free_port
    from lifecycle.testing.specs import (
        Container,
        Exec,
        HttpGet,
        PodSpec,
        Probe,
        Sleep,
        TcpSocket,
    )
    from lifecycle.testing.termination import Deletion

_HOME = {
    "BlockingKubelet": "blocking",
    "BlockingPod": "blocking",
    "Client": "endpoints",
    "Container": "specs",
    "Deletion": "termination",
    "Endpoint": "endpoints",
    "Event": "events",
    "Exec": "specs",
    "HttpGet": "specs",
    "Kubelet": "kubelet",
    "NoEndpoints": "endpoints",
    "Pod": "pods",
    "PodEnded": "pods",
    "PodSpec": "specs",
    "Probe": "specs",
    "Service": "endpoints",
    "Sleep": "specs",
    "SliceEntry": "endpoints",
    "TcpSocket": "specs",
    "free_port": "ports",
}

__all__ = [
    "BlockingKubelet",
    "BlockingPod",
    "Client",
    "Container",
    "Deletion",
    "Endpoint",
    "Event",
    "Exec",
    "HttpGet",
    "Kubelet",
    "NoEndpoints",
    "Pod",
    "PodEnded",
    "PodSpec",
    "Probe",
    "Service",
    "Sleep",
    "SliceEntry",
    "TcpSocket",
    "free_port",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'lifecycle.testing' has no attribute {name!r}")
    value = getattr(import_module(f"lifecycle.testing.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
