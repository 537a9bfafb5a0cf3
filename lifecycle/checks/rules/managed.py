"""Rules about `Managed`: a lifecycle under a server that somebody else started."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lifecycle.checks.container import Container, runs_lifecycle
from lifecycle.checks.node import digits
from lifecycle.checks.rule import Found, Severity, Table
from lifecycle.checks.workload import Workload

RULES: Final = Table()

_WORKERS: Final = ("--workers", "-w")


def _managed(workload: Workload) -> list[Container]:
    return [each for each in workload.containers if each.is_lifecycle and each.server]


@RULES.add(
    "managed-prestop",
    Severity.ERROR,
    fix="Give it a preStop: exec: [lifecycle, prestop].",
)
def managed_prestop(workload: Workload) -> Iterator[Found]:
    """Another server has the signals, and no preStop begins the drain.

    Under `Managed` the server keeps SIGTERM, and closes its listener at once.
    Only preStop drains such an app.
    """
    for container in _managed(workload):
        path = container.pre_stop.at("httpGet", "path").text().strip("/")
        if path != "prestop" and not runs_lifecycle(container.pre_stop_words, "prestop"):
            what = "its preStop does not drain it" if container.pre_stop else "it has no preStop"
            yield Found(
                container.pre_stop or container.node,
                f"{container.name}: {container.server} has the signals, and {what}",
            )


@RULES.add("managed-workers", Severity.ERROR, fix="Run one worker a pod, and more replicas.")
def managed_workers(workload: Workload) -> Iterator[Found]:
    """Several workers share one QOS port.

    Two workers cannot have one lifecycle: which of them would `/ready` speak of?
    The second one finds the port in use, and does not start.
    """
    for container in _managed(workload):
        for name, value in container.options():
            if name in _WORKERS and (digits(value) or 0) > 1:
                yield Found(container.node, f"{container.name}: {value} workers")
