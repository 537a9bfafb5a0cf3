"""Rules about the three probes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from lifecycle.checks.commands.hosts import LOOPBACK, hosts_asked, is_address, is_own
from lifecycle.checks.commands.programs import programs
from lifecycle.checks.commands.steps import port_option
from lifecycle.checks.node import Node
from lifecycle.checks.rule import DOCS, PROBES, Found, Severity, Table
from lifecycle.checks.workloads.container import (
    DEFAULT_QOS,
    KINDS,
    PROBE_PATHS,
    Container,
    Probe,
    probes_of,
)
from lifecycle.checks.workloads.workload import Workload

RULES: Final = Table()

_CONCEPT: Final = f"{DOCS}/concepts/workloads/pods/probes/"

QOS_NAME: Final = "qos"
"""Name of the QOS port in the manifests of `lifecycle manifests`."""
LONG_GRACE: Final = 300.0
"""The longest acceptable time for an app that hangs, in seconds: ten times the default grace period."""

_DEEP: Final = re.compile(
    r"(^|/)(ready|readyz|readiness|db|database|dependencies|deep|redis|postgres|mysql|kafka)(/|$)"
    r"|^/actuator/health/?$",
    re.IGNORECASE,
)


@RULES.add(
    "probe-port",
    Severity.ERROR,
    sources=(PROBES,),
    fix=(
        "Point the probe at a port that the container serves, on the pod's own address. The probes "
        "of pod-lifecycle are on LIFECYCLE_QOS_PORT, 22222 by default."
    ),
    plain_fix="Point the probe at a port that the container serves, on the pod's own address.",
)
def probe_port(workload: Workload) -> Iterator[Found]:
    """A probe uses a port that the pod does not serve.

    Every probe fails. So the pod never becomes Ready, or Kubernetes restarts it again and again.
    For example, the pod declares a port called `qos` with the number 22223, but the QOS port is 22222.

    Severity:
        If the port is only missing in the `ports` of the pod, the finding is a warning. A container may listen on ports that it does not declare.
    """
    declared = {
        each.number_of(port.at("containerPort"))
        for each in workload.containers
        for port in each.ports
    }
    for probe in probes_of(workload.containers):
        host = probe.http.at("host").text()
        if LOOPBACK.fullmatch(host) and not workload.host_network:
            message = f"{probe}: for the kubelet, {host} is the node, not the pod"
            yield Found(probe.http.at("host"), message)
        if not probe.port:
            yield from _ports_of_exec(probe, declared)
            continue
        number = probe.container.number_of(probe.port)
        if number is None:
            message = f"{probe}: the container has no port called {probe.port.text()!r}"
            yield Found(probe.port, message)
        elif reason := _closed(probe, number):
            yield Found(probe.port, f"{probe}: {reason}")
        elif probe.container.ports and number not in declared and not is_of_mesh(probe):
            message = f"{probe}: the pod does not declare port {number:g}"
            if number != probe.container.qos_port or not probe.container.is_lifecycle:
                yield Found(probe.port, message, Severity.WARNING)


def _ports_of_exec(probe: Probe, declared: set[float | None]) -> Iterator[Found]:
    """Give the findings about a command that asks the QOS port for a probe result."""
    container, where = probe.container, probe.node.at("exec", "command")
    if not container.is_lifecycle or not container.is_known("qos_port"):
        return
    for fetch in probe.fetches:
        if fetch.path not in PROBE_PATHS or fetch.port in (None, container.qos_port):
            continue
        if fetch.port == DEFAULT_QOS:
            message = f"the QOS port is {container.qos_port} (LIFECYCLE_QOS_PORT)"
            yield Found(where, f"{probe}: {message}")
        elif container.ports and fetch.port not in declared:
            message = f"{probe}: the pod does not declare port {fetch.port}"
            yield Found(where, message, Severity.WARNING)
    port = next((port_option(words) for words in programs(probe.command)), None)
    if probe.probed and port is not None and port != container.qos_port:
        message = f"the probe uses port {port}, but LIFECYCLE_QOS_PORT is {container.qos_port}"
        yield Found(where, f"{probe}: {message}")


def is_of_mesh(probe: Probe) -> bool:
    """Tell whether Istio's injection has rewritten a probe, or Istio itself answers it."""
    by_port = probe.container.number_of(probe.port) in (15020, 15021)
    return by_port or probe.path.startswith("/app-health")


