"""
Asking the sidecar: one request, a 200 or a reason, by a deadline.

h11 parses and does no I/O, so the whole of a request has one deadline, also when the
other side answers a byte a second. No proxy of the environment is used.
"""

from __future__ import annotations

import socket
import time

import h11

from lifecycle_istio.options import Url


class Unanswered(Exception):
    """The sidecar has not answered with 200; the message says what came instead."""


def ask(method: str, url: Url, timeout: float) -> None:
    """
    Send a request, and return when it is answered with 200.

    Args:
        method: GET or POST; without a body.
        url: What is asked.
        timeout: Seconds for all of it.

    Raises:
        Unanswered: It is not.
    """
    until = time.monotonic() + timeout
    try:
        with socket.create_connection((url.host, url.port), timeout) as connection:
            status = _converse(connection, method, url, until)
    except ConnectionRefusedError:
        raise Unanswered("connection refused: nothing listens there") from None
    except TimeoutError:
        raise Unanswered(f"no answer within {timeout:g} s") from None
    except OSError as error:
        raise Unanswered(error.strerror or str(error)) from None
    except h11.RemoteProtocolError:
        raise Unanswered("what answered speaks no HTTP") from None
    if status != 200:
        raise Unanswered(f"it answered {status}")


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
                raise Unanswered("it hung up without an answer")
            http.receive_data(data)
