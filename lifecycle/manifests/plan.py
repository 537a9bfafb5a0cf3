"""The plan for the manifests: the options, the settings, and the checks before anything is written."""

from __future__ import annotations

import argparse
import math
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from lifecycle.checks.commands.listening import is_loopback, listening
from lifecycle.checks.commands.servers import ServerCommand
from lifecycle.config import Config, core_variables
from lifecycle.environment_variables import PREFIX, is_service_link, unknown_variables
from lifecycle.exceptions import ConfigError
from lifecycle.manifests import control_plane, metrics, readiness_gate
from lifecycle.manifests.command import (
    foreign_program,
    is_queue_worker,
    listeners,
    run_options,
    server_of,
    unknown_program,
    wrapped,
)
from lifecycle.manifests.names import RUN_DIR
from lifecycle.manifests.rights import Rule, rules
from lifecycle.manifests.validation import (
    Refused,
    check_amount,
    check_label,
    check_run_dir,
    check_text,
    check_words,
)
from lifecycle.service_names import service_spec

DEFAULT_USER: Final = 10001
ISTIO: Final = {
    "sidecar-istio": ("LIFECYCLE_ISTIO_WAIT",),
    "job-istio": ("LIFECYCLE_ISTIO_WAIT", "LIFECYCLE_ISTIO_QUIT"),
}
"""Variables that turn functions of lifecycle-istio on, by profile."""
_OUR_PLUGINS: Final = tuple(
    f"{PREFIX}{name}_" for name in ("KUBERNETES", "ISTIO", "TCP", "HTTP", "DISK", "PROMETHEUS")
)
"""Prefixes of the variables of our plugins, which need not be installed here."""
_GUNICORN_PORT: Final = 8000
_HOST_VARIABLES: Final = {
    "uvicorn": "UVICORN_HOST",
    "granian": "GRANIAN_HOST",
    "flask": "FLASK_RUN_HOST",
}
_ENV_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """
    All values that the manifests are made from.

    Attributes:
        name: Name of the Deployment or Job, and of the objects that belong to it.
        image: Image of the app. None in a component, which keeps the image of the Deployment.
        command: Command of the app. Empty in a component that keeps the command of the Deployment.
        wrapped: Whether `lifecycle run --` was put in front of the command.
        services: Names and ports of the app services.
        env: The variables of the app, including its settings.
        replicas: Number of pods, from 1.
        profile: `app`, `sidecar-istio`, `job`, `job-istio` or `control-plane`.
        prestop: Kind of the preStop hook: `exec` or `http`.
        guaranteed: Whether requests and limits are equal.
        cpu: CPU request, as a quantity of Kubernetes.
        memory: Memory request and limit, as a quantity of Kubernetes.
        user: The uid of the app. None in a component that keeps the whole security context.
        container: Name of the container. Empty for the name of the Deployment.
        registry: Whether lifecycle-kubernetes registers the pod and reports its state.
        start_time: Time limit for a start, in seconds, from 1 to 86400. None for 120 startup probes.
        metrics: How Prometheus finds the pods: one of `metrics.WAYS`, or empty.
        control_plane: The values of the profile `control-plane`. None for the others.

    Raises:
        Refused: Kubernetes or the app would refuse a value.
    """

    name: str
    image: str | None = None
    command: Sequence[str] = ()
    wrapped: bool = False
    services: Sequence[tuple[str, int]] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    replicas: int = 2
    profile: str = "app"
    prestop: str = "exec"
    guaranteed: bool = False
    cpu: str = "250m"
    memory: str = "256Mi"
    user: int | None = DEFAULT_USER
    container: str = ""
    registry: bool = True
    start_time: int | None = None
    metrics: str = ""
    control_plane: control_plane.ControlPlane | None = None

    def __post_init__(self) -> None:
        check_label("--name", self.name)
        check_label("--container", self.container or self.name)
        check_amount("cpu", self.cpu)
        check_amount("memory", self.memory)
        for word in self.command:
            check_text(f"the word {word!r} of the app's command", word)
        for name, value in self.env.items():
            check_text(f"the value of {name}", value)
        if self.command and not self.command[0]:
            raise Refused("the app's command, after --, is empty")
        for name, port in self.services:
            check_label("service", name)
            if port == self.config.qos_port:
                raise Refused(
                    f"service {name}:{port} uses the QOS port of pod-lifecycle. Choose another QOS "
                    f"port with --env LIFECYCLE_QOS_PORT=PORT"
                )
        if len({name for name, _ in self.services}) < len(self.services):
            raise Refused("two services have the same name. Use each name once")
        if self.is_job and self.services:
            raise Refused(
                f"--profile={self.profile} cannot have app services. Remove --service and "
                "LIFECYCLE_SERVICES"
            )
        if self.metrics and (problem := metrics.refusal(self.env, self.command)):
            raise Refused(problem)
        check_run_dir(self.run_dir, self.config.qos_port)

    @property
    def config(self) -> Config:
        """The settings, as the app will read them."""
        return Config.from_environ(self.env)

    @property
    def grace(self) -> int:
        """The grace period of the kubelet and of the drain, in whole seconds."""
        return int(self.config.grace_period)

    @property
    def run_dir(self) -> str:
        """The folder of the control socket."""
        return self.config.run_dir

    @property
    def is_job(self) -> bool:
        """Whether the app is a job, which ends by itself and has no clients."""
        return self.profile.startswith("job")

    @property
    def in_mesh(self) -> bool:
        """Whether the pod has Istio's sidecar."""
        return self.profile.endswith("-istio")

    @property
    def registers(self) -> bool:
        """Whether the pod has app services that lifecycle-kubernetes registers."""
        return self.registry and bool(self.services)

    @property
    def rules(self) -> list[Rule]:
        """The rules of the Role. Empty without lifecycle-kubernetes, and for a job."""
        if not self.registry or self.is_job:
            return []
        return rules(self.env, registers=self.registers)


