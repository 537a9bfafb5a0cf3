"""The spec of a pod: the fields of a manifest that a kubelet acts on, with their defaults."""

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
    An HTTP GET request.

    Args:
        port: A number, or the name of one of the container's ports.
        path: The path, with its query.
        host: The host, or None for the pod's own address.
        scheme: `http` or `https`. Certificates are not verified.
        headers: Pairs of name and value. They replace the kubelet's own headers of the same name.

    Raises:
        TypeError: An argument has the wrong type, for example headers in a dict.
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
    A command in the container, with the container's environment and working directory.

    Args:
        command: The words of the command. No shell is involved.
    """

    command: Sequence[str]

    def __post_init__(self) -> None:
        validation.words("Exec.command", self.command)


@dataclass(frozen=True)
class TcpSocket:
    """
    A TCP connection that is opened and closed.

    Args:
        port: A number, or the name of one of the container's ports.
        host: The host, or None for the pod's own address.
    """

    port: int | str
    host: str | None = None

    def __post_init__(self) -> None:
        validation.port("TcpSocket.port", self.port)
        validation.host("TcpSocket.host", self.host)


@dataclass(frozen=True)
class Sleep:
    """
    A pause. Only for preStop.

    Args:
        seconds: The duration in seconds.
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
        handler: The request or command of the probe.
        initial_delay: Seconds from the container's start to the first probe.
        period: Seconds between two probes.
        timeout: Seconds for the whole answer, including connecting.
        success_threshold: Successes in a row after which the probe counts as passed.
        failure_threshold: Failures in a row after which the probe counts as failed.
        termination_grace_period: The grace period for a restart that this probe causes, or None for
            the pod's. Only for liveness and startup.
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
    The only container of a pod: a real process.

    Args:
        command: The words of the command. `$(NAME)` is replaced from its environment, as in a
            manifest.
        env: Variables to add to this process's environment, without its `LIFECYCLE_*` variables.
            `$(NAME)` is replaced by the value of an earlier variable.
        ports: Numbers by name. 0 stands for a free port per pod, which stays the same after a
            restart. The container gets the number of `http` in its variable `PORT_HTTP`.
        startup: The startup probe. The other two probes wait until it has passed once.
        readiness: The readiness probe. It decides whether the pod gets traffic.
        liveness: The liveness probe. If it fails, the container is restarted.
        pre_stop: The hook before SIGTERM, which runs within the grace period.
        cwd: The working directory.
        name: The name in events.
        pid_1: Whether the process ends like the first process of a container. The kernel does not
            deliver SIGTERM to such a process if it has no handler for it. False: as under an
            init process that forwards signals.
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
        container: The container.
        name: The name in events.
        grace_period: terminationGracePeriodSeconds.
        restart_policy: `Always`, or `OnFailure` or `Never` for jobs.
        ip: The pod's address, for probes and hooks. On Linux, use `127.0.0.2` to detect an app that
            listens only on 127.0.0.1: in Kubernetes, no probe would reach such an app.
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
