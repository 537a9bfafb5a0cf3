"""Checks before the rollout: the command starts, and answers every request of the traffic."""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from lifecycle.checks.commands.quoted import quoted_command
from lifecycle.drain.kernel_sockets import is_listening
from lifecycle.rehearsal.clients.connection import Request
from lifecycle.rehearsal.clients.protocols import open_connection
from lifecycle.rehearsal.clients.wire import OwnError
from lifecycle.rehearsal.errors import CannotRehearse
from lifecycle.rehearsal.measuring.losses import Cause, Declined, GoneAway, Lost
from lifecycle.rehearsal.plan import Plan, Protocol
from lifecycle.rehearsal.replicas.fixed_ports import (
    missing_service,
    refuse_fixed_ports,
    shown,
    with_placeholder,
)
from lifecycle.rehearsal.replicas.listeners import ports_of_session
from lifecycle.rehearsal.replicas.replica import Replica
from lifecycle.rehearsal.replicas.statuses import change_for
from lifecycle.rehearsal.replicas.template import Template
from lifecycle.testing import Endpoint, Kubelet, Pod

LOOK: Final = 0.05
"""Seconds between two looks at which ports are open."""
QOS_TIME: Final = 1.0
"""Seconds that the QOS port may open later than the app's own port."""
ELSEWHERE_TIME: Final = 1.0
"""Seconds that the app's port may open later than another port that looks like the app's."""
PATIENCE: Final = 5.0
"""Seconds that it may open later than any other port, for example one for metrics."""
USUAL: Final = frozenset((3000, 5000, 8000, 8080))
"""Ports on which web servers listen if nothing else is said."""
ELSEWHERE_LOOK: Final = 0.2
"""Seconds between two looks at the other ports of the command, which read all of /proc."""
LINES: Final = 15
"""How many of the last lines of a command's output are shown."""


async def reconnoitre(kubelet: Kubelet, template: Template) -> Template:
    """
    Start the command once, see which ports it opens, and end it.

    Nothing is started if the command has `{port}` and `ready` is `qos`.

    Raises:
        CannotRehearse: The command is one word, does not start, does not listen on the app's port, or has a
            service with a fixed port.
    """
    plan = template.plan
    word = quoted_command(plan.command)
    if word and shutil.which(word) is None:
        raise CannotRehearse(
            f"the command {word!r} is one word with spaces. Make each word its own argument, "
            "without quotes around all of them",
            see="errors.md#command-in-one-word",
        )
    refuse_fixed_ports(plan.command, template.variables())
    by_qos = plan.ready == "qos"
    if not plan.is_tried:
        return replace(template, qos=True)
    pod = await kubelet.run(template.scout())
    try:
        qos = await _opens_qos(pod, plan) or by_qos
    finally:
        await pod.close()
    if qos:  # the app may be started by a program that runs pod-lifecycle itself
        refuse_fixed_ports(plan.command, template.variables(), is_ours=True)
    return replace(template, qos=qos)


async def _opens_qos(pod: Pod, plan: Plan) -> bool:
    deadline = time.monotonic() + plan.start_time
    opened: float | None = None
    elsewhere = _Elsewhere(pod, plan.command)
    while True:
        if pod.finished:
            raise ended_early(pod, "the command did not start")
        if opened is None and is_listening(pod.port("http")):
            opened = time.monotonic()
        # Without {port} the app may listen anywhere, though it is ready by QOS.
        if (opened or plan.names_port) and is_listening(pod.port("qos")):
            return True
        if opened is not None and time.monotonic() > opened + QOS_TIME:
            return False
        if opened is None and not plan.names_port and (ports := elsewhere.ports()):
            raise CannotRehearse(
                _wrong_port(pod, plan, ports),
                last_lines(pod),
                see="errors.md#wrong-port-in-rehearse",
            )
        if opened is None and time.monotonic() > deadline:
            raise CannotRehearse(
                _never_open(pod, plan), last_lines(pod), see="errors.md#wrong-port-in-rehearse"
            )
        await asyncio.sleep(LOOK)


class _Elsewhere:
    """Notices that a command listens on other ports than the given ones."""

    def __init__(self, pod: Pod, command: Sequence[str]) -> None:
        self._pod = pod
        self._written = " ".join(command)
        self._given = frozenset(pod.ports.values())
        self._since: float | None = None
        self._next_look = 0.0

    def ports(self) -> list[int]:
        """Return the other ports, if the app's own port is no longer expected."""
        now = time.monotonic()
        if now < self._next_look or (pid := self._pod.pid) is None:
            return []
        self._next_look = now + ELSEWHERE_LOOK
        found = sorted(ports_of_session(pid) - self._given)
        if not found:
            self._since = None
            return []
        self._since = self._since or now
        likely = USUAL.intersection(found) or any(str(port) in self._written for port in found)
        return found if now >= self._since + (ELSEWHERE_TIME if likely else PATIENCE) else []


