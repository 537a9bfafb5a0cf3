"""The server of the QOS port and of the control socket, which closes last."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import socket
from functools import partial
from typing import Final

from lifecycle.control.conductor import Conductor
from lifecycle.links import help_page
from lifecycle.log import Log
from lifecycle.qos.access import Access
from lifecycle.qos.bound_sockets import Sockets
from lifecycle.qos.routes import Routes
from lifecycle.serving.asgi_servers import NOT_ACCEPTED
from lifecycle.serving.server import Server
from lifecycle.serving.sockets import peer_uid

HEADER_TIME: Final = 2.0
"""Seconds for the header of a request, and for an idle connection."""
MOST_CONNECTIONS: Final = 128
CLOSE_TIME: Final = 0.05
"""Seconds for running requests when the port closes."""


class Port:
    """The QOS port (probe port) of one `Lifecycle`. For the control loop."""

    def __init__(self, conductor: Conductor, sockets: Sockets) -> None:
        config = conductor.config
        routes = Routes(conductor, Access(config.qos_allow, config.prestop_token))
        logger = logging.getLogger("lifecycle.qos")
        self._sockets = sockets
        cap = _connection_cap()
        server = partial(
            Server,
            keep_alive=HEADER_TIME,
            patience=HEADER_TIME,
            cap=cap,
            plain=True,
            lost=partial(_say_lost, conductor.log),
            logger=logger,
        )
        self._tcp = server(routes.on_port)
        self._unix = server(routes.on_socket, admit=_same_user)

    def open(self) -> None:
        """Start to answer."""
        self._tcp.listen([self._sockets.tcp])
        self._unix.listen([self._sockets.unix])

    async def close(self) -> None:
        """Finish the running requests, and accept no others."""
        await asyncio.gather(self._unix.close(CLOSE_TIME), self._tcp.close(CLOSE_TIME))


def _say_lost(log: Log, count: int) -> None:
    log.warning(
        "clients lost", port="QOS", count=count, problem=NOT_ACCEPTED, see=help_page("clients-lost")
    )


def _same_user(sock: socket.socket) -> bool:
    # None means that only the file mode protects the socket on this system.
    return peer_uid(sock) in (os.geteuid(), 0, None)


def _connection_cap() -> int:
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(8, min(MOST_CONNECTIONS, descriptors // 4))
