"""Rules about `Managed`: a lifecycle under a server that somebody else started."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lifecycle.checks.commands.http_requests import fetches
from lifecycle.checks.commands.scripts import only_sleeps
from lifecycle.checks.commands.servers import WORKERS, ServerCommand, read_options
from lifecycle.checks.commands.steps import steps
from lifecycle.checks.node import digits
from lifecycle.checks.rule import UVICORN, Found, Severity, Table
from lifecycle.checks.workloads.container import Container
from lifecycle.checks.workloads.workload import Workload

RULES: Final = Table()

_TAKEN: Final = (
    "https://gitlab.com/gitlab-org/modelops/applied-ml/code-suggestions/ai-assist/"
    "-/merge_requests/776"
)

_READ: Final = (
    "sleep", "true", "false", ":", "exit", "echo", "printf", "date", "set", "wait", "kill", "pkill",
    "killall", "test", "[", "touch", "rm", "cat", "nginx",
)  # fmt: skip
"""What starts no drain, whatever its arguments are."""
_VARIABLES: Final = ("UVICORN_WORKERS", "GRANIAN_WORKERS", "WEB_CONCURRENCY")


def _managed(workload: Workload) -> list[tuple[Container, ServerCommand]]:
    return [
        (each, each.server_command) for each in workload.ours if each.server_command is not None
    ]


@RULES.add(
    "managed-lifespan",
    Severity.ERROR,
    sources=("https://github.com/django/daphne/issues/264", "hosts.md"),
    fix=(
        "Put `lifecycle run --service NAME:PORT --` in front of the command, which needs no "
        "lifespan. Or run the app with `lifecycle run --asgi`, or under a server that runs the "
        "lifespan: uvicorn, hypercorn, or granian with `--interface asgi`."
    ),
)
def managed_lifespan(workload: Workload) -> Iterator[Found]:
    """The server never starts pod-lifecycle.

    `Managed` starts pod-lifecycle in the lifespan of the ASGI app. This server, or this option, does not run the lifespan.
    So the QOS port stays closed, every probe of it fails, and the app answers each request with an error.
    For example, daphne never runs the lifespan. uvicorn does not run it with `--lifespan off`, granian with `--interface wsgi` and gunicorn with `-k gthread`.
    """
    for container, server in _managed(workload):
        if server.no_lifespan:
            yield Found(container.command, f"{container.name}: {server.no_lifespan}")


@RULES.add(
    "managed-prestop",
    Severity.ERROR,
    sources=(UVICORN,),
    fix=(
        "Put `lifecycle run --service NAME:PORT --` in front of the command: then SIGTERM drains "
        "too. Or give it a preStop: exec: [lifecycle, prestop]."
    ),
)
def managed_prestop(workload: Workload) -> Iterator[Found]:
    """Another server has the signals, and no preStop begins the drain.

    Under `Managed` the server keeps SIGTERM, and closes its listener at once.
    Only preStop drains such an app.
    It is a warning if the hook runs a program that this check cannot read, such as a script of the image.
    """
    for container, server in _managed(workload):
        if not (container.asks_to_drain or server.no_lifespan):
            unread = _runs_the_unread(container)
            what = "its preStop does not drain it" if container.pre_stop else "it has no preStop"
            what = "nothing here shows that its preStop drains it" if unread else what
            yield Found(
                container.pre_stop or container.node,
                f"{container.name}: {container.server} has the signals, and {what}",
                Severity.WARNING if unread else None,
            )


def _runs_the_unread(container: Container) -> bool:
    """Tell whether a hook may start the drain by what is not in the manifest: a script, a variable."""
    words = container.pre_stop_words
    if not words or only_sleeps(words):
        return False
    found = steps(words)
    return not found or not all(_is_read(each.words) for each in found)


def _is_read(words: list[str]) -> bool:
    if words[0] in ("curl", "wget"):
        return not any("$" in each.host or each.port is None for each in fetches(words))
    if words[0] == "lifecycle":
        return not any("$" in each for each in words)
    return words[0] in _READ


@RULES.add(
    "managed-workers",
    Severity.ERROR,
    sources=(_TAKEN,),
    fix=(
        "Put `lifecycle run --service NAME:PORT --` in front of the command: it drains any number "
        "of workers. Or run one worker in each pod, and more replicas: `--workers 1`, and no "
        "WEB_CONCURRENCY above 1."
    ),
)
def managed_workers(workload: Workload) -> Iterator[Found]:
    """Several workers share one QOS port.

    Two workers cannot share a lifecycle, because `/ready` can report on only one of them.
    The second worker finds the port in use. It waits up to 30 s, and is then refused. Its server starts it again and again, or ends.
    The rule reads the options of the server, WEB_CONCURRENCY, GUNICORN_CMD_ARGS and the variables of uvicorn and granian.
    Of the file that `gunicorn -c` names, the rule reads simple assignments. The file must be in a ConfigMap that the pod mounts, or in the folder of the manifest, or above it.
    It is a warning if the manifest does not show which server the image runs.
    """
    for container in workload.ours:
        server = container.server_command
        if server and server.no_lifespan:
            continue
        if server is None and workload.is_partial:
            continue  # its base may say what runs
        workers = server.workers if server else _workers_of_image(container)
        if workers > 1:
            severity = None if server else Severity.WARNING
            yield Found(container.node, f"{container.name}: {workers} workers", severity)


def _workers_of_image(container: Container) -> int:
    """Return how many the server of an image is told to start, if the command does not name it."""
    if container.words and not container.words[0].startswith("-"):
        return 1
    said = [value for name, value in container.options() if name in WORKERS]
    arguments = (container.value("GUNICORN_CMD_ARGS") or "").split()
    said += [value for name, value in read_options(arguments) if name in WORKERS]
    said += [container.value(name) or "" for name in _VARIABLES]
    return next((number for each in said if (number := digits(each)) is not None), 1)


@RULES.add(
    "managed-recycling",
    Severity.WARNING,
    sources=("hosts.md",),
    fix=(
        "Put `lifecycle run --service NAME:PORT --` in front of the command, under which workers "
        "may be replaced. Or remove the option, and replace the pod in a rolling update. If the app leaks "
        "memory, set a memory limit that is high enough for the time between two updates."
    ),
)
def managed_recycling(workload: Workload) -> Iterator[Found]:
    """The server replaces its worker while the pod serves.

    The old worker stops without a drain. Its responses do not say `Connection: close`, and its service is withdrawn from the registry.
    The new worker needs the QOS port of the old one. Until the old one has ended, new connections are refused, or they wait.
    With uvicorn's `--limit-max-requests` the process ends, so the whole container restarts.
    For example, gunicorn does so with `--max-requests`, and granian with `--workers-lifetime`.
    """
    for container, server in _managed(workload):
        if server.recycles and not server.no_lifespan:
            yield Found(container.command, f"{container.name}: {server.name} {server.recycles}")
