"""Rules about `lifecycle run --`: a command that pod-lifecycle starts as its child."""

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
        "Start Python without -I, -E and -S, and keep PYTHONPATH: write PYTHONPATH=/app:$PYTHONPATH. "
        "If you cannot change the command, add --instrument=no to `lifecycle run`, so that the "
        "loss of keep-alive connections is a decision."
    ),
)
def not_instrumented(workload: Workload) -> Iterator[Found]:
    """The workers start without pod-lifecycle's instrumentation.

    `lifecycle run --` puts a folder on PYTHONPATH. Python loads the instrumentation of the server from it.
    `python -I`, `-E` and `-S` do not read PYTHONPATH. `env -i`, `sudo` and `su -` do not pass it on.
    The drain still works, and new connections are served. But keep-alive connections are not told to close, so the last request on such a connection may be lost.
    The rule sees only what stands between `lifecycle run --` and the server.
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
    """The server leaves the process that `lifecycle run --` has started.

    pod-lifecycle takes the end of the command for the end of the app. A server that becomes a daemon ends its first process at once.
    So the container exits, and Kubernetes restarts it again and again.
    For example, gunicorn does so with `--daemon`, with `-D`, and with `daemon = True` in its configuration file. uWSGI does so with `--daemonize`.
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
        "Give --service the port on which the server listens, and let the server listen on all "
        "addresses: `lifecycle run --service shop:8000 -- gunicorn --bind 0.0.0.0:8000 …`."
    ),
)
def service_port(workload: Workload) -> Iterator[Found]:
    """The exported service names a port on which the server does not listen.

    `--service NAME:PORT`, or LIFECYCLE_SERVICES, tells clients where the app is. The server has its own option for the port.
    If the two differ, no client reaches the app.
    If one of several services has the server's port, the rule leaves the others alone, because the app may open a port of its own.
    It is a warning if the server listens on the pod's loopback address only, and no other container of the pod can pass requests on.
    """
    for container in _wrapped(workload):
        server = container.wrapped_server
        heard = listening(server) if server else []
        services = _services(container) if heard else []
        served = [name for name, port in services if port in {each for _, each in heard}]
        for name, port in services:
            hosts = [host for host, each in heard if each == port]
            who = f"{container.name}: service {name}:{port}"
            if not served:
                listens = f"{server.name if server else ''} listens on {ports_of(heard)}"
                yield Found(container.command, f"{who}, and {listens}")
            elif hosts and all(map(is_loopback, hosts)) and len(workload.containers) == 1:
                message = f"{who} listens on {hosts[0]}, which only this pod reaches"
                yield Found(container.command, message, Severity.WARNING)


@RULES.add(
    "no-service",
    Severity.WARNING,
    sources=(_PAGE,),
    fix=(
        "Name the service and the port of the server: `lifecycle run --service shop:8000 -- "
        "gunicorn --bind 0.0.0.0:8000 …`. Or set LIFECYCLE_SERVICES=shop:8000."
    ),
)
def no_service(workload: Workload) -> Iterator[Found]:
    """A server under `lifecycle run --` exports no service.

    Without a service, the pod is READY before the server listens, so the first requests are refused.
    The drain does not wait for clients that still find the pod, because pod-lifecycle does not expect any.
    If the image sets LIFECYCLE_SERVICES, turn the rule off.
    """
    for container in _wrapped(workload):
        run, server = container.lifecycle_run, container.wrapped_server
        if server is None or run is None or run.services or workload.is_partial:
            continue
        if container.is_known("services") and not container.value("LIFECYCLE_SERVICES"):
            yield Found(container.command, f"{container.name}: {server.name} without --service")


def _services(container: Container) -> list[tuple[str, int]]:
    """Return the services that a container exports, as far as their ports are said."""
    run = container.lifecycle_run
    said = run.services if run else []
    if not said:
        texts = (container.value("LIFECYCLE_SERVICES") or "").split(",")
        try:
            said = [service_spec(each.strip()) for each in texts if each.strip()]
        except ConfigError:
            return []  # `settings` says it
    return [(name, port) for name, port in said if port is not None]
