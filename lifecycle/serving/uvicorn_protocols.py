"""
Uvicorn, as far as this package uses it: no other module imports it.

What is not in uvicorn's documentation is a member of `Seam`; a test fails where it has moved.
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
"""The oldest version that the tests have passed with."""
LOG: Final = logging.getLogger("uvicorn.error")
ACCESS_LOG: Final = logging.getLogger("uvicorn.access")


class Connections(set[Any]):
    """
    Uvicorn's protocols of this moment: each puts itself in, and takes itself out.

    Args:
        came: Called with each that comes.
        gone: Called with each that goes.
    """

    def __init__(self, came: Callable[[Any], object], gone: Callable[[Any], object]) -> None:
        super().__init__()
        self._came = came
        self._gone = gone

    def add(self, protocol: Any) -> None:
        """Take one in."""
        super().add(protocol)
        self._came(protocol)

    def discard(self, protocol: Any) -> None:
        """Let one go, if it is here."""
        super().discard(protocol)
        self._gone(protocol)

    remove = discard


class Seam:
    """
    What is used of uvicorn: what makes its protocols, and what is asked of them.

    Args:
        app: The ASGI app.
        keep_alive: Seconds a connection may be idle.
        access_log: Log a line a request.
        came: Called with each protocol whose connection is made.
        gone: Called with each whose connection is lost, or another protocol's.
        options: More of `uvicorn.Config`.
    """

    def __init__(
        self,
        app: Any,
        *,
        keep_alive: float,
        access_log: bool,
        came: Callable[[Any], object],
        gone: Callable[[Any], object],
        **options: Any,
    ) -> None:
        if not access_log or ACCESS_LOG.hasHandlers():
            options["log_config"] = None  # what the app has configured stays
        self._config = uvicorn.Config(
            app,
            interface="asgi3",
            lifespan="off",
            workers=1,
            access_log=access_log,
            timeout_keep_alive=keep_alive,  # type: ignore[arg-type]
            **options,
        )
        # Its INFO has a line for each WebSocket.
        LOG.setLevel(logging.INFO if access_log else logging.WARNING)
        self._config.load()
        self._server = uvicorn.Server(self._config)
        self._state = self._server.server_state
        self._state.connections = self.connections = Connections(came, gone)
        self.tasks: set[asyncio.Task[None]] = self._state.tasks
        """Of all apps that run."""

    async def set_date(self) -> None:
        """Set the headers that all answers have."""
        await self._server.on_tick(0)

    def protocol(self, state: dict[str, Any], loop: asyncio.AbstractEventLoop) -> Any:
        """Make what speaks with one client."""
        make: Any = self._config.http_protocol_class
        return make(config=self._config, server_state=self._state, app_state=state, _loop=loop)

    @staticmethod
    def is_http(protocol: Any) -> bool:
        """Tell whether it is HTTP; a WebSocket otherwise."""
        return hasattr(protocol, "cycle")

    @staticmethod
    def is_new(protocol: Any) -> bool:
        """Tell whether its client has not asked yet."""
        return getattr(protocol, "cycle", protocol) is None

    @staticmethod
    def is_waiting(protocol: Any) -> bool:
        """Tell whether it waits for a request, or for the rest of one."""
        cycle = getattr(protocol, "cycle", protocol)
        return cycle is None or (cycle is not protocol and cycle.response_complete)

    @staticmethod
    def is_idle(protocol: Any) -> bool:
        """Tell whether its client was answered, and nothing has come since."""
        cycle = getattr(protocol, "cycle", None)
        waits = getattr(protocol, "timeout_keep_alive_task", None) is not None
        return waits and cycle is not None and cycle.response_complete

    @staticmethod
    def transport(protocol: Any) -> Any:
        """Return what its connection is."""
        return protocol.transport

    @staticmethod
    def transport_of(receive: Any) -> Any:
        """Return what an app's `receive` belongs to."""
        return receive.__self__.transport


def _check_version() -> None:
    found = tuple(int(part) for part in re.findall(r"\d+", uvicorn.__version__)[:3])
    if found < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise ServerUnavailable(
            f"--server uvicorn: uvicorn {uvicorn.__version__} is too old: install {oldest} or newer "
            "(pip install 'pod-lifecycle[uvicorn]')"
        )


_check_version()