def _wrong_port(pod: Pod, plan: Plan, ports: list[int]) -> str:
    port = pod.port("http")
    said = ", ".join(map(str, ports))
    command = [with_placeholder(word, ports) for word in plan.command]
    if command == [*plan.command]:
        change = "Write {port} where the command takes its port, for example --port {port}"
    else:
        change = f"Write {{port}} instead: {shown(command)}"
    return (
        f"the command listens on port {said}, and not on {port}, the port that this rehearsal "
        f"gave it. Every client would be refused. {change}. If your app reads the variable PORT, "
        "and opens that port later, write: lifecycle rehearse -- env PORT={port} COMMAND"
    )


def _never_open(pod: Pod, plan: Plan) -> str:
    hint = "" if plan.names_port else ". The command has no {port}"
    return (
        f"the command runs, but nothing listens on port {pod.port('http')} after "
        f"{plan.start_time:g} s. The app must listen on the port that {{port}} in the command, "
        f"and the variable PORT, name{hint}"
    )


async def until_ready(replica: Replica, template: Template) -> None:
    """
    Wait until a replica is ready.

    Raises:
        CannotRehearse: The replica ends, or takes too long.
    """
    pod, limit = replica.pod, template.plan.start_time
    try:
        await pod.until(lambda pod: pod.ready or pod.exit_codes, limit)
    except TimeoutError:
        said = ["no probe has run", *pod.said("Unhealthy")][-1]
        status = re.search(r"statuscode: (\d+)", said)
        change = change_for(int(status[1])) if status and not template.qos else ""
        raise CannotRehearse(
            f"{replica.name} is not ready after {limit:g} s ({template.readiness}): {said}"
            f"{f'. {change}' if change else ''}",
            last_lines(pod),
            see="errors.md#replica-not-ready",
        ) from None
    if not pod.ready:
        raise ended_early(pod, f"{replica.name} ended before it was ready")


def ended_early(pod: Pod, what: str) -> CannotRehearse:
    """Return an error for a command that ended too early."""
    if failed := pod.said("Failed"):
        return CannotRehearse(
            f"{what}: {failed[-1].removeprefix('Error: ')}", see="errors.md#command-did-not-start"
        )
    return CannotRehearse(
        f"{what}: exit code {pod.exit_codes[-1]}",
        last_lines(pod),
        see="errors.md#command-did-not-start",
    )


def last_lines(pod: Pod) -> list[str]:
    """Return the last lines of a pod's output."""
    return pod.output.splitlines()[-LINES:]


async def ask_once(replica: Replica, template: Template) -> None:
    """
    Send each kind of request once, before any rollout.

    Raises:
        CannotRehearse: A request is not answered, or answered with an error.
    """
    traffic = template.plan.traffic
    endpoint = Endpoint(replica.name, replica.pod.ip, replica.port)
    for protocol in dict.fromkeys(traffic.protocols):
        for path in dict.fromkeys((*traffic.paths, *((traffic.slow,) if traffic.slow else ()))):
            try:
                async with asyncio.timeout(traffic.timeout):
                    await _ask(protocol, endpoint, Request.of(traffic, path))
            except TimeoutError:
                problem = f"no answer within --timeout {traffic.timeout:g} s"
            except (Lost, Declined, GoneAway, OwnError) as error:
                problem = _problem(error, endpoint, template)
            else:
                continue
            raise CannotRehearse(
                f"{protocol} {path}: {problem}, before any rollout",
                last_lines(replica.pod),
                see="errors.md#request-fails-before-the-rollout",
            )


async def _ask(protocol: Protocol, endpoint: Endpoint, request: Request) -> None:
    connection = await open_connection(protocol, endpoint, request.path, keep=False)
    try:
        await connection.ask(request)
    finally:
        connection.close()


def _problem(error: Exception, endpoint: Endpoint, template: Template) -> str:
    if isinstance(error, Lost) and error.cause is Cause.REFUSED:
        ready = f"the replica is ready, but does not listen on the app's port ({endpoint.port})"
        if add := missing_service(template.plan.command, template.variables()):
            return (
                f"{ready} yet. `lifecycle run` has no --service, so the replica was ready before its "
                f"server listened. {add}"
            )
        return f"{ready}. The app must listen on the port that {{port}} and the variable PORT name"
    return error.detail if isinstance(error, Lost) else str(error)