def make_plan(options: argparse.Namespace, environ: Mapping[str, str]) -> Plan:
    """
    Make a plan from the options of `lifecycle manifests` and the variables of the shell.

    Args:
        options: The parsed options.
        environ: The variables of the shell.

    Raises:
        Refused: Options and variables contradict each other, or a value is not valid.
    """
    plane = control_plane.of_options(options)
    if plane is not None:
        options = control_plane.completed(options, plane)
    component = options.output == "kustomize"
    _refuse_contradictions(options, component=component)
    env = _environment(options.env, environ)
    try:
        command, services = _command(options, env)
        run = run_options(command)
        if services and not (run is not None and run.service):
            env["LIFECYCLE_SERVICES"] = _shown(services)
        grace = math.ceil(Config.from_environ(env).grace_period)
    except ConfigError as error:
        raise Refused(str(error)) from None
    env["LIFECYCLE_GRACE_PERIOD"] = str(grace)
    env.setdefault("LIFECYCLE_RUN_DIR", RUN_DIR)
    for name in ISTIO.get(options.profile, ()):
        env.setdefault(name, "true")
    if options.prestop == "http":
        env.setdefault("LIFECYCLE_PRESTOP_TOKEN", secrets.token_urlsafe(24))
    else:
        env.pop("LIFECYCLE_PRESTOP_TOKEN", None)  # an exec hook does not need this secret
    return Plan(
        name=options.name,
        image=options.image,
        command=tuple(command),
        wrapped=command != options.command,
        services=services,
        env=env,
        replicas=options.replicas or 2,
        profile=options.profile,
        prestop=options.prestop,
        guaranteed=options.guaranteed,
        cpu=options.cpu,
        memory=options.memory,
        user=options.user or (None if component else DEFAULT_USER),
        container=options.container or "",
        registry=_registry(services, env, asked=options.readiness_gate),
        start_time=options.start_time,
        metrics=options.metrics or "",
        control_plane=plane,
    )


def _refuse_contradictions(options: argparse.Namespace, *, component: bool) -> None:
    if not component and not (options.image and options.command):
        missing = "--image" if not options.image else "the app's command, after --,"
        raise Refused(f"{missing} is missing. Only -o kustomize works without it")
    if (options.to is not None) != component:
        raise Refused("--to DIR is required with -o kustomize and not allowed with other formats")
    if component and options.replicas:
        raise Refused("-o kustomize does not change the replicas. Remove --replicas")
    check_words(options.command)
    if options.image is not None and not re.fullmatch(r"[\w][\w./:@-]*", options.image, re.ASCII):
        raise Refused(f"--image {options.image!r} is not the name of an image")
    if options.profile.startswith("job") and (component or options.replicas):
        raise Refused(
            f"--profile={options.profile} writes a Job of one pod. Remove --replicas and -o kustomize"
        )


def _registry(services: Sequence[object], env: Mapping[str, str], *, asked: bool | None) -> bool:
    """Decide whether lifecycle-kubernetes is used."""
    if asked and not services:
        raise Refused(
            "--readiness-gate needs an app service, because the gate opens when a service is "
            "registered. Add --service NAME:PORT"
        )
    if asked is not None:
        return asked
    return not readiness_gate.is_turned_off(env) and readiness_gate.is_installed()


