"""Snapshots, as `Lifecycle.snapshot` returns them."""

from __future__ import annotations

from typing import Any


def service(name: str, *, online: bool = True, **registered: str) -> dict[str, Any]:
    """One service, and how it is registered in each registry."""
    return {
        "name": name,
        "port": 8080,
        "online": online,
        "held_by": {},
        "registrations": {
            registry: {"registered": so, "required": True, "reason": ""}
            for registry, so in registered.items()
        },
    }


def probe(name: str, *, ok: bool = True, kind: str = "readiness") -> dict[str, Any]:
    """The last answer of a probe."""
    return {"kind": kind, "name": name, "ok": ok, "ms": 1.0, "reason": "", "age": 0.1}


def runs(seconds: float = 0.02, count: int = 3, **of: str) -> dict[str, Any]:
    """How long the runs of a probe or a registry took: all equally long."""
    bounds = [0.001, 0.025, 1.0]
    counts = [0] * (len(bounds) + 1)
    counts[sum(bound < seconds for bound in bounds)] = count
    return {**of, "bounds": bounds, "counts": counts, "seconds": seconds * count}


def worker(pid: int, stalled: float = 0.1) -> dict[str, Any]:
    """One worker of a command."""
    return {
        "pid": pid,
        "server": "uvicorn",
        "age": 9.0,
        "stalled": stalled,
        "in_flight": 1,
        "served": 7,
    }


def snapshot(**changed: Any) -> dict[str, Any]:
    """An app that is READY, and what is different."""
    return {
        "state": "ready",
        "since": 1.0,
        "in_flight": 2,
        "requests": 100,
        "told_to_go": 0,
        "services": [service("orders", local="yes")],
        "probes": [probe("state"), probe("postgres")],
        "probe_runs": [runs(kind="readiness", plugin="postgres")],
        "registration_runs": [runs(registry="local")],
        "loop_lag": 0.01,
        "transitions": [],
        "drain": None,
        "workers": [],
        "plugins": [],
        "pid": 1,
        "version": "0.2.0",
    } | changed
