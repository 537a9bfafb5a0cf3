"""
Binding the QOS port and the control socket: who comes from then on waits until they answer.

Apart from what answers, which imports a server: a command is started in that time.
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
    """The bound sockets of one process: who connects waits until they are served."""

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