def _command(
    options: argparse.Namespace, env: dict[str, str]
) -> tuple[list[str], list[tuple[str, int]]]:
    """Return the command of the container and its services. Add the variables that it needs."""
    command: list[str] = options.command
    if is_queue_worker(command):  # otherwise it would fetch tasks until the settle time is over
        for name in ("LIFECYCLE_SETTLE", "LIFECYCLE_QUIET"):
            env.setdefault(name, "0")
    alone = not options.profile.startswith("job") and run_options(command) is None
    server = server_of(command, env) if alone else None
    foreign = foreign_program(command) if alone else ""
    if server is not None:
        env |= _reachable(server, options.service)
    services = _services(options.service, command, Config.from_environ(env), env)
    if server is not None:
        services = services or [(options.name, _port(server))]
    elif foreign and not services:
        raise Refused(
            f"--service NAME:PORT is missing, because the port of {foreign} is not known. If "
            f"{foreign} has no clients, put `lifecycle run --` in front of the command"
        )
    wraps = server is not None or bool(foreign) or (alone and is_queue_worker(command))
    return (wrapped(command, services) if wraps else command), services


def misspelt(plan: Plan) -> list[str]:
    """Return a warning for each variable whose name is close to that of a setting."""
    unknown = unknown_variables(plan.env, core_variables()).values()
    return [
        each for each in unknown if "Did you mean" in each and not each.startswith(_OUR_PLUGINS)
    ]


def unopened(plan: Plan) -> str:
    """Return a warning if the command may not open the QOS port. Empty if there is no doubt."""
    if plan.is_job or plan.wrapped or run_options(plan.command) is not None:
        return ""
    program = unknown_program(plan.command)
    return program and (
        f"the probes ask port {plan.config.qos_port}, which {program} opens only if the app itself "
        "calls lifecycle.run(). If the app does not, put `lifecycle run --` in front of the command"
    )


def doubts(plan: Plan) -> Iterator[str]:
    """Give a warning for each service that the command does not seem to serve."""
    heard = listeners(plan.command, plan.env)
    for name, port in plan.services:
        hosts = [host for host, each in heard if each == port]
        if heard and not hosts:
            ports = ", ".join(str(each) for _, each in heard)
            yield f"the service is {name}:{port}, but the command listens on {ports}"
        if hosts and all(map(is_loopback, hosts)):
            yield (
                f"no client can reach service {name}:{port}, because the command listens on "
                f"{hosts[0]}, inside the pod only"
            )
    if not plan.services and "--service" in " ".join(plan.command):
        yield (
            "--service in the app's command cannot be read, so no Service is written. Add --service "
            "NAME:PORT before -- too"
        )


def _environment(given: Iterable[str], environ: Mapping[str, str]) -> dict[str, str]:
    env = {
        name: value
        for name, value in sorted(environ.items())
        if name.startswith(PREFIX) and not is_service_link(name, value)
    }
    for each in given:
        name, equals, value = each.partition("=")
        if not equals or not _ENV_NAME.fullmatch(name):
            raise Refused(f"--env {each!r} must have the form NAME=VALUE")
        env[name] = value
    return env


def _services(
    given: Sequence[str], command: Sequence[str], config: Config, env: Mapping[str, str]
) -> list[tuple[str, int]]:
    """Return the app services: from the options, or the command, or the settings."""
    default = next((port for _, port in listeners(command, env)), None)

    def with_ports(said: Iterable[str]) -> list[tuple[str, int]]:
        found = []
        for name, port in map(service_spec, said):
            if port is None and default is None:
                raise Refused(f"service {name} needs a port. Write {name}:PORT")
            found.append((name, port or default or 0))
        return found

    run = run_options(command)
    exported = with_ports((run.service if run is not None else None) or ())
    wanted = with_ports(given)
    if wanted and exported and set(wanted) != set(exported):
        raise Refused(
            f"--service {_shown(wanted)} contradicts the app's command, which has "
            f"{_shown(exported)}. Remove --service before --"
        )
    return wanted or exported or with_ports(config.services)


def _reachable(server: ServerCommand, services: Sequence[str]) -> dict[str, str]:
    """Return the variables that make a server without an address listen on all addresses."""
    if server.name == "gunicorn":
        told = server.given("--bind", "-b", "--config", "-c") or server.default_port
        said = [port for _, port in map(service_spec, services) if port]
        return {} if told else {"PORT": str(next(iter(said), _GUNICORN_PORT))}
    variable = _HOST_VARIABLES.get(server.name)
    if variable is None or server.given("--host", "-h", "--uds", "--fd") or server.default_host:
        return {}
    return {variable: "0.0.0.0"}  # noqa: S104 - of the pod


def _port(server: ServerCommand) -> int:
    """Return the port on which a server listens."""
    heard = listening(server)
    if not heard:
        raise Refused(
            f"--service NAME:PORT is missing, because the port of {server.name} is not known"
        )
    return heard[0][1]


def _shown(services: Iterable[tuple[str, int]]) -> str:
    return ",".join(f"{name}:{port}" for name, port in services)
