"""
Commands in containers, over a WebSocket of the API server, as `kubectl exec` runs them.

Each message starts with the number of a channel: 1 is stdout, 2 is stderr, and 3 is the Status at the
end. A command goes on in the container if the connection is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import httpx2
import msgspec
from httpx2 import websockets

from lifecycle_fleet.cluster.failures import failure, named_errors
from lifecycle_fleet.errors import ApiServerError

PROTOCOLS: Final = ["v5.channel.k8s.io", "v4.channel.k8s.io"]
STDOUT, STDERR, STATUS = 1, 2, 3
MOST: Final = 8 * 1024 * 1024
"""Bytes of output that are read."""
MESSAGE: Final = 1024 * 1024
"""Bytes of one message."""


class Ran(NamedTuple):
    """
    A command that has run in a container.

    Attributes:
        code: Its exit code.
        out: Its output on stdout.
        err: Its output on stderr.
    """

    code: int
    out: str
    err: str


class _Output:
    """The output so far. `problem` is empty as long as all is well."""

    def __init__(self) -> None:
        self.written = {STDOUT: bytearray(), STDERR: bytearray()}
        self.status: Any = None
        self.problem = ""

    def take(self, message: bytes) -> bool:
        """Take one message. Returns whether it was the last one."""
        channel, data = message[0] if message else 0, message[1:]
        if channel == STATUS:
            self.status = msgspec.json.decode(data)
            return True
        if channel in self.written:
            self.written[channel] += data
            if sum(map(len, self.written.values())) > MOST:
                self.problem = f"the command has written more than {MOST} bytes"
        return bool(self.problem)

    def text(self, channel: int) -> str:
        return self.written[channel].decode("utf-8", "replace")


async def execute(
    http: httpx2.AsyncClient, path: str, container: str, command: Sequence[str], timeout: float
) -> Ran:
    """
    Run a command.

    Args:
        http: The client.
        path: The path of the pod.
        container: The name of the container.
        command: The words of the command.
        timeout: Seconds for everything.

    Raises:
        ApiServerError: The command cannot be started, or its end is not known.
    """
    params = {"container": container, "stdout": "true", "stderr": "true", "command": [*command]}
    output = _Output()
    try:
        async with asyncio.timeout(timeout):
            with named_errors(timeout):
                async with http.websocket(
                    f"{path}/exec",
                    params=params,
                    subprotocols=PROTOCOLS,
                    max_message_size_bytes=MESSAGE,
                ) as socket:
                    await _read(socket, output)
    except websockets.WebSocketUpgradeError as error:
        raise failure(error.response.status_code, error.response.text) from None
    except TimeoutError:
        raise ApiServerError("slow", f"the command has not ended after {timeout:g} s") from None
    if output.status is None:
        reason = output.problem or "the connection has ended before the command"
        raise ApiServerError("connection lost", reason)
    return Ran(_code(output.status), output.text(STDOUT), output.text(STDERR))


async def _read(socket: websockets.AsyncWebSocketSession, output: _Output) -> None:
    """Read until the end. It raises nothing, because the socket would wrap it in a group."""
    try:
        while not output.take(await socket.receive_bytes()):
            pass
    except (websockets.HTTPXWSException, ValueError) as error:
        output.problem = f"the answer of the container cannot be read: {error!r}"


def _code(status: Any) -> int:
    """Return the exit code in a Status, or raise ApiServerError if the command did not run."""
    try:
        if status["status"] == "Success":
            return 0
        causes = (status.get("details") or {}).get("causes") or ()
        if status.get("reason") == "NonZeroExitCode":
            return next(int(each["message"]) for each in causes if each["reason"] == "ExitCode")
        reason, code = str(status.get("message", "")), int(status.get("code") or 500)
    except (KeyError, TypeError, ValueError, AttributeError, StopIteration):
        reason, code = "the Status of the command cannot be read", 500
    raise failure(code, reason)
