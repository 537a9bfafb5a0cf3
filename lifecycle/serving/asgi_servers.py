"""The servers that `run --asgi` knows, and what it needs of each: one more is a file more."""

from __future__ import annotations

import math
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Any, Final, Protocol

from lifecycle.exceptions import LifecycleError

SERVERS: Final = MappingProxyType(
    {"hypercorn": "lifecycle.serving.server", "uvicorn": "lifecycle.serving.uvicorn"}
)
"""Each server's name, which is its distribution's too, and the module that has its `KIND`."""

CUT_TIME: Final = 0.3
"""Seconds before the end by which what has asked for nothing is cut."""
TAKING_TIME: Final = 1.0
"""Seconds that clients have at least, if there are as many, to take what they are answered."""
CLEAR_TIME: Final = 0.05
"""Seconds for connections to end once they are cut, and again once their tasks are cancelled."""
NOT_ACCEPTED: Final = (
    "They had connected, but the process had no file descriptor left to accept them until the end. "
    "Raise the limit of open files, or find what your app leaves open."
)
"""What is said of clients that are lost."""


class ServerUnavailable(LifecycleError):
    """A server is not installed, or in a version that cannot be used."""


class AsgiServer(Protocol):
    """What serves one app on the running loop, as the drain sees it."""

    @property
    def connections(self) -> int:
        """How many connections there are; from any thread."""

    def listen(self, sockets: Iterable[Any]) -> None:
        """Begin to accept on bound sockets; they are this server's from now on."""

    def go_away(self) -> None:
        """From now on, tell every HTTP/2 client to send what is new elsewhere."""

    async def close_idle(self) -> None:
        """
        Close idle connections, from now on to the end; go on accepting.

        Idle is who was answered, waits, and has sent nothing that is not read. Who has never
        asked is not idle: its request is on its way.
        """

    def stop_listening(self) -> None:
        """Accept what has come already, and nothing more."""

    async def close(self, timeout: float, taking: float = math.inf) -> None:
        """
        Stop, in `timeout` seconds and a tenth of one more, whatever the clients do.

        Args:
            timeout: Seconds for requests under way; then connections are cut.
            taking: Of these, seconds for clients to take what apps have said that are done.
        """


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """
    What every server is told.

    Attributes:
        keep_alive: Seconds a connection may be idle.
        state: The lifespan's state, handed to every request.
        tls: For HTTPS; it offers the server's own `alpn`.
        access_log: Log a line a request, if the server can.
        lost: Told at the end how many clients had connected, and were never accepted.
    """

    keep_alive: float
    state: dict[str, Any]
    tls: ssl.SSLContext | None = None
    access_log: bool = False
    lost: Callable[[int], object] = lambda _: None


@dataclass(frozen=True, kw_only=True)
class ServerKind:
    """
    One server.

    Attributes:
        make: Makes it for an app, on the running loop.
        alpn: What it speaks over TLS, best first.
        loop: What runs the app, unless the user says it: "asyncio", or "auto".
        access_log: Whether it can log a line a request.
    """

    make: Callable[[Any, ServerSettings], AsgiServer]
    alpn: tuple[str, ...]
    loop: str = "asyncio"
    access_log: bool = False


def server_kind(name: str) -> ServerKind:
    """
    Return one of `SERVERS`.

    Raises:
        ServerUnavailable: It is not installed, or too old.
    """
    try:
        kind: ServerKind = import_module(SERVERS[name]).KIND
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ServerUnavailable(
            f"--server {name}: {name} is not installed (pip install 'pod-lifecycle[{name}]')"
        ) from None
    return kind
