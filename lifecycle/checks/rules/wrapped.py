"""Rules about `lifecycle run --`: commands that pod-lifecycle starts as child processes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lifecycle.checks.commands.listening import is_loopback, listening, ports_of
from lifecycle.checks.rule import Found, Severity, Table
from lifecycle.checks.workloads.container import Container
from lifecycle.checks.workloads.workload import Workload
from lifecycle.exceptions import ConfigError
from lifecycle.service_names import service_spec

RULES: Final = Table()

_PAGE: Final = "any-server.md"


def _wrapped(workload: Workload) -> list[Container]:
    return [each for each in workload.containers if each.is_wrapped]


@RULES.add(
    "not-instrumented",
    Severity.WARNING,
    sources=(_PAGE,),
    fix=(
        "Start Python without -I, -E and -S, and keep PYTHONPATH, for example with "
        "PYTHONPATH=/app:$PYTHONPATH. If you cannot change the command, add --instrument=no to "
        "`lifecycle run`. You then accept the loss of requests on keep-alive connections."
    ),
)
def not_instrumented(workload: Workload) -> Iterator[Found]:
    """The workers start without pod-lifecycle's instrumentation.

    `lifecycle run --` adds a folder to PYTHONPATH. Python loads the instrumentation of the server from this folder.
    `python -I`, `-E` and `-S` do not read PYTHONPATH. `env -i`, `sudo` and `su -` do not pass it on.
    The drain still works, and new connections are served. But the responses do not announce the close of keep-alive connections (`Connection: close`), so the last request on such a connection may be lost.

    Scope:
        The rule sees only the words between `lifecycle run --` and the server.
    """
    for container in _wrapped(workload):
        run = container.lifecycle_run
        if run and not run.without_instrumentation and (why := run.loses_instrumentation):
            yield Found(container.command, f"{container.name}: {why}")


@RULES.add(
    "daemonizes",
    Severity.ERROR,
    sources=("https://docs.gunicorn.org/en/stable/settings.html#daemon", _PAGE),
    fix="Remove the option, so that the server stays in the foreground.",
)
def daemonizes(workload: Workload) -> Iterator[Found]:
    """The server becomes a daemon, so pod-lifecycle loses it.

    pod-lifecycle treats the exit of the command as the end of the app. The first process of a daemon exits at once.
    So the container exits, and Kubernetes restarts it again and again.
    For example, gunicorn becomes a daemon with `--daemon`, with `-D`, and with `daemon = True` in its configuration file. uWSGI does so with `--daemonize`.
    """
    for container in _wrapped(workload):
        server = container.wrapped_server
        if server and server.daemonizes:
            yield Found(container.command, f"{container.name}: {server.name} {server.daemonizes}")


@RULES.add(
    "service-port",
    Severity.ERROR,
    sources=(_PAGE,),
    fix=(
        "Use the port of the server in --service, and let the server listen on all addresses, for "
        "example: `lifecycle run --service shop:8000 -- gunicorn --bind 0.0.0.0:8000 …`."
    ),
)
def service_port(workload: Workload) -> Iterator[Found]:
    """The app service has a port on which the server does not listen.

    Clients use the port in `--service NAME:PORT` or LIFECYCLE_SERVICES. The server has its own option for the port.
    If the two ports differ, no client reaches the app.

    Severity:
        If the server listens only on the pod's loopback address, and no other container in the pod can forward requests, the finding is a warning.

    Scope:
        If one of several services has the server's port, the rule ignores the other services, because the app may open more ports.
    """
    for container in _wrapped(workload):
        server = container.wrapped_server
        heard = listening(server) if server else []
        services = _services(container) if heard else []
        served = [name for name, port in services if port in {each for _, each in heard}]
        for name, port in services:
            hosts = [host for host, each in heard if each == port]
            subject = f"{container.name}: the service is {name}:{port}, but"
            listens = f"{server.name if server else ''} listens on"
            if not served:
                yield Found(container.command, f"{subject} {listens} {ports_of(heard)}")
            elif hosts and all(map(is_loopback, hosts)) and len(workload.containers) == 1:
                message = f"{subject} {listens} {hosts[0]}, which only this pod can reach"
                yield Found(container.command, message, Severity.WARNING)


@RULES.add(
    "no-service",
    Severity.WARNING,
    sources=(_PAGE,),
    fix=(
        "Add --service with a name and the port of the server, for example: `lifecycle run --service "
        "shop:8000 -- gunicorn --bind 0.0.0.0:8000 …`. Or set LIFECYCLE_SERVICES=shop:8000."
    ),
)
def no_service(workload: Workload) -> Iterator[Found]:
    """A server under `lifecycle run --` has no app service.

    Without a service, the pod is READY before the server listens. So the first requests are refused.
    If pod-lifecycle does not support your server, it does not know the server's port either. The drain then does not wait for running requests.

    Scope:
        `lifecycle check` cannot see the variables of the image. If your image sets LIFECYCLE_SERVICES, turn the rule off.
    """
    for container in _wrapped(workload):
        run, server = container.lifecycle_run, container.wrapped_server
        if server is None or run is None or run.services or workload.is_partial:
            continue
        if container.is_known("services") and not container.value("LIFECYCLE_SERVICES"):
            yield Found(container.command, f"{container.name}: {server.name} has no --service")


def _services(container: Container) -> list[tuple[str, int]]:
    """Return the app services of a container whose ports are known."""
    run = container.lifecycle_run
    said = run.services if run else []
    if not said:
        texts = (container.value("LIFECYCLE_SERVICES") or "").split(",")
        try:
            said = [service_spec(each.strip()) for each in texts if each.strip()]
        except ConfigError:
            return []  # the rule `settings` reports it
    return [(name, port) for name, port in said if port is not None]
