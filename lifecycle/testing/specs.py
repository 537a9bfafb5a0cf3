"""What a pod is to be: the fields of a manifest that a kubelet acts on, with its defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from lifecycle.testing import validation

RestartPolicy = Literal["Always", "OnFailure", "Never"]

HTTPS: Final = "https"


@dataclass(frozen=True)
class HttpGet:
    """
    Ask over HTTP.

    Args:
        port: A number, or the name of one of the container's ports.
        path: With its query.
        host: Instead of the pod's own address.
        scheme: `http` or `https`; a certificate is not verified.
        headers: Pairs; they replace the kubelet's own of the same name.

    Raises:
        TypeError: An argument is of the wrong type, for example headers in a dict.
        ValueError: An argument cannot be sent, for example a header with a line break.
    """

    port: int | str
    path: str = "/"
    host: str | None = None
    scheme: Literal["http", "https"] = "http"
    headers: Sequence[tuple[str, str]] = ()

    def __post_init__(self) -> None:
        validation.port("HttpGet.port", self.port)
        validation.path("HttpGet.path", self.path)
        validation.host("HttpGet.host", self.host)
        validation.one_of("HttpGet.scheme", self.scheme, "http", HTTPS)
        validation.headers("HttpGet.headers", self.headers)


@dataclass(frozen=True)
class Exec:
    """
    Run a command inside: with the container's environment and working directory.

    Args:
        command: Its words; no shell.
    """

    command: Sequence[str]

    def __post_init__(self) -> None:
        validation.words("Exec.command", self.command)


@dataclass(frozen=True)
class TcpSocket:
    """
    Open a connection, and close it.

    Args:
        port: A number, or the name of one of the container's ports.
        host: Instead of the pod's own address.
    """

    port: int | str
    host: str | None = None

    def __post_init__(self) -> None:
        validation.port("TcpSocket.port", self.port)
        validation.host("TcpSocket.host", self.host)


@dataclass(frozen=True)
class Sleep:
    """
    Wait; for preStop alone.

    Args:
        seconds: How long.
    """

    seconds: float

    def __post_init__(self) -> None:
        validation.number("Sleep.seconds", self.seconds)


ProbeHandler = HttpGet | Exec | TcpSocket
HookHandler = HttpGet | Exec | Sleep


@dataclass(frozen=True)
class Probe:
    """
    One probe, with the kubelet's defaults. Seconds may be fractions, so that tests are fast.

    Args:
        handler: What is asked.
        initial_delay: Seconds after the container's start before which nothing is asked.
        period: Seconds from one probe to the next.
        timeout: Seconds for the whole answer, connecting included.
        success_threshold: How many in a row make it good again.
        failure_threshold: How many in a row make it bad.
        termination_grace_period: For the restart that this probe brings about, instead of
            the pod's; liveness and startup only.
    """

    handler: ProbeHandler
    initial_delay: float = 0.0
    period: float = 10.0
    timeout: float = 1.0
    success_threshold: int = 1
    failure_threshold: int = 3
    termination_grace_period: float | None = None

    def __post_init__(self) -> None:
        validation.kind("Probe.handler", self.handler, HttpGet, Exec, TcpSocket)
        validation.number("Probe.initial_delay", self.initial_delay)
        validation.number("Probe.period", self.period, positive=True)
        validation.number("Probe.timeout", self.timeout, positive=True)
        validation.threshold("Probe.success_threshold", self.success_threshold)
        validation.threshold("Probe.failure_threshold", self.failure_threshold)
        if (own := self.termination_grace_period) is not None:
            validation.number("Probe.termination_grace_period", own, positive=True)


@dataclass(frozen=True)
class Container:
    """
    The one container of a pod: a real process.

    Args:
        command: Its words; `$(NAME)` is taken from its environment, as in a manifest.
        env: Added to this process's environment, of which no `LIFECYCLE_*` is handed on;
            `$(NAME)` is what has been set before.
        ports: Names for handlers; 0 is a free one for each pod, the same after a restart.
            The container finds the number of `http` in its variable `PORT_HTTP`.
        startup: Holds the two others back until it has passed once.
        readiness: Whether the pod is to get traffic.
        liveness: Whether the container is to go on living.
        pre_stop: What is done before SIGTERM, within the grace period.
        cwd: Its working directory.
        name: As events name it.
        pid_1: True: it is told to end as the first process of a container is. The kernel
            does not deliver such a process a SIGTERM that it has no handler for. False: as
            under an init that hands signals on.
    """

    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)
    startup: Probe | None = None
    readiness: Probe | None = None
    liveness: Probe | None = None
    pre_stop: HookHandler | None = None
    cwd: str | None = None
    name: str = "app"
    pid_1: bool = True

    def __post_init__(self) -> None:
        validation.words("Container.command", self.command)
        validation.environment("Container.env", self.env)
        validation.ports("Container.ports", self.ports)
        validation.folder("Container.cwd", self.cwd)
        validation.label("Container.name", self.name)
        validation.flag("Container.pid_1", self.pid_1)
        if (hook := self.pre_stop) is not None:
            validation.kind("Container.pre_stop", hook, HttpGet, Exec, Sleep)
        self._refuse_probes()

    def _refuse_probes(self) -> None:
        for kind in ("startup", "readiness", "liveness"):
            probe: Probe | None = getattr(self, kind)
            if probe is None:
                continue
            validation.kind(f"Container.{kind}", probe, Probe)
            if kind != "readiness" and probe.success_threshold != 1:
                raise ValueError(f"{kind}: success_threshold must be 1")
        if self.readiness is not None and self.readiness.termination_grace_period is not None:
            raise ValueError("readiness: termination_grace_period must not be set")


@dataclass(frozen=True)
class PodSpec:
    """
    A pod.

    Args:
        container: What runs.
        name: As events name it.
        grace_period: terminationGracePeriodSeconds.
        restart_policy: `Always`; `OnFailure` or `Never` for jobs.
        ip: The pod's address, which probes and hooks ask. On Linux `127.0.0.2` finds the
            app that listens on 127.0.0.1 alone: in Kubernetes no probe would reach it.
    """

    container: Container
    name: str = "app"
    grace_period: float = 30.0
    restart_policy: RestartPolicy = "Always"
    ip: str = "127.0.0.1"

    def __post_init__(self) -> None:
        validation.kind("PodSpec.container", self.container, Container)
        validation.subdomain("PodSpec.name", self.name)
        validation.number("PodSpec.grace_period", self.grace_period)
        validation.one_of("PodSpec.restart_policy", self.restart_policy, *get_args(RestartPolicy))
        validation.address("PodSpec.ip", self.ip)
        hook = self.container.pre_stop
        if isinstance(hook, Sleep) and hook.seconds > self.grace_period:
            raise ValueError("preStop: a sleep must not be longer than the grace period")
