"""The servers of `run --asgi`, and the interface that each one must provide."""

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
"""The module with the `KIND` of each server, by the name of the server and its distribution."""

CUT_TIME: Final = 0.3
"""Seconds before the end at which connections without a request are cut."""
TAKING_TIME: Final = 1.0
"""Seconds that clients have at least to read their responses, if the timeout allows it."""
CLEAR_TIME: Final = 0.05
"""Seconds for connections to end after they are cut, and again after their tasks are cancelled."""
NOT_ACCEPTED: Final = (
    "These clients had connected, but the process had no file descriptor left to accept them. "
    "Raise the limit of open files, or find the files that your app leaves open."
)
"""The log text about clients that were never accepted."""


class ServerUnavailable(LifecycleError):
    """A server is not installed, or its version cannot be used."""


class AsgiServer(Protocol):
    """A server for one app on the running loop, as the drain uses it."""

    @property
    def connections(self) -> int:
        """The number of connections. Any thread."""

    def listen(self, sockets: Iterable[Any]) -> None:
        """Start to accept on bound sockets. The server owns them from now on."""

    def go_away(self) -> None:
        """Send GOAWAY to every HTTP/2 client while `sends_away`, so that new requests go elsewhere."""

    async def close_idle(self) -> None:
        """
        Close idle connections while `ends_idle`, and continue to accept new ones.

        A connection is idle if it was answered, waits, and has no unread bytes. A connection
        without a request so far is not idle, because its first request may be on its way.
        """

    def stop_listening(self) -> int:
        """Accept the connections that have arrived, and no others. Returns their number."""

    async def close(self, timeout: float, taking: float = math.inf) -> None:
        """
        Stop within `timeout` seconds and a tenth of a second more, whatever the clients do.

        Args:
            timeout: Seconds for running requests. After that, connections are cut.
            taking: Seconds of these for clients to read responses whose app has finished.
        """


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """
    The settings of every server.

    Attributes:
        keep_alive: Seconds that a connection may be idle.
        state: The state of the lifespan, which every request gets.
        tls: The TLS context for HTTPS, with the server's own `alpn`, or None for plain HTTP.
        lost: Called at the end with the number of clients that were never accepted.
        told_to_go: Called for each HTTP/2 connection that gets a GOAWAY.
        sends_away: Returns whether `go_away` still holds.
        ends_idle: Returns whether `close_idle` still holds. At the end, it always does.
    """

    keep_alive: float
    state: dict[str, Any]
    tls: ssl.SSLContext | None = None
    lost: Callable[[int], object] = lambda _: None
    told_to_go: Callable[[], object] = lambda: None
    sends_away: Callable[[], bool] = lambda: True
    ends_idle: Callable[[], bool] = lambda: True


@dataclass(frozen=True, kw_only=True)
class ServerKind:
    """
    The description of a server.

    Attributes:
        make: Makes the server for an app, on the running loop.
        alpn: The protocols that it offers over TLS, best first.
        loop: The default event loop of the app: "asyncio" or "auto".
    """

    make: Callable[[Any, ServerSettings], AsgiServer]
    alpn: tuple[str, ...]
    loop: str = "asyncio"


def server_kind(name: str) -> ServerKind:
    """
    Return the description of one of `SERVERS`.

    Raises:
        ServerUnavailable: The server is not installed, or too old.
    """
    try:
        kind: ServerKind = import_module(SERVERS[name]).KIND
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ServerUnavailable(
            f"--server {name}: {name} is not installed. Run: pip install 'pod-lifecycle[{name}]'",
            see="package-missing",
        ) from None
    return kind
