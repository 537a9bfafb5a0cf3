"""One request, over TCP or over a Unix socket."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Mapping

from lifecycle.testing import free_port as free_port


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def asked(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    headers: Mapping[str, str] | None,
) -> tuple[int, str, float]:
    began = time.perf_counter()
    try:
        connection.request(method, path, headers={"Connection": "close", **(headers or {})})
        response = connection.getresponse()
        body = response.read().decode(errors="replace")
        return response.status, body, time.perf_counter() - began
    finally:
        connection.close()
