"""Compares the spec of the pod with the settings of the app."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import lifecycle
from lifecycle_kubernetes.layout import REGISTERED

Spec = Mapping[str, Any]

PATHS: Final = {
    "startupProbe": ("/startup", "/startupz"),
    "readinessProbe": ("/ready", "/readyz"),
    "livenessProbe": ("/live", "/livez"),
}
ISTIO: Final = re.compile(r"/app-(health|lifecycle)/[^/]+/(startupz|readyz|livez|prestopz)")
"""Probe paths that Istio's injector writes. Its agent then asks the original port."""
MARGIN: Final = 2.0
"""Seconds of the grace period that are always kept in reserve."""


def disagreements(spec: Spec, config: lifecycle.Config) -> list[str]:
    """
    Compare the spec of a pod with the settings of the app in it.

    Args:
        spec: The spec of the pod, as the API server returns it.
        config: The settings of the app.

    Returns:
        A sentence for each difference.
    """
    container = _own_container(spec, config.qos_port)
    return [
        *_gate(spec),
        *_grace(spec, config),
        *_probes(container, config),
        *_pre_stop(container, config),
    ]


def undeclared_port(spec: Spec, instance: lifecycle.Instance) -> str:
    """Return a sentence if the containers declare ports, but not the port of the service."""
    declared = {
        port["containerPort"] for each in spec["containers"] for port in each.get("ports") or ()
    }
    if not declared or instance.port is None or instance.port in declared:
        return ""
    ports = ", ".join(map(str, sorted(declared)))
    return (
        f"service {instance.service} has port {instance.port}, but the containers declare {ports}"
    )


def _gate(spec: Spec) -> Iterator[str]:
    gates = [each.get("conditionType") for each in spec.get("readinessGates") or ()]
    if REGISTERED not in gates:
        yield (
            f"no readinessGate {REGISTERED}, so clients notice a deregistration only after the "
            "readiness probe has failed failureThreshold times"
        )


def _grace(spec: Spec, config: lifecycle.Config) -> Iterator[str]:
    grace = spec.get("terminationGracePeriodSeconds", 30)
    if config.grace_period > grace:
        yield (
            f"grace_period {config.grace_period:g} s is longer than terminationGracePeriodSeconds "
            f"{grace}, so the kubelet kills the pod before the drain is over"
        )
    elif config.grace_period < grace:
        yield (
            f"grace_period {config.grace_period:g} s is shorter than terminationGracePeriodSeconds "
            f"{grace}, so the drain ends earlier than necessary"
        )
    needed = config.settle + config.quiet + config.stop_timeout + MARGIN
    if needed > grace:
        yield (
            f"settle {config.settle:g} + quiet {config.quiet:g} + stop_timeout "
            f"{config.stop_timeout:g} + {MARGIN:g} is longer than terminationGracePeriodSeconds "
            f"{grace}"
        )


def _probes(container: Spec, config: lifecycle.Config) -> Iterator[str]:
    for kind, paths in PATHS.items():
        probe = container.get(kind)
        if not probe:
            yield f"no {kind}, so the kubelet does not use {paths[0]}"
            continue
        if (http := probe.get("httpGet")) is None:
            if "lifecycle" not in " ".join((probe.get("exec") or {}).get("command") or ()):
                yield f"the {kind} does not use {paths[0]} on the QOS port {config.qos_port}"
            continue
        yield from _http(kind, http, paths, container, config)
        timeout = probe.get("timeoutSeconds", 1)
        if timeout <= config.probe_timeout:
            yield (
                f"the {kind}'s timeoutSeconds {timeout} is not above probe_timeout "
                f"{config.probe_timeout:g}, so a slow plugin makes the probe fail"
            )
        own = probe.get("terminationGracePeriodSeconds")
        if own is not None and own < config.grace_period:
            yield (
                f"the {kind}'s own terminationGracePeriodSeconds {own} is shorter than "
                f"grace_period {config.grace_period:g}"
            )


def _http(
    kind: str, http: Spec, paths: tuple[str, ...], container: Spec, config: lifecycle.Config
) -> Iterator[str]:
    if not config.qos_enabled:
        yield f"the {kind} uses HTTP, but qos_enabled is false"
        return
    if _is_istios(http):
        return
    if (port := _number(http["port"], container)) != config.qos_port:
        yield f"the {kind} uses port {port or http['port']}, but the QOS port is {config.qos_port}"
    path = str(http.get("path") or "/").partition("?")[0]
    if not any(path == each or path.startswith(f"{each}/") for each in paths):
        yield f"the {kind} uses {path} instead of {paths[0]}"
    if http.get("scheme", "HTTP") != "HTTP":
        yield f"the {kind} uses {http['scheme']}, but the QOS port is plain HTTP"


def _pre_stop(container: Spec, config: lifecycle.Config) -> Iterator[str]:
    hook = (container.get("lifecycle") or {}).get("preStop") or {}
    if "sleep" in hook:
        yield "preStop sleeps and does not start the drain, so the drain loses this time"
    elif (http := hook.get("httpGet")) is not None:
        yield from _http_pre_stop(http, container, config)
    elif (command := (hook.get("exec") or {}).get("command")) is None:
        yield "no preStop, so the drain starts with SIGTERM"
    elif "prestop" not in " ".join(command):
        yield f"preStop runs {' '.join(command)!r} instead of `lifecycle prestop`"


def _http_pre_stop(http: Spec, container: Spec, config: lifecycle.Config) -> Iterator[str]:
    if _is_istios(http):
        return
    if (port := _number(http["port"], container)) != config.qos_port:
        yield f"preStop uses port {port or http['port']}, but the QOS port is {config.qos_port}"
    if str(http.get("path")).partition("?")[0] != "/prestop":
        yield f"preStop uses {http.get('path')} instead of /prestop"
    headers = {each["name"].lower(): each["value"] for each in http.get("httpHeaders") or ()}
    if config.prestop_token is None or headers.get("x-lifecycle-token") != config.prestop_token:
        yield "preStop uses httpGet without the prestop_token of the app, so it is refused"


def _is_istios(http: Spec) -> bool:
    return ISTIO.fullmatch(str(http.get("path")).partition("?")[0]) is not None


def _own_container(spec: Spec, qos_port: int) -> Spec:
    """Return the container of the app: the one with the QOS port, or else the first."""
    containers: list[Spec] = spec["containers"]

    def about_us(each: Spec) -> bool:
        asked = [(each.get(kind) or {}).get("httpGet") or {} for kind in PATHS]
        ports = [port.get("containerPort") for port in each.get("ports") or ()]
        return qos_port in ports or any(
            _number(one["port"], each) == qos_port for one in asked if one
        )

    return next(filter(about_us, containers), containers[0])


def _number(port: int | str, container: Spec) -> int | None:
    """Return the number of a port. A named port is looked up."""
    if isinstance(port, int):
        return port
    ports = {each.get("name"): each["containerPort"] for each in container.get("ports") or ()}
    number: int | None = ports.get(port)
    return number
