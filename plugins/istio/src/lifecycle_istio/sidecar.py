"""
Sends one request to the sidecar, with a deadline.

h11 only parses and does no I/O. So the whole request has one deadline, even if the server sends
one byte per second. A proxy of the environment is not used.
"""

from __future__ import annotations

import socket
import time

import h11

from lifecycle_istio.options import Url


class Unanswered(Exception):
    """The sidecar has not answered with 200. The message contains what came instead."""


def ask(method: str, url: Url, timeout: float) -> None:
    """
    Send a request. Returns when the answer is 200.

    Args:
        method: GET or POST, without a body.
        url: The URL.
        timeout: Seconds for the whole request.

    Raises:
        Unanswered: There is no answer, or another answer than 200.
    """
    until = time.monotonic() + timeout
    try:
        with socket.create_connection((url.host, url.port), timeout) as connection:
            status = _converse(connection, method, url, until)
    except ConnectionRefusedError:
        raise Unanswered("connection refused, nothing listens there") from None
    except TimeoutError:
        raise Unanswered(f"no answer within {timeout:g} s") from None
    except OSError as error:
        raise Unanswered(error.strerror or str(error)) from None
    except h11.RemoteProtocolError:
        raise Unanswered("the answer is not HTTP") from None
    if status != 200:
        raise Unanswered(f"the answer is {status}")


def _converse(connection: socket.socket, method: str, url: Url, until: float) -> int:
    http = h11.Connection(h11.CLIENT)
    headers = [
        ("Host", url.authority),
        ("User-Agent", "lifecycle-istio"),
        ("Connection", "close"),
        ("Content-Length", "0"),
    ]
    request = h11.Request(method=method, target=url.path, headers=headers)
    connection.sendall((http.send(request) or b"") + (http.send(h11.EndOfMessage()) or b""))
    while True:
        event = http.next_event()
        if isinstance(event, h11.Response):
            return event.status_code
        if event is h11.NEED_DATA:
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            connection.settimeout(left)
            data = connection.recv(4096)
            if not data:
                raise Unanswered("the connection was closed without an answer")
            http.receive_data(data)
