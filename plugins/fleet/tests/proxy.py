"""A proxy for HTTP and for CONNECT, which reaches one address whatever it is asked for."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Self


class Proxy:
    """
    A proxy on a socket of this machine.

    Args:
        port: The port that everything is sent to.

    Attributes:
        asked: The first line of each connection.
        refuses: Whether CONNECT is answered with 403.
    """

    def __init__(self, port: int, *, refuses: bool = False) -> None:
        self.asked: list[str] = []
        self.refuses = refuses
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))

    @property
    def url(self) -> str:
        """The address."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += client.recv(1)
            self.asked.append(head.split(b"\r\n", 1)[0].decode())
            if self.refuses:
                client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
                return
            with socket.create_connection(("127.0.0.1", self._to)) as server:
                if head.startswith(b"CONNECT"):
                    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                else:
                    method, url, rest = head.split(b" ", 2)
                    server.sendall(b" ".join((method, b"/" + url.split(b"/", 3)[3], rest)))
                threading.Thread(target=_copy, args=(server, client), daemon=True).start()
                _copy(client, server)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
