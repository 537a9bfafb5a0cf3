"""What is wanted, and whether it adds up: before anything is written."""

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
from lifecycle.manifests import readiness_gate
from lifecycle.manifests.command import foreign_program, listeners, run_options, server_of, wrapped
from lifecycle.manifests.names import RUN_DIR
from lifecycle.manifests.validation import (
    Refused,
    check_amount,
    check_label,
    check_run_dir,
    check_text,
)
from lifecycle.service_names import service_spec

DEFAULT_USER: Final = 10001
ISTIO: Final = {
    "sidecar-istio": ("LIFECYCLE_ISTIO_WAIT",),
    "job-istio": ("LIFECYCLE_ISTIO_WAIT", "LIFECYCLE_ISTIO_QUIT"),
}
"""What lifecycle-istio is told to do, by profile."""
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
    What the manifests are made from.

    Attributes:
        name: Of the Deployment or Job, and of what belongs to it.
        image: None in a component: it is the other manifest's.
        command: The app's, without a shell; empty in a component: as above.
        wrapped: Whether the command was given as a server's own, and is now under `lifecycle run --`.
        services: Name and port, as the app exports them.
        env: The app's variables, those of the settings among them.
        profile: `app`, `sidecar-istio`, `job` or `job-istio`.
        user: The uid that it runs as; None in a component: the whole security context is the
            other manifest's.
        registry: Whether lifecycle-kubernetes registers the pod.
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

    def __post_init__(self) -> None:
        check_label("--name", self.name)
        check_label("--container", self.container or self.name)
        check_amount("cpu", self.cpu)
        check_amount("memory", self.memory)
        for word in self.command:
            check_text(f"the command's {word!r}", word)
        for name, value in self.env.items():
            check_text(f"the value of {name}", value)
        if self.command and not self.command[0]:
            raise Refused("the app's command, after --, is empty")
        for name, port in self.services:
            check_label("service", name)
            if port == self.config.qos_port:
                raise Refused(
                    f"service {name}:{port} has the QOS port: LIFECYCLE_QOS_PORT names another"
                )
        if len({name for name, _ in self.services}) < len(self.services):
            raise Refused("a service is named twice")
        if self.is_job and self.services:
            raise Refused(
                f"--profile={self.profile} serves nobody: leave --service and LIFECYCLE_SERVICES out"
            )
        check_run_dir(self.run_dir, self.config.qos_port)

    @property
    def config(self) -> Config:
        """The settings that the app will find."""
        return Config.from_environ(self.env)

    @property
    def grace(self) -> int:
        """The grace period: whole seconds, for the kubelet and the drain alike."""
        return int(self.config.grace_period)

    @property
    def run_dir(self) -> str:
        """The folder of the control socket."""
        return self.config.run_dir

    @property
    def is_job(self) -> bool:
        """Whether it runs to its end, and serves nobody."""
        return self.profile.startswith("job")

    @property
    def in_mesh(self) -> bool:
        """Whether Istio's sidecar is beside it."""
        return self.profile.endswith("-istio")

    @property
    def registers(self) -> bool:
        """Whether there is something to register, and who does it."""
        return self.registry and bool(self.services)


def make_plan(options: argparse.Namespace, environ: Mapping[str, str]) -> Plan:
    """
    Make a plan from the options of the command and the settings of an environment.

    Raises:
        Refused: It does not add up.
    """
    component = options.output == "kustomize"
    if not component and not (options.image and options.command):
        missing = "--image" if not options.image else "the app's command, after --"
        raise Refused(f"{missing} is missing")
    if (options.to is not None) != component:
        raise Refused("-o kustomize writes several files, into the folder of --to; the others none")
    if component and options.replicas:
        raise Refused("a component leaves the replicas as they are: without --replicas")
    if options.image is not None and not re.fullmatch(r"[\w][\w./:@-]*", options.image, re.ASCII):
        raise Refused(f"--image {options.image!r} is no image")
    if options.profile.startswith("job") and (component or options.replicas):
        raise Refused(
            f"--profile={options.profile} is a Job of one pod: without --replicas, and no component"
        )
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
        env.pop("LIFECYCLE_PRESTOP_TOKEN", None)  # a secret that nobody needs
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
    )


