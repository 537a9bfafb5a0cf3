"""What the tests of the kubelet share: a pod of the probed server, and its record."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

from lifecycle.testing import Container, HttpGet, Pod, PodSpec, Probe

HERE: Final = Path(__file__).parent
CERTIFICATE: Final = str(HERE / "certificate.pem")
SERVER: Final = [sys.executable, str(HERE / "probed.py")]


def get(path: str, **fields: Any) -> HttpGet:
    """Ask the probed server."""
    return HttpGet("http", path, **fields)


def quick(handler: Any, **fields: Any) -> Probe:
    """Return a probe with times that do not make a test wait; it fails at once."""
    return Probe(handler, **{"period": 0.1, "timeout": 5.0, "failure_threshold": 1, **fields})


LISTENS: Final = quick(get("/started"), failure_threshold=1000)
"""As startup probe: what else is asked, is asked once the server listens."""


def web(folder: Path, *, env: dict[str, str] | None = None, **fields: Any) -> PodSpec:
    """
    Return a pod of the probed server, on its port `http`; what it sees is in the folder.

    With a liveness probe it has a startup probe too, unless it is said to have none.
    """
    own = {"name", "grace_period", "restart_policy", "ip"}
    pod = {name: fields.pop(name) for name in own & set(fields)}
    settings = {"PORT": "$(PORT_HTTP)", "RECORD": str(folder / "record.jsonl"), **(env or {})}
    fields.setdefault("command", SERVER)
    if "liveness" in fields:
        fields.setdefault("startup", LISTENS)
    container = Container(env=settings, ports={"http": 0}, cwd=str(folder), **fields)
    return PodSpec(container, **pod)


def record(folder: Path, *whats: str) -> list[dict[str, Any]]:
    """Return what the server has seen; `whats`: only that."""
    path = folder / "record.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    found = [json.loads(line) for line in lines if line.endswith("}")]
    return [each for each in found if each["what"] in whats or not whats]


def paths(folder: Path) -> list[str]:
    """Return the paths of the requests that the server has seen."""
    return [each["path"] for each in record(folder, "request")]


async def seen(pod: Pod, folder: Path, path: str, times: int = 1) -> None:
    """Wait until the server has seen requests for a path."""
    await pod.until(lambda _: paths(folder).count(path) >= times)


async def listening(pod: Pod) -> None:
    """Wait until the server listens."""
    await pod.until(lambda pod: "listening" in pod.output)


def unhealthy(pod: Pod, kind: str) -> list[str]:
    """Return what events say of one kind of probe."""
    title = kind.capitalize()
    return [each for each in pod.said("Unhealthy") if each.startswith(title)]
