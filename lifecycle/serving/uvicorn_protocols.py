"""
The parts of uvicorn that this package uses. No other module imports uvicorn.

Everything that is not in uvicorn's documentation is a member of `Seam`. A test fails if uvicorn
changes it.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from typing import Any, Final

import uvicorn

from lifecycle.serving.asgi_servers import ServerUnavailable

OLDEST: Final = (0, 23, 0)
"""The oldest version with which the tests pass."""
LOG: Final = logging.getLogger("uvicorn.error")


class Connections(set[Any]):
    """
    The current protocols of uvicorn. Each protocol adds and removes itself.

    Args:
        came: Called with each new protocol.
        gone: Called with each removed protocol.
    """

    def __init__(self, came: Callable[[Any], object], gone: Callable[[Any], object]) -> None:
        super().__init__()
        self._came = came
        self._gone = gone

    def add(self, protocol: Any) -> None:
        """Add a protocol."""
        super().add(protocol)
        self._came(protocol)

    def discard(self, protocol: Any) -> None:
        """Remove a protocol, if it is there."""
        super().discard(protocol)
        self._gone(protocol)

    remove = discard


class Seam:
    """
    The used parts of uvicorn: making its protocols, and reading their state.

    Args:
        app: The ASGI app.
        keep_alive: Seconds that a connection may be idle.
        came: Called with each protocol whose connection was made.
        gone: Called with each protocol whose connection was lost, or was given to another protocol.
        options: More arguments of `uvicorn.Config`.
    """

    def __init__(
        self,
        app: Any,
        *,
        keep_alive: float,
        came: Callable[[Any], object],
        gone: Callable[[Any], object],
        **options: Any,
    ) -> None:
        self._config = uvicorn.Config(
            app,
            interface="asgi3",
            lifespan="off",
            workers=1,
            access_log=False,
            log_config=None,  # keep the app's own logging configuration
            timeout_keep_alive=keep_alive,  # type: ignore[arg-type]
            **options,
        )
        # Its INFO has a line for each WebSocket.
        LOG.setLevel(logging.WARNING)
        self._config.load()
        self._server = uvicorn.Server(self._config)
        self._state = self._server.server_state
        self._state.connections = self.connections = Connections(came, gone)
        self.tasks: set[asyncio.Task[None]] = self._state.tasks
        """The tasks of all running apps."""

    async def set_date(self) -> None:
        """Set the headers of all responses."""
        await self._server.on_tick(0)

    def protocol(self, state: dict[str, Any], loop: asyncio.AbstractEventLoop) -> Any:
        """Make the protocol of one connection."""
        make: Any = self._config.http_protocol_class
        return make(config=self._config, server_state=self._state, app_state=state, _loop=loop)

    @staticmethod
    def is_http(protocol: Any) -> bool:
        """Return whether it is an HTTP protocol. Otherwise it is a WebSocket."""
        return hasattr(protocol, "cycle")

    @staticmethod
    def is_new(protocol: Any) -> bool:
        """Return whether its client has not sent a request yet."""
        return getattr(protocol, "cycle", protocol) is None

    @staticmethod
    def is_waiting(protocol: Any) -> bool:
        """Return whether it waits for a request, or for the rest of one."""
        cycle = getattr(protocol, "cycle", protocol)
        return cycle is None or (cycle is not protocol and cycle.response_complete)

    @staticmethod
    def is_idle(protocol: Any) -> bool:
        """Return whether its client was answered, and nothing has arrived since."""
        cycle = getattr(protocol, "cycle", None)
        waits = getattr(protocol, "timeout_keep_alive_task", None) is not None
        return waits and cycle is not None and cycle.response_complete

    def idle_since(self, protocol: Any) -> float:
        """Return when its client was answered, if it is idle, by the clock of the loop."""
        over: float = protocol.timeout_keep_alive_task.when()
        return over - self._config.timeout_keep_alive

    @staticmethod
    def transport(protocol: Any) -> Any:
        """Return the transport of a protocol."""
        return protocol.transport

    @staticmethod
    def transport_of(receive: Any) -> Any:
        """Return the transport that belongs to an app's `receive`."""
        return receive.__self__.transport


def _check_version() -> None:
    found = tuple(int(part) for part in re.findall(r"\d+", uvicorn.__version__)[:3])
    if found < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise ServerUnavailable(
            f"--server uvicorn: uvicorn {uvicorn.__version__} is too old. Install {oldest} or newer: "
            "pip install 'pod-lifecycle[uvicorn]'",
            see="package-missing",
        )


_check_version()