def _registry(services: Sequence[object], env: Mapping[str, str], *, asked: bool | None) -> bool:
    """Decide whether lifecycle-kubernetes registers the pod."""
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
    """Return the command as the container gets it, and its services; adds to its variables."""
    command: list[str] = options.command
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
            f"--service NAME:PORT is missing: the port of {foreign} is not known. If it serves "
            "nothing, put `lifecycle run --` in front of it"
        )
    return (wrapped(command, services) if server or foreign else command), services


def doubts(plan: Plan) -> list[str]:
    """Return the sentences about what may be a mistake."""
    unknown = unknown_variables(plan.env, core_variables()).values()
    return [each for each in unknown if "did you mean" in each] + [*_unheard(plan)]


def _unheard(plan: Plan) -> Iterator[str]:
    """Give the services that the command, as far as it says so, does not serve."""
    heard = listeners(plan.command, plan.env)
    for name, port in plan.services:
        hosts = [host for host, each in heard if each == port]
        if heard and not hosts:
            ports = ", ".join(str(each) for _, each in heard)
            yield f"service {name}:{port}: the command listens on {ports}"
        if hosts and all(map(is_loopback, hosts)):
            yield f"service {name}:{port}: the command listens on {hosts[0]}, in the pod alone"
    if not plan.services and "--service" in " ".join(plan.command):
        yield "--service in the command is not understood: say it before -- too"


def _environment(given: Iterable[str], environ: Mapping[str, str]) -> dict[str, str]:
    env = {
        name: value
        for name, value in sorted(environ.items())
        if name.startswith(PREFIX) and not is_service_link(name, value)
    }
    for each in given:
        name, equals, value = each.partition("=")
        if not equals or not _ENV_NAME.fullmatch(name):
            raise Refused(f"--env {each!r}: must be NAME=VALUE")
        env[name] = value
    return env


def _services(
    given: Sequence[str], command: Sequence[str], config: Config, env: Mapping[str, str]
) -> list[tuple[str, int]]:
    """Return the services: those given, else those of the command, else those of the settings."""
    default = next((port for _, port in listeners(command, env)), None)

    def with_ports(said: Iterable[str]) -> list[tuple[str, int]]:
        found = []
        for name, port in map(service_spec, said):
            if port is None and default is None:
                raise Refused(f"service {name}: a port is needed, {name}:PORT")
            found.append((name, port or default or 0))
        return found

    run = run_options(command)
    exported = with_ports((run.service if run is not None else None) or ())
    wanted = with_ports(given)
    if wanted and exported and set(wanted) != set(exported):
        raise Refused(
            f"--service {_shown(wanted)} is not what the command exports, {_shown(exported)}: "
            "leave it out"
        )
    return wanted or exported or with_ports(config.services)


def _reachable(server: ServerCommand, services: Sequence[str]) -> dict[str, str]:
    """Return the variables by which a server that is told no address listens on all of them."""
    if server.name == "gunicorn":
        told = server.given("--bind", "-b", "--config", "-c") or server.default_port
        said = [port for _, port in map(service_spec, services) if port]
        return {} if told else {"PORT": str(next(iter(said), _GUNICORN_PORT))}
    variable = _HOST_VARIABLES.get(server.name)
    if variable is None or server.given("--host", "-h", "--uds", "--fd") or server.default_host:
        return {}
    return {variable: "0.0.0.0"}  # noqa: S104 - of the pod


def _port(server: ServerCommand) -> int:
    """Return the port of the service that a server alone makes."""
    heard = listening(server)
    if not heard:
        raise Refused(f"--service NAME:PORT is missing: the port of {server.name} is not known")
    return heard[0][1]


def _shown(services: Iterable[tuple[str, int]]) -> str:
    return ",".join(f"{name}:{port}" for name, port in services)
