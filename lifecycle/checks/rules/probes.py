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

LONG_GRACE: Final = 300.0
"""Seconds: for how long an app that hangs may keep its container, ten times the default."""

_DEEP: Final = re.compile(
    r"(^|/)(ready|readyz|readiness|db|database|dependencies|deep|redis|postgres|mysql|kafka)(/|$)"
    r"|^/actuator/health/?$",
    re.IGNORECASE,
)


@RULES.add(
    "probe-port",
    Severity.ERROR,
    sources=(PROBES,),
    fix="Ask a port that the container serves, on the pod's own address; the probes of a "
    "lifecycle are on LIFECYCLE_QOS_PORT, 22222 by default.",
)
def probe_port(workload: Workload) -> Iterator[Found]:
    """A probe asks a port that the pod does not serve.

    Every answer is a failure: the pod never becomes ready, or is restarted again and again.
    It is a warning where the port is only not among those that the pod declares, because a container may serve what it does not declare.
    """
    declared = {
        each.number_of(port.at("containerPort"))
        for each in workload.containers
        for port in each.ports
    }
    for probe in probes_of(workload.containers):
        host = probe.http.at("host").text()
        if LOOPBACK.fullmatch(host) and not workload.host_network:
            yield Found(probe.http.at("host"), f"{probe}: {host} is the node, not the pod")
        if not probe.port:
            yield from _ports_of_exec(probe, declared)
            continue
        number = probe.container.number_of(probe.port)
        if number is None:
            message = f"{probe}: the container has no port called {probe.port.text()!r}"
            yield Found(probe.port, message)
        elif reason := _closed(probe, number):
            yield Found(probe.port, f"{probe}: {reason}")
        elif probe.container.ports and number not in declared and not _is_mesh(probe, number):
            message = f"{probe}: port {number:g} is not among those that the pod declares"
            if number != probe.container.qos_port or not probe.container.is_lifecycle:
                yield Found(probe.port, message, Severity.WARNING)


def _ports_of_exec(probe: Probe, declared: set[float | None]) -> Iterator[Found]:
    """Judge the ports of a command that asks for a verdict of the QOS port."""
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
            message = f"{probe}: port {fetch.port} is not among those that the pod declares"
            yield Found(where, message, Severity.WARNING)
    port = next((port_option(words) for words in programs(probe.command)), None)
    if probe.probed and port is not None and port != container.qos_port:
        message = f"the port is {port}, and LIFECYCLE_QOS_PORT is {container.qos_port}"
        yield Found(where, f"{probe}: {message}")


def _is_mesh(probe: Probe, number: float) -> bool:
    # What Istio's injection rewrites, and its own readiness endpoint.
    return number in (15020, 15021) or probe.path.startswith("/app-health")


