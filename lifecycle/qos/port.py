"""Opening the QOS port and the control socket, and closing them last."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import resource
import socket
from functools import partial
from typing import Final

from lifecycle.config import Config
from lifecycle.control.conductor import Conductor
from lifecycle.exceptions import PortUnavailable, reason
from lifecycle.log import Log
from lifecycle.qos import control_socket
from lifecycle.qos.access import Access
from lifecycle.qos.routes import Routes
from lifecycle.serving.asgi_servers import NOT_ACCEPTED
from lifecycle.serving.server import Server
from lifecycle.serving.sockets import PathSocket, bind_tcp, peer_uid

HEADER_TIME: Final = 2.0
"""Seconds for a request's header, and for an idle connection."""
MOST_CONNECTIONS: Final = 128
CLOSE_TIME: Final = 0.05
"""Seconds for what is being answered when the port closes."""


class Sockets:
    """The bound, not yet listening sockets of one process."""

    def __init__(self, config: Config) -> None:
        """
        Bind.

        Raises:
            PortUnavailable: The port is taken, or no folder takes the control socket.
        """
        self.tcp = _bind_tcp(config.qos_host, config.qos_port)
        self.port: int = self.tcp.getsockname()[1]
        try:
            self.unix, self.path = _bind_unix(config, self.port)
        except PortUnavailable:
            self.tcp.close()
            raise

    def close(self) -> None:
        """Give everything back."""
        self.tcp.close()
        self.unix.close()


class Port:
    """The QOS port of one lifecycle. Lives on the control loop."""

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
        """Answer from now on."""
        self._tcp.listen([self._sockets.tcp])
        self._unix.listen([self._sockets.unix])

    async def close(self) -> None:
        """Answer what is under way, and nothing more."""
        await asyncio.gather(self._unix.close(CLOSE_TIME), self._tcp.close(CLOSE_TIME))


def _say_lost(log: Log, count: int) -> None:
    log.warning("clients lost", port="QOS", count=count, problem=NOT_ACCEPTED)


def _bind_tcp(host: str, port: int) -> socket.socket:
    try:
        return bind_tcp(host, port, listen=True)
    except OSError as error:
        raise _why(f"{host or '*'}:{port}", port, error) from None


def _why(where: str, port: int, error: OSError) -> PortUnavailable:
    if error.errno == errno.EADDRINUSE:
        # Only who finds it taken pays for it.
        from lifecycle.qos.port_holder import PortTaken, holder, way_out

        found = holder(port)
        who = way_out(found) if found is not None else "another process of this pod has it"
        return PortTaken(
            f"the QOS port {where} is in use: {who}; or choose another with "
            f"LIFECYCLE_QOS_PORT (0: any free one; now {port})",
            found,
        )
    return PortUnavailable(f"the QOS port {where} cannot be opened: {reason(error)}")


def _bind_unix(config: Config, port: int) -> tuple[PathSocket, str]:
    tried = []
    for path in control_socket.candidates(port, config.run_dir):
        if _somebody_listens(path):
            raise PortUnavailable(_taken(path, port))
        sock = PathSocket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with contextlib.suppress(OSError):
                os.unlink(path)  # who left it is gone
            sock.bind(path)
            os.chmod(path, 0o600)  # in time: nobody can connect before it listens
            sock.listen(1)  # now, so that the next one sees that it is taken
        except OSError as error:
            sock.close()
            tried.append(f"{path}: {error.strerror or error}")
            continue
        return sock, path
    raise PortUnavailable(
        "no folder takes the control socket, without which `lifecycle prestop` cannot work ("
        + "; ".join(tried)
        + "): mount an emptyDir and name it in LIFECYCLE_RUN_DIR"
    )


def _somebody_listens(path: str) -> bool:
    # The same port of another address, or of another network namespace with the same folder.
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.setblocking(False)
        try:
            return sock.connect_ex(path) in (0, errno.EAGAIN)
        except OSError:  # too long
            return False


def _taken(path: str, port: int) -> str:
    return (
        f"another process with the QOS port {port} answers on the control socket {path}: choose "
        "another with LIFECYCLE_QOS_PORT, or for each a folder of its own with LIFECYCLE_RUN_DIR"
    )


def _same_user(sock: socket.socket) -> bool:
    # None: the file's mode is all there is on this system.
    return peer_uid(sock) in (os.geteuid(), 0, None)


def _connection_cap() -> int:
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(8, min(MOST_CONNECTIONS, descriptors // 4))
