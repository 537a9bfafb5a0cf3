"""Programs that start without `lifecycle run --`, and whether pod-lifecycle may run in them."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from lifecycle.checks.commands.programs import MORE_SERVERS, QUEUE_WORKERS, programs, stages
from lifecycle.checks.commands.servers import VARIABLES, ServerCommand
from lifecycle.checks.commands.steps import steps
from lifecycle.checks.workloads.container import Container
from lifecycle.checks.workloads.image_files import source_near
from lifecycle.checks.workloads.workload import Workload

_WITHOUT_A_LOOP: Final = frozenset(MORE_SERVERS) - {"sanic"}
"""Servers of WSGI apps. Such an app has no event loop in which pod-lifecycle could run."""
_IMPORTS: Final = re.compile(r"^\s*(?:from|import)\s+lifecycle\b", re.MULTILINE)
_MAKES_AN_APP: Final = re.compile(
    r"\b(?:FastAPI|Starlette|Litestar|Quart|get_asgi_application)(?:\[[^\]]*\])?\("
)


class Unwrapped(NamedTuple):
    """
    A program that starts without `lifecycle run --`.

    Attributes:
        name: Name of the program.
        server: The server. None for a queue worker.
        sign: Why pod-lifecycle does not run in the app. Empty if the program alone decides.
        is_certain: Whether pod-lifecycle certainly does not run in the app.
    """

    name: str
    server: ServerCommand | None
    sign: str = ""
    is_certain: bool = True


def unwrapped(workload: Workload) -> list[tuple[Container, Unwrapped]]:
    """
    Return the containers that start a known program without `lifecycle run --`.

    The result is empty if another container of the pod may run pod-lifecycle. The containers of a
    pod share their ports, so that container may answer instead.
    """
    found = [
        (each, program)
        for each in workload.containers
        if (program := _unwrapped(each, workload)) is not None
    ]
    names = {each.name for each, _ in found}
    others = [each.name for each in workload.containers if each.name not in names]
    return [] if any(map(workload.may_be_ours, others)) else found


def _unwrapped(container: Container, workload: Workload) -> Unwrapped | None:
    """Return the known program that a command certainly starts without `lifecycle run`."""
    words = container.words
    if container.lifecycle_run or "LIFECYCLE_SERVICES" in container.env or is_hidden(words):
        return None
    server = container.any_server
    if server is None:
        last = next(reversed(programs(words)), [""])[0]
        return Unwrapped(last, None) if last in QUEUE_WORKERS else None
    module = "" if server.runs_elsewhere else server.app_module
    source = source_near(workload.document.file, module) or ""
    if _IMPORTS.search(source):
        return None
    return _judged(server, container, is_without=bool(_MAKES_AN_APP.search(source)))


def _judged(server: ServerCommand, container: Container, *, is_without: bool) -> Unwrapped | None:
    """
    Return how certain it is that pod-lifecycle does not run in an app. None if it may run there.

    Args:
        server: The server of the app.
        container: The container of the server.
        is_without: Whether the source of the app shows that it does not use pod-lifecycle.
    """
    name = server.name
    if name in _WITHOUT_A_LOOP or server.runs_wsgi:
        return Unwrapped(name, server)
    if container.has_hidden_entrypoint:
        return None
    if is_without:
        sign = f"{server.app_module} does not import lifecycle"
    elif server.default_mode and not container.may_have(VARIABLES[name]):
        sign = f"{server.default_mode}, which cannot run Managed"
    elif name == "sanic":
        sign = ""
    else:
        return None
    return Unwrapped(name, server, sign, is_certain=False)


def is_hidden(words: list[str]) -> bool:
    """Tell whether a script of the image, or a program in the background, may open the port."""
    names = [each[0] for each in stages(words)]
    in_script = any(each.endswith(".sh") or "entrypoint" in each for each in names)
    return in_script or any(each.command.background for each in steps(words))
