"""The handlers of probes and hooks in a container, and their outcomes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, NamedTuple

from lifecycle.testing.environment import expand
from lifecycle.testing.http_get import (
    BodyFailed,
    Failed,
    NotTLS,
    fetch,
    hang_up,
    headers_of,
    url_of,
)
from lifecycle.testing.processes import NoExec, Process, TimedOut
from lifecycle.testing.specs import (
    HTTPS,
    Exec,
    HookHandler,
    HttpGet,
    ProbeHandler,
    Sleep,
    TcpSocket,
)

TRIES: Final = 3
"""How often a probe that could not be carried out is tried."""


class Verdict(Enum):
    """The result of a probe. ERROR means that the probe could not be carried out."""

    SUCCESS = "success"
    WARNING = "warning"
    FAILURE = "failure"
    ERROR = "errored"


class Outcome(NamedTuple):
    """The result of one probe, and the text of its event."""

    verdict: Verdict
    output: str


class HookFailed(Exception):
    """A preStop hook failed. The text is the reason."""


class NoSuchPort(ValueError):
    """The container has no port of that name."""


@dataclass
class Place:
    """
    The pod in which handlers run.

    Attributes:
        ip: The IP address of the pod.
        ports: The named ports of the pod.
        env: The environment of the container.
        version: The version of the kubelet, for user agents.
        kept: Open connections of hooks, as the kubelet keeps them open.
    """

    ip: str
    ports: Mapping[str, int]
    env: Mapping[str, str]
    version: str
    kept: list[asyncio.StreamWriter] = field(default_factory=list)

    def port(self, port: int | str) -> int:
        """Return the number of a port."""
        if isinstance(port, int):
            return port
        if port.isascii() and port.isdigit():
            return int(port)
        if port not in self.ports:
            there = ", ".join(self.ports) or "none"
            raise NoSuchPort(f"couldn't find port: {port} (there are: {there})")
        return self.ports[port]

    def url(self, get: HttpGet) -> str:
        """Return the URL of a handler."""
        return url_of(get, get.host or self.ip, self.port(get.port))

    def close(self) -> None:
        """Close the connections that were kept open."""
        for connection in self.kept:
            hang_up(connection)
        self.kept.clear()


async def probe(handler: ProbeHandler, place: Place, process: Process, timeout: float) -> Outcome:
    """Carry out one probe. If that is not possible, it is tried three times in a row."""
    outcome = Outcome(Verdict.ERROR, "")
    for _ in range(TRIES):
        try:
            outcome = await _probe_once(handler, place, process, timeout)
        except Exception as error:  # noqa: BLE001 - a probe that cannot be made has no result
            outcome = Outcome(Verdict.ERROR, _reason(error))
        if outcome.verdict is not Verdict.ERROR:
            break
    return outcome


async def _probe_once(
    handler: ProbeHandler, place: Place, process: Process, timeout: float
) -> Outcome:
    match handler:
        case HttpGet():
            return await _probe_http(handler, place, timeout)
        case Exec():
            return await _probe_exec(handler, place, process, timeout)
        case TcpSocket():
            return await _probe_tcp(handler, place, timeout)


async def _probe_http(get: HttpGet, place: Place, timeout: float) -> Outcome:
    headers = [*headers_of(get, f"kube-probe/{place.version}"), ("Connection", "close")]
    try:
        response = await fetch(place.url(get), headers, timeout=timeout)
    except BodyFailed as error:
        return Outcome(Verdict.ERROR, str(error))
    except Failed as error:
        return Outcome(Verdict.FAILURE, str(error))
    hang_up(response.connection)
    body = response.body.decode(errors="replace")
    if 200 <= response.status < 300:
        return Outcome(Verdict.SUCCESS, body)
    if 300 <= response.status < 400:
        return Outcome(Verdict.WARNING, f"Probe terminated redirects, Response body: {body}")
    return Outcome(Verdict.FAILURE, f"HTTP probe failed with statuscode: {response.status}")


async def _probe_exec(exec_: Exec, place: Place, process: Process, timeout: float) -> Outcome:
    command = [expand(word, place.env) for word in exec_.command]
    try:
        code, output = await process.execute(command, timeout)
    except TimedOut as error:
        return Outcome(Verdict.FAILURE, str(error))
    except NoExec as error:
        return Outcome(Verdict.ERROR, f"rpc error: code = Unknown desc = {error}")
    return Outcome(Verdict.SUCCESS if code == 0 else Verdict.FAILURE, output)


async def _probe_tcp(tcp: TcpSocket, place: Place, timeout: float) -> Outcome:
    host, port = tcp.host or place.ip, place.port(tcp.port)
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return Outcome(Verdict.FAILURE, f"dial tcp {address}: i/o timeout")
    except OSError as error:
        why = "connection refused" if isinstance(error, ConnectionRefusedError) else str(error)
        return Outcome(Verdict.FAILURE, f"dial tcp {address}: connect: {why}")
    hang_up(writer)
    return Outcome(Verdict.SUCCESS, "")


async def run_hook(handler: HookHandler, place: Place, process: Process) -> int | None:
    """
    Run a preStop hook to its end.

    Returns:
        The status of the response to an HTTP request, or None for other hooks.

    Raises:
        HookFailed: The hook failed, or could not be run. No response status is a failure.
    """
    try:
        match handler:
            case Exec():
                await _hook_exec(handler, process)
            case HttpGet():
                return await _hook_http(handler, place)
            case Sleep():
                await asyncio.sleep(handler.seconds)
    except HookFailed:
        raise
    except Exception as error:  # whatever the error is, the hook has not run
        raise HookFailed(_reason(error)) from error
    return None


def _reason(error: Exception) -> str:
    if isinstance(error, NoExec | Failed | NoSuchPort):
        return str(error)
    return f"{type(error).__name__}: {error}"


async def _hook_exec(exec_: Exec, process: Process) -> None:
    code, output = await process.execute(exec_.command)
    if code:
        raise HookFailed(f"exit code {code}: {output.strip()}".removesuffix(": "))


async def _hook_http(get: HttpGet, place: Place) -> int | None:
    url = place.url(get)
    headers = headers_of(get, f"kube-lifecycle/{place.version}")
    headers.append(("Accept-Encoding", "gzip"))
    with contextlib.suppress(BodyFailed):  # the body is read, and an error is ignored
        try:
            response = await fetch(url, headers, timeout=None)
        except NotTLS:
            plain = f"http{url.removeprefix(HTTPS)}"
            headers = [pair for pair in headers if pair[0].lower() != "authorization"]
            response = await fetch(plain, headers, timeout=None)
        place.kept.append(response.connection)
        return response.status
    return None
