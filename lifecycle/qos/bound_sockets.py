"""
Binds the QOS port and the control socket. Clients that connect wait for the server.

The server is in another module, because its import takes time in which a command can start.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket

from lifecycle.config import Config
from lifecycle.exceptions import PortUnavailable, reason
from lifecycle.qos import control_socket
from lifecycle.serving.sockets import PathSocket, bind_tcp


class Sockets:
    """The bound sockets of one process. A client that connects waits until the port answers."""

    def __init__(self, config: Config) -> None:
        """
        Bind the sockets.

        Raises:
            PortUnavailable: The port is in use, or the control socket cannot be created.
        """
        self.tcp = _bind_tcp(config.qos_host, config.qos_port)
        self.port: int = self.tcp.getsockname()[1]
        try:
            self.unix, self.path = _bind_unix(config, self.port)
        except PortUnavailable:
            self.tcp.close()
            raise

    def close(self) -> None:
        """Close the sockets."""
        self.tcp.close()
        self.unix.close()


def _bind_tcp(host: str, port: int) -> socket.socket:
    try:
        return bind_tcp(host, port, listen=True)
    except OSError as error:
        raise _why(f"{host or '*'}:{port}", port, error) from None


def _why(where: str, port: int, error: OSError) -> PortUnavailable:
    if error.errno == errno.EADDRINUSE:
        # Imported only if the port is in use.
        from lifecycle.qos.port_holder import PortTaken, holder, way_out

        found = holder(port)
        who = way_out(found) if found is not None else "Another process of this pod uses the port."
        return PortTaken(
            f"the QOS port {where} is in use. {who} You can also choose another port with "
            f"LIFECYCLE_QOS_PORT (now {port}, 0 means any free port).",
            found,
        )
    return PortUnavailable(
        f"cannot open the QOS port {where}: {reason(error)}", see="qos-port-cannot-be-opened"
    )


def _bind_unix(config: Config, port: int) -> tuple[PathSocket, str]:
    tried = []
    for path in control_socket.candidates(port, config.run_dir):
        if _somebody_listens(path):
            raise PortUnavailable(_taken(path, port), see="control-socket-in-use")
        sock = PathSocket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with contextlib.suppress(OSError):
                os.unlink(path)  # left by a process that has ended
            sock.bind(path)
            os.chmod(path, 0o600)  # before it listens, so no client can connect earlier
            sock.listen(1)  # now, so that another process sees that it is in use
        except OSError as error:
            sock.close()
            tried.append(f"{path}: {error.strerror or error}")
            continue
        return sock, path
    raise PortUnavailable(
        f"cannot create the control socket in any folder ({', '.join(tried)}). `lifecycle prestop` "
        "needs this socket. Mount an emptyDir, and set LIFECYCLE_RUN_DIR to its path.",
        see="no-folder-for-the-control-socket",
    )


def _somebody_listens(path: str) -> bool:
    # Another process may have the same port on another address or in another network namespace.
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.setblocking(False)
        try:
            return sock.connect_ex(path) in (0, errno.EAGAIN)
        except OSError:  # the path is too long
            return False


def _taken(path: str, port: int) -> str:
    return (
        f"another process with the QOS port {port} uses the control socket {path}. Choose another "
        "port with LIFECYCLE_QOS_PORT, or another folder with LIFECYCLE_RUN_DIR."
    )
