"""Rules about `Managed`: a lifecycle under a server that somebody else started."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from lifecycle.checks.container import Container
from lifecycle.checks.node import digits
from lifecycle.checks.rule import UVICORN, Found, Severity, Table
from lifecycle.checks.workload import Workload

RULES: Final = Table()

_TAKEN: Final = (
    "https://gitlab.com/gitlab-org/modelops/applied-ml/code-suggestions/ai-assist/"
    "-/merge_requests/776"
)

_WORKERS: Final = ("--workers", "-w")
_VARIABLES: Final = {
    "uvicorn": ("UVICORN_WORKERS", "WEB_CONCURRENCY"),
    "gunicorn": ("WEB_CONCURRENCY",),
    "granian": ("GRANIAN_WORKERS",),
}


def _managed(workload: Workload) -> list[Container]:
    return [each for each in workload.containers if each.is_lifecycle and each.server]


@RULES.add(
    "managed-prestop",
    Severity.ERROR,
    sources=(UVICORN,),
    fix="Give it a preStop: exec: [lifecycle, prestop].",
)
def managed_prestop(workload: Workload) -> Iterator[Found]:
    """Another server has the signals, and no preStop begins the drain.

    Under `Managed` the server keeps SIGTERM, and closes its listener at once.
    Only preStop drains such an app.
    """
    for container in _managed(workload):
        if not container.asks_to_drain:
            what = "its preStop does not drain it" if container.pre_stop else "it has no preStop"
            yield Found(
                container.pre_stop or container.node,
                f"{container.name}: {container.server} has the signals, and {what}",
            )


@RULES.add(
    "managed-workers",
    Severity.ERROR,
    sources=(_TAKEN,),
    fix="Run one worker a pod, and more replicas.",
)
def managed_workers(workload: Workload) -> Iterator[Found]:
    """Several workers share one QOS port.

    Two workers cannot share a lifecycle, because `/ready` can report on only one of them.
    The second one finds the port in use, and does not start.
    """
    for container in _managed(workload):
        workers = _workers(container)
        if workers > 1:
            yield Found(container.node, f"{container.name}: {workers} workers")


def _workers(container: Container) -> int:
    """Return how many its command or its environment ask for; what is said first counts."""
    said = [value for name, value in container.options() if name in _WORKERS]
    if container.server == "gunicorn":
        arguments = (container.value("GUNICORN_CMD_ARGS") or "").replace("=", " ").split()
        said += [after for name, after in pairwise(arguments) if name in _WORKERS]
    said += [container.value(name) or "" for name in _VARIABLES.get(container.server, ())]
    return next((number for each in said if (number := digits(each)) is not None), 1)
