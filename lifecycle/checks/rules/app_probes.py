"""Rules about probes that the app answers, although it runs under pod-lifecycle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lifecycle.checks.commands.hosts import LOOPBACK
from lifecycle.checks.rule import PROBES, Found, Severity, Table
from lifecycle.checks.rules.probes import is_of_mesh
from lifecycle.checks.workloads.container import (
    DEFAULT_QOS,
    PROBE_PATHS,
    Container,
    Probe,
    probes_of,
)
from lifecycle.checks.workloads.workload import Workload

RULES: Final = Table()


@RULES.add(
    "app-probe",
    Severity.WARNING,
    sources=(PROBES, "qos.md"),
    fix=(
        "Use /ready for readiness, /live for liveness and /startup for startup, all on the QOS port "
        "(22222 by default). If you want a probe on the port of your app on purpose, name app-probe "
        "in the annotation pod-lifecycle.dev/ignore."
    ),
)
def app_probe(workload: Workload) -> Iterator[Found]:
    """A probe uses the port of the app instead of the QOS port.

    pod-lifecycle answers probes on its own probe port (QOS port). The answers on the port of your app do not depend on pod-lifecycle.
    If the readiness probe uses the port of your app, `/ready` has no effect. The pod may get requests before `life.ready()`, before the app is registered, and after `lifecycle offline`.
    If the liveness probe uses the port of your app, Kubernetes restarts a pod whose workers are all busy. `/live` needs no free worker.
    If your app has no path `/ready`, `/live` or `/startup`, a probe of that path fails on its port. So the pod never becomes Ready, or Kubernetes restarts it again and again.

    Scope:
        The rule looks at apps that run under pod-lifecycle, as far as the manifest shows it.
        The rule ignores a startup probe with your own path. It also ignores gRPC probes, which lifecycle-grpc answers, and commands other than HTTP requests.
    """
    for probe in probes_of(filter(_has_qos_port, workload.ours)):
        if probe.asks_qos_port or probe.probed or is_of_mesh(probe):
            continue
        port = _port(probe)
        if port is None or port in (DEFAULT_QOS, probe.container.qos_port):
            continue
        path = next((each for each in _paths(probe) if each in PROBE_PATHS), "")
        own = probe.container.qos_port
        if path and not _is_reported(probe.container, port):
            message = f"{probe}: {path} is on the QOS port {own}, not on port {port:g}"
            yield Found(probe.node, message)
        elif not path and probe.kind != "startup":
            yield Found(probe.node, f"{probe}: uses port {port:g}, not the QOS port {own}")


def _has_qos_port(container: Container) -> bool:
    """Tell whether the kubelet can reach the QOS port of a container, and its number is known."""
    config = container.config
    if config is None or not container.is_known("qos_port"):
        return False
    return config.qos_enabled and config.qos_port > 0 and not LOOPBACK.fullmatch(config.qos_host)


def _port(probe: Probe) -> float | None:
    """Return the port that a probe asks. None if it is not known, or if it speaks gRPC."""
    if probe.node.at("grpc"):
        return None
    if probe.port:
        return probe.container.number_of(probe.port)
    ports = {each.port for each in probe.fetches}
    return ports.pop() if len(ports) == 1 else None


def _paths(probe: Probe) -> list[str]:
    return [probe.path] if probe.http else [each.path for each in probe.fetches]


def _is_reported(container: Container, port: float) -> bool:
    """Tell whether the rule `probe-port` reports the port."""
    numbers = {
        each.at("containerPort").number(0): each.at("name").text() for each in container.ports
    }
    return bool(numbers) and numbers.get(port) in (None, "qos")