def _closed(probe: Probe, number: float) -> str:
    """Return why the QOS port is not open at a probe's port. Empty if it is."""
    container, config = probe.container, probe.container.config
    asks = probe.path in PROBE_PATHS or not probe.http
    if config is None or not (container.is_lifecycle and asks):
        return ""
    if number not in (DEFAULT_QOS, config.qos_port):
        return _misnumbered(container, number)
    moved = container.is_known("qos_port") and number != config.qos_port
    reasons = {
        "the QOS port is off (LIFECYCLE_QOS_ENABLED)": not config.qos_enabled,
        f"the QOS port listens on {config.qos_host} only (LIFECYCLE_QOS_HOST)": LOOPBACK.fullmatch(
            config.qos_host
        ),
        "the QOS port is any free port (LIFECYCLE_QOS_PORT=0)": config.qos_port == 0,
        f"the QOS port is {config.qos_port} (LIFECYCLE_QOS_PORT)": moved,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _misnumbered(container: Container, number: float) -> str:
    """Return that the port called `qos` has another number than the QOS port. Or empty."""
    named = any(
        each.at("name").text() == QOS_NAME and each.at("containerPort").number(0) == number
        for each in container.ports
    )
    if not named or not container.is_known("qos_port"):
        return ""
    return f"the port called {QOS_NAME} is {number:g}, but the QOS port is {container.qos_port}"


@RULES.add(
    "liveness-equals-readiness",
    Severity.ERROR,
    sources=(PROBES,),
    fix="Use /live for liveness and /ready for readiness, both on the QOS port (22222 by default).",
    plain_fix=(
        "Raise the failureThreshold of liveness, or let liveness use an endpoint that checks the "
        "process only."
    ),
)
def liveness_equals_readiness(workload: Workload) -> Iterator[Found]:
    """The liveness probe checks the same as the readiness probe.

    A failure that should only remove the pod from traffic now restarts it. An overload turns into a wave of restarts.
    Under pod-lifecycle, `lifecycle offline` restarts the pod too.

    Severity:
        If both probes use the same endpoint, and nothing shows that the endpoint is about readiness, the finding is a warning.

    Scope:
        On a port of your app, both probes may use the same endpoint if liveness tolerates failures for longer than readiness (`periodSeconds` × `failureThreshold`).
    """
    for liveness in probes_of(workload.apps, "liveness"):
        container = liveness.container
        readiness = container.probes.get("readiness")
        if liveness.is_qos and container.is_lifecycle and liveness.asked != "liveness":
            message = f"{container.name}: the liveness probe checks {liveness.asked}"
            yield Found(liveness.node, message)
        elif (
            readiness is not None
            and liveness.handler() == readiness.handler()
            and liveness.patience <= readiness.patience
        ):
            message = (
                f"{container.name}: liveness and readiness use the same endpoint, and liveness does "
                "not tolerate failures for longer"
            )
            yield Found(liveness.node, message, Severity.WARNING)


@RULES.add(
    "qos-path",
    Severity.ERROR,
    sources=(_CONCEPT,),
    fix="Use /live for liveness, /ready for readiness, and /startup for startup.",
)
def qos_path(workload: Workload) -> Iterator[Found]:
    """A probe uses a wrong path of the QOS port.

    pod-lifecycle answers an unknown path of its probe port (QOS port) with 404. So Kubernetes restarts the pod again and again, or the pod never becomes Ready.
    A readiness probe that uses /live stays true during the whole drain. It is also true before your app can serve.

    Severity:
        For a startup probe, the finding is a warning. The startup probe then delays the other probes for too short or too long a time.
        If a plugin may serve the path, the finding is a warning too.

    Scope:
        The rule also reads commands, such as `curl -f localhost:22222/live` and `lifecycle probe live`.
    """
    for probe in probes_of(each for each in workload.ours if each.is_known("qos_port")):
        container = probe.container
        if probe.is_qos and probe.kind not in ("liveness", probe.asked):
            severity = Severity.WARNING if probe.kind == "startup" else None
            yield Found(probe.node, f"{probe} checks {probe.asked}", severity)
        elif probe.asks_qos_port and not probe.is_qos:
            message = f"{probe}: the QOS port has no probe result at {probe.path}"
            severity = Severity.WARNING if container.has_plugins else None
            yield Found(_where(probe), message, severity)
        elif probe.probed and probe.probed not in KINDS:
            message = f"{probe}: lifecycle probe does not know {probe.probed!r}"
            yield Found(_where(probe), message)


def _where(probe: Probe) -> Node:
    return probe.http.at("path") if probe.http else probe.node.at("exec", "command")


@RULES.add(
    "startup-probe",
    Severity.WARNING,
    sources=(_CONCEPT,),
    fix=(
        "Add a startupProbe that uses /startup on the QOS port (22222 by default). Set its "
        "failureThreshold so that your slowest start fits."
    ),
    plain_fix="Add a startupProbe. Set its failureThreshold so that your slowest start fits.",
)
def startup_probe(workload: Workload) -> Iterator[Found]:
    """There is a liveness probe without a startup probe.

    If a start takes longer than the liveness probe waits, Kubernetes restarts the pod again and again.
    For example, a start may be slow on a slow node, with a cold cache, or while a service registry is unavailable.
    """
    for liveness in probes_of(workload.apps, "liveness"):
        container = liveness.container
        if "startup" not in container.probes:
            waits = liveness.node.at("initialDelaySeconds").number(0) + liveness.patience
            message = f"{container.name}: a start that takes longer than {waits:g} s is restarted"
            yield Found(liveness.node, message)


@RULES.add(
    "probe-grace",
    Severity.ERROR,
    sources=(f"{PROBES}#probe-level-terminationgraceperiodseconds",),
    fix="Set terminationGracePeriodSeconds of the liveness probe to the time of a short drain, for "
    "example 30. Remove the field from readinessProbe.",
    plain_fix=(
        "Set terminationGracePeriodSeconds of the liveness probe to more than the preStop sleep. "
        "Remove the field from readinessProbe."
    ),
)
def probe_grace(workload: Workload) -> Iterator[Found]:
    """The grace period of a probe does not fit.

    When a probe fails, its own terminationGracePeriodSeconds replaces that of the pod.
    If it is shorter than the drain, the kubelet kills the app in the middle of the drain. For example, a liveness probe with 5 s cuts the default drain, which takes 11 s (5 + 1 + 3 + 2). A startup probe needs less (3 + 2), because nothing is registered yet.
    If the pod's grace period is long and the liveness probe has none, an app that hangs keeps its container for the whole period before it is restarted. The documentation of Kubernetes has the example of 3600 s for the pod and 60 s for the probe.
    Kubernetes refuses the field in a readiness probe, and values below 1 in the other probes.

    Severity:
        If Kubernetes refuses the field, the finding is an error. Otherwise it is a warning.

    Scope:
        A pod's grace period counts as long if it is more than 300 s, ten times the default. This part of the rule looks only at apps under pod-lifecycle.
    """
    is_whole = not workload.is_partial  # the base of a patch may have the field
    for probe in probes_of(workload.apps):
        where = probe.node.at("terminationGracePeriodSeconds")
        seconds = where.number(workload.grace)
        if where and probe.kind == "readiness":
            yield Found(where, f"{probe}: Kubernetes refuses terminationGracePeriodSeconds here")
        elif where and seconds < 1:
            yield Found(where, f"{probe}: terminationGracePeriodSeconds must be at least 1")
        elif where and seconds < (needed := _needed(probe)):
            what = "drain takes" if probe.container.is_lifecycle else "preStop sleep takes"
            message = f"terminationGracePeriodSeconds is {seconds:g}, but the {what} {needed:g} s"
            yield Found(where, f"{probe}: {message}", Severity.WARNING)
        elif where or not (is_whole and probe.container.is_lifecycle):
            continue  # another program, such as a database, may need the whole period to stop
        elif probe.kind == "liveness" and seconds > LONG_GRACE:
            message = f"an app that hangs is killed only {seconds:g} s after the probe fails"
            yield Found(probe.node, f"{probe}: {message}", Severity.WARNING)


def _needed(probe: Probe) -> float:
    """Return the seconds that an orderly shutdown takes, as far as the manifest shows them."""
    container = probe.container
    if not container.is_lifecycle:
        return container.pre_stop_sleep
    return container.drain_time(registered=probe.kind != "startup")


@RULES.add(
    "dependency-in-liveness",
    Severity.ERROR,
    sources=("https://github.com/kubernetes/website/pull/39930",),
    fix=(
        "Check dependencies in the readiness probe. Let the liveness probe check the process itself: "
        "/live on the QOS port (22222 by default)."
    ),
    plain_fix=(
        "Check dependencies in the readiness probe. Let the liveness probe use an endpoint that "
        "checks the process itself only."
    ),
)
def dependency_in_liveness(workload: Workload) -> Iterator[Found]:
    """The liveness probe checks a dependency of the app.

    When the dependency is unavailable, Kubernetes restarts all pods at the same time. The restarts do not repair the dependency.

    Severity:
        If only the name of the path suggests a dependency, the finding is a warning. An example is `/health/db`.
    """
    for probe in probes_of(workload.apps, "liveness"):
        container = probe.container
        foreign = _foreign_host(probe, workload)
        if foreign:
            yield Found(probe.node, f"{container.name}: the liveness probe calls {foreign}")
        elif _looks_deep(probe, container):
            message = f"{container.name}: the liveness probe calls {probe.path}"
            yield Found(probe.http.at("path"), message, Severity.WARNING)


def _foreign_host(probe: Probe, workload: Workload) -> str:
    asked = [probe.node.at(handler, "host").text() for handler in ("httpGet", "tcpSocket")]
    if workload.host_network:  # the pod has the address of the node
        asked = [each for each in asked if not is_address(each)]
    asked += [host for words in programs(probe.command) for host in hosts_asked(words)]
    return next((host for host in asked if not is_own(host)), "")


def _looks_deep(probe: Probe, container: Container) -> bool:
    if not probe.http or (container.is_lifecycle and probe.is_qos):
        return False
    readiness = container.probes.get("readiness")
    same = readiness is not None and readiness.handler() == probe.handler()
    return not same and bool(_DEEP.search(probe.path))
