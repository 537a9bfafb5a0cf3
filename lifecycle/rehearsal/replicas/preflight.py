"""Tries the command once, and asks what will be asked: so that a mistake is no loss."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Final

from lifecycle.drain.kernel_sockets import is_listening
from lifecycle.rehearsal.clients.connection import Request
from lifecycle.rehearsal.clients.protocols import open_connection
from lifecycle.rehearsal.clients.wire import OwnError
from lifecycle.rehearsal.errors import CannotRehearse
from lifecycle.rehearsal.measuring.losses import Cause, Declined, GoneAway, Lost
from lifecycle.rehearsal.plan import Plan, Protocol
from lifecycle.rehearsal.replicas.replica import Replica
from lifecycle.rehearsal.replicas.template import Template
from lifecycle.testing import Endpoint, Kubelet, Pod

LOOK: Final = 0.05
"""Seconds between two looks at which ports are open."""
QOS_TIME: Final = 1.0
"""Seconds that QOS may open later than the app's own port."""
LINES: Final = 15
"""How many of the last lines of a command's output are shown."""


async def reconnoitre(kubelet: Kubelet, template: Template) -> Template:
    """
    Start the command once, see whether it opens QOS, and end it; not if that was said.

    Raises:
        CannotRehearse: It does not start, or opens no port.
    """
    if template.plan.ready == "qos":
        return replace(template, qos=True)
    pod = await kubelet.run(template.scout())
    try:
        return replace(template, qos=await _opens_qos(pod, template.plan))
    finally:
        await pod.close()


async def _opens_qos(pod: Pod, plan: Plan) -> bool:
    deadline = time.monotonic() + plan.start_time
    opened: float | None = None
    while True:
        if pod.finished:
            raise ended_early(pod, "the command does not start")
        if is_listening(pod.port("qos")):
            return True
        if opened is None and is_listening(pod.port("http")):
            opened = time.monotonic()
        if opened is not None and time.monotonic() > opened + QOS_TIME:
            return False
        if opened is None and time.monotonic() > deadline:
            raise CannotRehearse(_never_open(plan), last_lines(pod))
        await asyncio.sleep(LOOK)


def _never_open(plan: Plan) -> str:
    hint = "" if any("{port}" in word for word in plan.command) else "; there is no {port} in it"
    return (
        f"the command runs, but nothing listens on the app's port after {plan.start_time:g} s: "
        f"it must listen on {{port}}, or on $PORT{hint}"
    )


async def until_ready(replica: Replica, template: Template) -> None:
    """
    Wait until a replica is ready.

    Raises:
        CannotRehearse: It ends, or takes too long.
    """
    pod, limit = replica.pod, template.plan.start_time
    try:
        await pod.until(lambda pod: pod.ready or pod.exit_codes, limit)
    except TimeoutError:
        said = ["it was not probed", *pod.said("Unhealthy")][-1]
        raise CannotRehearse(
            f"{replica.name} is not ready after {limit:g} s ({template.readiness}): {said}",
            last_lines(pod),
        ) from None
    if not pod.ready:
        raise ended_early(pod, f"{replica.name} ended before it was ready")


def ended_early(pod: Pod, what: str) -> CannotRehearse:
    """Say how a command ended that was to run."""
    if failed := pod.said("Failed"):
        return CannotRehearse(f"{what}: {failed[-1].removeprefix('Error: ')}")
    return CannotRehearse(f"{what}: exit code {pod.exit_codes[-1]}", last_lines(pod))


def last_lines(pod: Pod) -> list[str]:
    """Return the last lines that a pod has said."""
    return pod.output.splitlines()[-LINES:]


async def ask_once(replica: Replica, plan: Plan) -> None:
    """
    Ask for everything that will be asked for, once, before anything is rolled.

    Raises:
        CannotRehearse: It is not answered, or with an error.
    """
    traffic = plan.traffic
    endpoint = Endpoint(replica.name, replica.pod.ip, replica.port)
    for protocol in dict.fromkeys(traffic.protocols):
        for path in dict.fromkeys((*traffic.paths, *((traffic.slow,) if traffic.slow else ()))):
            try:
                async with asyncio.timeout(traffic.timeout):
                    await _ask(protocol, endpoint, Request.of(traffic, path))
            except TimeoutError:
                problem = f"no answer within --timeout {traffic.timeout:g} s"
            except (Lost, Declined, GoneAway, OwnError) as error:
                problem = _problem(error, endpoint)
            else:
                continue
            raise CannotRehearse(
                f"{protocol} {path}: {problem}, before anything was rolled", last_lines(replica.pod)
            )


async def _ask(protocol: Protocol, endpoint: Endpoint, request: Request) -> None:
    connection = await open_connection(protocol, endpoint, request.path, keep=False)
    try:
        await connection.ask(request)
    finally:
        connection.close()


def _problem(error: Exception, endpoint: Endpoint) -> str:
    if isinstance(error, Lost) and error.cause is Cause.REFUSED:
        return (
            f"it is ready, but nobody listens on the app's port ({endpoint.port}): it must "
            "listen on {port}, or on $PORT"
        )
    return error.detail if isinstance(error, Lost) else str(error)
