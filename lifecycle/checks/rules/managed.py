"""Rules about `Managed`: pod-lifecycle in an app that another server runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lifecycle.checks.commands.http_requests import fetches
from lifecycle.checks.commands.scripts import only_sleeps
from lifecycle.checks.commands.servers import ServerCommand
from lifecycle.checks.commands.steps import steps
from lifecycle.checks.rule import UVICORN, Found, Severity, Table
from lifecycle.checks.workloads.container import Container
from lifecycle.checks.workloads.unwrapped import unwrapped
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
"""Commands that never start a drain, whatever their arguments are."""


def _managed(workload: Workload) -> list[tuple[Container, ServerCommand]]:
    without = {each.name for each, program in unwrapped(workload) if program.is_certain}
    return [
        (each, each.server_command)
        for each in workload.ours
        if each.server_command is not None and each.name not in without
    ]


def _guessed(container: Container) -> Severity | None:
    """Return a lower severity if the image may start the server under `lifecycle run --`."""
    return Severity.WARNING if container.has_hidden_entrypoint else None


@RULES.add(
    "managed-lifespan",
    Severity.ERROR,
    sources=("https://github.com/django/daphne/issues/264", "managed.md"),
    fix=(
        "Put `lifecycle run --service NAME:PORT --` in front of the command. This setup needs no "
        "lifespan. Or run the app with `lifecycle run --asgi`, or under a server that runs the "
        "lifespan: uvicorn, hypercorn, or granian with `--interface asgi`."
    ),
)
def managed_lifespan(workload: Workload) -> Iterator[Found]:
    """The server never starts pod-lifecycle.

    `Managed` starts pod-lifecycle in the lifespan of the ASGI app. This server, or this option, does not run the lifespan.
    So pod-lifecycle's probe port (QOS port) stays closed and all probes fail. The app answers each request with an error.
    For example, daphne never runs the lifespan. uvicorn does not run it with `--lifespan off`, granian with `--interface wsgi` and gunicorn with `-k gthread`.

    Severity:
        If the manifest has `args` but no `command`, the finding is a warning. The ENTRYPOINT of the image may then be `lifecycle run --`.
    """
    for container, server in _managed(workload):
        if server.no_lifespan:
            message = f"{container.name}: {server.no_lifespan}"
            yield Found(container.command, message, _guessed(container))


@RULES.add(
    "managed-prestop",
    Severity.ERROR,
    sources=(UVICORN,),
    fix=(
        "Put `lifecycle run --service NAME:PORT --` in front of the command. SIGTERM then starts a "
        "drain too. Or set preStop to exec: [lifecycle, prestop]."
    ),
)
def managed_prestop(workload: Workload) -> Iterator[Found]:
    """Another server handles the signals, and no preStop hook starts the drain.

    Under `Managed`, the server handles SIGTERM and closes its listener at once.
    Only a preStop hook can drain such an app.

    Severity:
        If `lifecycle check` cannot read the program of the hook, such as a script in the image, the finding is a warning.
        If the manifest has `args` but no `command`, the finding is a warning too. The ENTRYPOINT of the image may then be `lifecycle run --`.
    """
    for container, server in _managed(workload):
        if not (container.asks_to_drain or server.no_lifespan):
            unread = _runs_the_unread(container)
            what = "preStop does not start a drain" if container.pre_stop else "there is no preStop"
            what = "the manifest does not show that preStop starts a drain" if unread else what
            yield Found(
                container.pre_stop or container.node,
                f"{container.name}: {container.server} handles the signals, and {what}",
                Severity.WARNING if unread else _guessed(container),
            )


def _runs_the_unread(container: Container) -> bool:
    """Tell whether a hook may start a drain by means outside the manifest: a script or a variable."""
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
        "Put `lifecycle run --service NAME:PORT --` in front of the command, which drains any number "
        "of workers. Or run one worker per pod and more replicas. To do so, set `--workers 1`, and do "
        "not set WEB_CONCURRENCY above 1."
    ),
)
def managed_workers(workload: Workload) -> Iterator[Found]:
    """Several workers share one QOS port.

    Only one worker can open pod-lifecycle's probe port (QOS port), because `/ready` can report on only one of them.
    The second worker waits up to 30 s for the port, and then fails. Its server starts it again and again, or exits.

    Severity:
        If the manifest has `args` but no `command`, the finding is a warning. The ENTRYPOINT of the image may then be `lifecycle run --`.

    Scope:
        The rule reads the options of the server, WEB_CONCURRENCY, GUNICORN_CMD_ARGS and the variables of uvicorn and granian.
        If the image contains the command, and the manifest does not, the rule finds nothing. To have the rule read the command, repeat the command in the manifest.
        In the file of `gunicorn -c`, the rule reads simple assignments. The file must be in a ConfigMap that the pod mounts, in the folder of the manifest, or in a folder above.
    """
    for container, server in _managed(workload):
        if server.workers > 1 and not server.no_lifespan:
            message = f"{container.name}: {server.workers} workers share one QOS port"
            yield Found(container.node, message, _guessed(container))


@RULES.add(
    "managed-recycling",
    Severity.WARNING,
    sources=("managed.md",),
    fix=(
        "Put `lifecycle run --service NAME:PORT --` in front of the command. The server may then "
        "replace its workers. Or remove the option, and replace the pod in a rolling update. If the app "
        "leaks memory, set a memory limit that is high enough for the time between two updates."
    ),
)
def managed_recycling(workload: Workload) -> Iterator[Found]:
    """The server replaces its worker while the pod serves.

    The old worker stops without a drain. Its responses have no `Connection: close`, and its service is withdrawn from the service registry.
    The new worker needs the QOS port of the old worker. Until the old worker has exited, new connections are refused or wait.
    For example, gunicorn replaces its worker with `--max-requests`, and granian with `--workers-lifetime`.
    With uvicorn's `--limit-max-requests` the process exits, so the whole container restarts.
    """
    for container, server in _managed(workload):
        if server.recycles and not server.no_lifespan:
            yield Found(container.command, f"{container.name}: {server.name} {server.recycles}")
