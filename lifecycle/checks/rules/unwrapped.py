"""Rules about servers and queue workers that start without `lifecycle run --`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lifecycle.checks.commands.listening import is_loopback, listening
from lifecycle.checks.commands.servers import ServerCommand
from lifecycle.checks.rule import TERMINATION, Found, Severity, Table
from lifecycle.checks.rules import launchers, managed, termination
from lifecycle.checks.workloads.container import Container
from lifecycle.checks.workloads.knative import KNATIVE
from lifecycle.checks.workloads.unwrapped import Unwrapped, is_hidden, unwrapped
from lifecycle.checks.workloads.workload import Workload

RULES: Final = Table()


@RULES.add(
    "not-wrapped",
    Severity.ERROR,
    sources=("any-server.md", "queue-workers.md"),
    fix=(
        "Put `lifecycle run --service NAME:PORT --` in front of the command, for example: `lifecycle "
        "run --service shop:8000 -- gunicorn --bind 0.0.0.0:8000 shop.wsgi`. For a queue worker, "
        "leave out --service. Install pod-lifecycle in the image. If a warning is about an app that "
        "uses `Managed`, name not-wrapped in the annotation pod-lifecycle.dev/ignore."
    ),
)
def not_wrapped(workload: Workload) -> Iterator[Found]:
    """A probe or preStop needs pod-lifecycle, but the command starts without it.

    The command starts a server or a queue worker without `lifecycle run --`. So nothing opens pod-lifecycle's probe port (QOS port).
    The probes fail. The pod then never becomes Ready, or Kubernetes restarts it again and again. The preStop hook fails too, so no drain starts.
    For example, `celery -A shop worker` does not open port 22222, but `lifecycle run -- celery -A shop worker` does.

    Severity:
        If pod-lifecycle cannot run inside the app, the finding is an error. Such programs are celery, dramatiq, rq, waitress, `flask run` and uWSGI. gunicorn without `-k` and `-c` is one too, if the module of the app is called `wsgi`, as in Django.
        If the app may use `Managed` or `Lifecycle`, the finding is a warning.
        If the manifest has `args` but no `command`, it is a warning too. The ENTRYPOINT of the image may then be `lifecycle run --`.

    Scope:
        Under an ASGI server such as uvicorn, the manifest of an app with `Managed` looks the same. So the rule reports such a server only if there is a sign that `Managed` does not run:

        - gunicorn has no `-k` and no `-c`, or granian has no `--interface`. By default, they do not run the lifespan that `Managed` needs.
        - The module of the app creates the app, for example with `FastAPI(…)`, and does not import `lifecycle`. `lifecycle check` reads the module in the folder of the manifest, in a folder above, or in the folder `src` there.

        For sanic's own server, the rule needs no sign, because this server does not run `Managed`. But the app may start `Lifecycle` itself.
        The rule finds nothing if the image contains the command, or if a script or a program in the background may open the port.
        It finds nothing either if the container sets LIFECYCLE_SERVICES, if another container of the pod may open the port, or if a rule about `Managed` already reports the container.
    """
    reported = {
        workload.container_at(each.node) for rule in managed.RULES for each in rule.find(workload)
    }
    for container, program in unwrapped(workload):
        if container.name in reported or not container.needs_lifecycle:
            continue
        doubtful = container.has_hidden_entrypoint or not program.is_certain
        sign = f"and {program.sign}" if program.sign else f"but {_needs(container)}"
        yield Found(
            container.command,
            f"{container.name}: {program.name} runs without lifecycle run, {sign}",
            Severity.WARNING if doubtful else None,
            fix=_fix(container, program),
        )


def _needs(container: Container) -> str:
    asks = any(each.is_qos for each in container.probes.values())
    return f"the probes use the QOS port {container.qos_port}" if asks else "preStop needs it"


def _fix(container: Container, program: Unwrapped) -> str:
    fix = _put(container, program.server)
    if container.has_hidden_entrypoint:
        return f"{fix} If the ENTRYPOINT of the image is `lifecycle run --`, ignore this."
    uses = "starts `Lifecycle` itself" if program.name == "sanic" else "uses `Managed`"
    return fix if program.is_certain else f"{fix} If your app {uses}, ignore this."


def _put(container: Container, server: ServerCommand | None) -> str:
    service = f"--service {container.name}:{_port(container, server)} " if server else ""
    return (
        f"Put `lifecycle run {service}--` in front of the command, and install pod-lifecycle in the "
        f"image."
    )


def _port(container: Container, server: ServerCommand) -> str:
    """Return the port of a server, from its command or the declared ports. PORT if not known."""
    declared = [each.at("containerPort").number(0) for each in container.ports]
    ports = {port for _, port in listening(server)} or {*declared} - {container.qos_port}
    return f"{ports.pop():g}" if len(ports) == 1 else "PORT"


_FIRST: Final = ("shell-pid-1", "conda-run", "process-manager", "stop-signal", "reload")
"""Rules that report why SIGTERM does not stop the server in order, or why it is for development."""


@RULES.add(
    "no-prestop",
    Severity.WARNING,
    sources=(TERMINATION, "concepts.md", "any-server.md"),
    fix=(
        "Put `lifecycle run --service NAME:PORT --` in front of the command, and install "
        "pod-lifecycle in the image. At least add a preStop sleep, for example sleep: {seconds: 5}, "
        "which protects new connections only."
    ),
)
def no_prestop(workload: Workload) -> Iterator[Found]:
    """The server stops at SIGTERM, though clients still find the pod.

    Kubernetes sends SIGTERM and removes the pod from its Services at the same time. Clients notice the removal later, and send requests until then.
    The server closes its port at SIGTERM, so these requests are refused. Every rolling update may lose requests in this way.
    `lifecycle run --` keeps the server running until no client sends requests any more. A preStop sleep delays SIGTERM.

    Scope:
        The rule knows servers such as uvicorn, gunicorn, hypercorn and granian. The container must have a port or a readiness probe.
        It finds nothing in Jobs, in Knative, in patches, and in containers with a preStop hook. It finds nothing either if a script or the ENTRYPOINT of the image may start something else, or if another container forwards the requests.
        If a rule reports that the server is for development, or that SIGTERM does not reach it, fix that first. Such rules are reload, shell-pid-1, conda-run, process-manager and stop-signal.
    """
    if (
        workload.is_job
        or workload.is_partial
        or workload.document.group == KNATIVE
        or workload.ours
    ):
        return
    rules = (each for each in (*launchers.RULES, *termination.RULES) if each.name in _FIRST)
    reported = {
        workload.container_at(found.node) for each in rules for found in each.find(workload)
    }
    for container in workload.apps:
        server = _stopping(container, workload)
        if server is not None and container.name not in reported:
            fix = (
                f"{_put(container, server)} At least add a preStop sleep, for example sleep: "
                "{seconds: 5}, which protects new connections only."
            )
            signal = container.node.at("lifecycle", "stopSignal").text() or "SIGTERM"
            message = f"{container.name}: {server.name} stops at {signal}, and there is no preStop"
            yield Found(container.command, message, fix=fix)


def _stopping(container: Container, workload: Workload) -> ServerCommand | None:
    """Return the server that a container certainly starts, and that SIGTERM stops too early."""
    if container.pre_stop or container.needs_lifecycle or not workload.serves(container):
        return None
    if container.has_hidden_entrypoint or is_hidden(container.words) or container.lifecycle_run:
        return None
    server = container.any_server
    hosts = [host for host, _ in listening(server)] if server else []
    if hosts and all(map(is_loopback, hosts)) and len(workload.containers) > 1:
        return None
    return server