def _closed(probe: Probe, number: float) -> str:
    """Say why the QOS port is not open where its probe is asked; empty if it is."""
    container, config = probe.container, probe.container.config
    asks = probe.path in PROBE_PATHS or not probe.http
    if config is None or not (container.is_lifecycle and asks):
        return ""
    if number not in (DEFAULT_QOS, config.qos_port):
        return ""
    moved = container.is_known("qos_port") and number != config.qos_port
    reasons = {
        "the QOS port is off (LIFECYCLE_QOS_ENABLED)": not config.qos_enabled,
        f"the QOS port is on {config.qos_host} alone (LIFECYCLE_QOS_HOST)": LOOPBACK.fullmatch(
            config.qos_host
        ),
        "the QOS port is any free one (LIFECYCLE_QOS_PORT=0)": config.qos_port == 0,
        f"the QOS port is {config.qos_port} (LIFECYCLE_QOS_PORT)": moved,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


@RULES.add(
    "liveness-equals-readiness",
    Severity.ERROR,
    sources=(PROBES,),
    fix="Ask /live for liveness and /ready for readiness; elsewhere something cheaper for "
    "liveness, or at least a higher failureThreshold.",
)
def liveness_equals_readiness(workload: Workload) -> Iterator[Found]:
    """Liveness asks what readiness asks.

    What should only take the pod out of traffic restarts it: an overload becomes a storm of restarts, `lifecycle offline` a restart.
    It is a warning where nothing shows that the endpoint tells of readiness, and liveness is as impatient.
    """
    for liveness in probes_of(workload.apps, "liveness"):
        container = liveness.container
        readiness = container.probes.get("readiness")
        if liveness.is_qos and container.is_lifecycle and liveness.asked != "liveness":
            yield Found(liveness.node, f"{container.name}: liveness asks for {liveness.asked}")
        elif (
            readiness is not None
            and liveness.handler() == readiness.handler()
            and liveness.patience <= readiness.patience
        ):
            message = f"{container.name}: both ask the same, and liveness is no more patient"
            yield Found(liveness.node, message, Severity.WARNING)


@RULES.add(
    "qos-path",
    Severity.ERROR,
    sources=(_CONCEPT,),
    fix="Ask /live for liveness, /ready for readiness, /startup for startup.",
)
def qos_path(workload: Workload) -> Iterator[Found]:
    """A probe asks the QOS port for something else than its own verdict.

    What the port does not serve is 404: the pod is restarted again and again, or never ready.
    A readiness that asks /live stays true through the whole drain, and before there is anything to serve.
    The rule also reads commands, such as `curl -f localhost:22222/live` and `lifecycle probe live`.
    It is a warning for a startup probe, which then holds the others back for too short or too long, and where a plugin may serve the path.
    """
    for probe in probes_of(each for each in workload.ours if each.is_known("qos_port")):
        container = probe.container
        if probe.is_qos and probe.kind not in ("liveness", probe.asked):
            severity = Severity.WARNING if probe.kind == "startup" else None
            yield Found(probe.node, f"{probe} asks for {probe.asked}", severity)
        elif probe.asks_qos_port and not probe.is_qos:
            message = f"{probe}: the QOS port has no verdict at {probe.path}"
            severity = Severity.WARNING if container.has_plugins else None
            yield Found(_where(probe), message, severity)
        elif probe.probed and probe.probed not in KINDS:
            message = f"{probe}: lifecycle probe has no verdict called {probe.probed!r}"
            yield Found(_where(probe), message)


def _where(probe: Probe) -> Node:
    return probe.http.at("path") if probe.http else probe.node.at("exec", "command")


@RULES.add(
    "startup-probe",
    Severity.WARNING,
    sources=(_CONCEPT,),
    fix="Add a startupProbe with a failureThreshold that the slowest start fits into. Under a "
    "lifecycle, let it ask /startup on the QOS port.",
)
def startup_probe(workload: Workload) -> Iterator[Found]:
    """Liveness without a startup probe.

    A start that takes longer than liveness waits is restarted, again and again: on a slow node, on a cold cache, while a registry is away.
    """
    for liveness in probes_of(workload.apps, "liveness"):
        container = liveness.container
        if "startup" not in container.probes:
            waits = liveness.node.at("initialDelaySeconds").number(0) + liveness.patience
            message = f"{container.name}: a start may take {waits:g} s"
            yield Found(liveness.node, message)


@RULES.add(
    "probe-grace",
    Severity.ERROR,
    sources=(f"{PROBES}#probe-level-terminationgraceperiodseconds",),
    fix="Set the liveness probe's terminationGracePeriodSeconds to what a short drain takes, for "
    "example 30. Leave it out of readinessProbe.",
)
def probe_grace(workload: Workload) -> Iterator[Found]:
    """A probe's own grace period does not fit.

    Kubernetes refuses terminationGracePeriodSeconds in a readiness probe, and below 1 in the others.
    It is a warning if it is shorter than the drain. When the probe fails, the kubelet kills the app in the middle of its drain. For example, a liveness probe with 5 s cuts the default drain, which takes 11 s (5 + 1 + 3 + 2). A startup probe needs less (3 + 2), because nothing is registered yet.
    It is a warning if the pod's grace period is longer than 300 s, ten times the default, and the liveness probe of an app under a lifecycle has none of its own. Then an app that hangs keeps the container for the whole period before it is restarted. Kubernetes' documentation has the example of 3600 s for the pod and 60 s for the probe.
    """
    is_whole = not workload.is_partial  # the base of a patch may have the probe's own
    for probe in probes_of(workload.apps):
        where = probe.node.at("terminationGracePeriodSeconds")
        seconds = where.number(workload.grace)
        if where and probe.kind == "readiness":
            yield Found(where, f"{probe}: Kubernetes refuses terminationGracePeriodSeconds here")
        elif where and seconds < 1:
            yield Found(where, f"{probe}: terminationGracePeriodSeconds must be at least 1")
        elif where and seconds < (needed := _needed(probe)):
            message = f"terminationGracePeriodSeconds {seconds:g}, and the drain takes {needed:g} s"
            yield Found(where, f"{probe}: {message}", Severity.WARNING)
        elif where or not (is_whole and probe.container.is_lifecycle):
            continue  # another program, such as a database, may need all of it to stop
        elif probe.kind == "liveness" and seconds > LONG_GRACE:
            message = f"an app that hangs is killed only {seconds:g} s after the probe has failed"
            yield Found(probe.node, f"{probe}: {message}", Severity.WARNING)


def _needed(probe: Probe) -> float:
    """Return how many seconds the container takes to end in order, as far as the manifest says."""
    container = probe.container
    if not container.is_lifecycle:
        return container.pre_stop_sleep
    return container.drain_time(registered=probe.kind != "startup")


@RULES.add(
    "dependency-in-liveness",
    Severity.ERROR,
    sources=("https://github.com/kubernetes/website/pull/39930",),
    fix="Ask dependencies in readiness; let liveness ask the process itself (/live).",
)
def dependency_in_liveness(workload: Workload) -> Iterator[Found]:
    """Liveness asks for something else than the app.

    When the dependency is away every pod is restarted, all together, and that fixes nothing.
    It is a warning where only a path's name tells of it.
    """
    for probe in probes_of(workload.apps, "liveness"):
        container = probe.container
        foreign = _foreign_host(probe, workload)
        if foreign:
            yield Found(probe.node, f"{container.name}: liveness asks {foreign}")
        elif _looks_deep(probe, container):
            message = f"{container.name}: liveness asks {probe.path}"
            yield Found(probe.http.at("path"), message, Severity.WARNING)


def _foreign_host(probe: Probe, workload: Workload) -> str:
    asked = [probe.node.at(handler, "host").text() for handler in ("httpGet", "tcpSocket")]
    if workload.host_network:  # the node's own address, which is the pod's
        asked = [each for each in asked if not is_address(each)]
    asked += [host for words in programs(probe.command) for host in hosts_asked(words)]
    return next((host for host in asked if not is_own(host)), "")


def _looks_deep(probe: Probe, container: Container) -> bool:
    if not probe.http or (container.is_lifecycle and probe.is_qos):
        return False
    readiness = container.probes.get("readiness")
    same = readiness is not None and readiness.handler() == probe.handler()
    return not same and bool(_DEEP.search(probe.path))
