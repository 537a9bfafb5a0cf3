"""The exec of the fake API server: a WebSocket with channels, as the kubelet speaks it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import threading
from collections.abc import Callable
from typing import Any, Final

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    RejectConnection,
    Request,
)

PROTOCOLS: Final = ("v5.channel.k8s.io", "v4.channel.k8s.io")
STDOUT, STDERR, ERROR = 1, 2, 3


class NotStarted(Exception):
    """The runtime cannot start the command. The message is what the kubelet says."""


class Hangs(Exception):
    """The command never ends, as far as the client can see."""


class Dropped(Exception):
    """The connection is reset in the middle of the command."""


class Call:
    """
    One command that is run in a container. For a function in a thread.

    Attributes:
        namespace: The namespace of the pod.
        pod: Its name.
        container: The container, or empty if none is named.
        words: The words of the command.
        gone: Set once the client has closed the connection.
    """

    def __init__(
        self, where: tuple[str, str, str], words: list[str], send: Callable[[int, bytes], None]
    ) -> None:
        self.namespace, self.pod, self.container = where
        self.words = words
        self.gone = threading.Event()
        self._send = send

    def out(self, text: str | bytes) -> None:
        """Write to stdout, at once."""
        self._send(STDOUT, text.encode() if isinstance(text, str) else text)

    def err(self, text: str | bytes) -> None:
        """Write to stderr, at once."""
        self._send(STDERR, text.encode() if isinstance(text, str) else text)

    def real(self, *argv: str, **given: Any) -> int:
        """Run a process of this machine, send what it writes, and return its exit code."""
        done = subprocess.run(argv, capture_output=True, check=False, **given)
        if done.stdout:
            self.out(done.stdout)
        if done.stderr:
            self.err(done.stderr)
        return done.returncode


def ended(code: int) -> dict[str, Any]:
    """Return the Status of a command that has ended."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def not_started(text: str) -> dict[str, Any]:
    """Return the Status of a command that the runtime cannot start."""
    message = f"Internal error occurred: error executing command in container: {text}"
    return {
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": "InternalError",
        "details": {"causes": [{"message": text}]},
        "code": 500,
    }


async def serve(
    head: bytes,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    where: tuple[str, str, str],
    words: list[str],
    function: Callable[[Call], int],
) -> None:
    """
    Upgrade the connection, run the function in a thread, and send the Status of its exit code.

    Args:
        head: The request, up to its empty line.
        reader: The connection.
        writer: The connection.
        where: Namespace, pod and container.
        words: The words of the command.
        function: Runs the command, and returns its exit code.
    """
    socket = WSConnection(ConnectionType.SERVER)
    socket.receive_data(head)
    request = next(iter(socket.events()))
    assert isinstance(request, Request)
    chosen = next((each for each in PROTOCOLS if each in request.subprotocols), None)
    if chosen is None:
        writer.write(socket.send(RejectConnection(status_code=400)))
        return
    writer.write(socket.send(AcceptConnection(subprotocol=chosen)))
    loop = asyncio.get_running_loop()

    def send(channel: int, data: bytes) -> None:
        message = BytesMessage(bytes((channel,)) + data)
        loop.call_soon_threadsafe(lambda: writer.write(socket.send(message)))

    call = Call(where, words, send)
    hearing = asyncio.create_task(_hear(socket, reader, writer, call.gone))
    try:
        status = ended(await asyncio.to_thread(function, call))
    except NotStarted as error:
        status = not_started(str(error))
    except Hangs:
        await hearing
        return
    except Dropped:
        writer.transport.abort()
        return
    finally:
        hearing.cancel()
    writer.write(socket.send(BytesMessage(bytes((ERROR,)) + json.dumps(status).encode())))
    writer.write(socket.send(CloseConnection(1000)))
    await writer.drain()


async def _hear(
    socket: WSConnection,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    gone: threading.Event,
) -> None:
    """Answer pings, until the client closes the connection."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            socket.receive_data(data)
            for event in socket.events():
                if isinstance(event, Ping):
                    writer.write(socket.send(event.response()))
                if isinstance(event, CloseConnection):
                    gone.set()
    gone.set()
