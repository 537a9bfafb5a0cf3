"""The ways of serving that are compared: each as its users start it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

FOLDER = Path(__file__).parent / "compared"


class Way(NamedTuple):
    """
    One way of serving the app.

    Attributes:
        name: Of the row.
        command: What follows `python`; `{port}` in it is the port.
        prestop: As `lifecycle rehearse --prestop` takes it.
        ready: As `lifecycle rehearse --ready` takes it.
        grace: terminationGracePeriodSeconds.
        environ: Settings.
        python: Which one runs it.
    """

    name: str
    command: tuple[str, ...]
    prestop: str = "none"
    ready: str | None = None
    grace: float = 30.0
    environ: Mapping[str, str] = MappingProxyType({})
    python: str = sys.executable


def bare() -> list[Way]:
    """Return the servers as they come, without and with the sleeps that people add."""
    servers = {
        "uvicorn": ("uvicorn", "app:app", "--port", "{port}", "--log-level", "warning"),
        "hypercorn": ("hypercorn", "app:app", "--bind", "127.0.0.1:{port}"),
        "granian": ("granian", "--interface", "asgi", "--port", "{port}", "app:app"),
    }
    sleeps = {"": "none", ", preStop: sleep 5": "sleep:5", ", preStop: sleep 15": "sleep:15"}
    return [
        Way(name + addition, ("-m", *words), prestop)
        for name, words in servers.items()
        for addition, prestop in sleeps.items()
    ]


def servicewright(python: str) -> list[Way]:
    """Return servicewright as it comes, and as its page on Kubernetes sets it up."""
    command = ("with_servicewright.py", "{port}")
    ready = "/system/health/readyz"
    return [
        Way("servicewright", (*command, "0"), ready=ready, grace=60, python=python),
        Way(
            "servicewright, drain_delay_seconds=5",
            (*command, "5"),
            ready=ready,
            grace=60,
            python=python,
        ),
    ]


def ours() -> list[Way]:
    """Return pod-lifecycle as it comes, without preStop, and set to this propagation."""
    run = ("-m", "lifecycle", "run", "--asgi", "app:app", "--bind", "127.0.0.1:{port}")
    command = (*run, "--service", "app")
    return [
        Way("pod-lifecycle, preStop: lifecycle prestop", command, "exec"),
        Way("pod-lifecycle, no preStop", command),
        Way(
            "pod-lifecycle, no preStop, LIFECYCLE_SETTLE=3",
            command,
            environ={"LIFECYCLE_SETTLE": "3"},
        ),
    ]
