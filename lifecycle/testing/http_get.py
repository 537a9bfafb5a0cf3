"""
HTTP GET as the kubelet's HTTP client does it, with that client's error messages.

Rules of this file:

1. Each request has its own connection. The caller decides whether the request announces its end.
2. The timeout covers everything: connecting, TLS, redirects, the body.
3. A redirect is followed only on the same host, up to ten requests in all.
4. At most `BODY_LIMIT` bytes of a body are read.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urljoin, urlsplit

import h11

from lifecycle.testing.specs import HTTPS, HttpGet

BODY_LIMIT: Final = 10 * 1024
REQUESTS: Final = 10
FOLLOWED: Final = frozenset({301, 302, 303, 307, 308})

Headers = Sequence[tuple[str, str]]


class Failed(Exception):
    """There is no response. The text is that of the event."""


class BodyFailed(Failed):
    """The status arrived, but the body did not."""


class NotTLS(Failed):
    """The server answered a TLS handshake in plain HTTP."""


@dataclass(slots=True)
class Response:
    """
    An HTTP response.

    Attributes:
        status: The status code.
        body: The first 10 KiB of the body.
        connection: The open connection. The caller must close it.
    """

    status: int
    body: bytes
    connection: asyncio.StreamWriter = field(repr=False)


def url_of(get: HttpGet, host: str, port: int) -> str:
    """Return the URL of a handler."""
    address = f"[{host}]" if ":" in host else host
    path = get.path if get.path.startswith("/") else f"/{get.path}"
    return f"{get.scheme}://{address}:{port}{path}"


def headers_of(get: HttpGet, agent: str) -> list[tuple[str, str]]:
    """Return the headers of a handler's request. An empty Accept header removes the default one."""
    own = {name.lower() for name, _ in get.headers}
    headers = [pair for pair in get.headers if pair[1] or pair[0].lower() != "accept"]
    if "user-agent" not in own:
        headers.append(("User-Agent", agent))
    if "accept" not in own:
        headers.append(("Accept", "*/*"))
    return headers


async def fetch(url: str, headers: Headers, *, timeout: float | None) -> Response:
    """
    Send a GET request, and follow redirects on the same host.

    Args:
        url: The absolute URL.
        headers: The headers, sent unchanged after `Host`.
        timeout: Seconds for everything, or None for no limit.

    Returns:
        The last response, with its open connection.

    Raises:
        Failed: No response arrived, or not in time.
        BodyFailed: The body did not arrive, or not in time.
    """
    fetching = _Fetch(url, headers)
    try:
        async with asyncio.timeout(timeout):
            return await fetching.run()
    except TimeoutError:
        raise fetching.late() from None
    finally:
        fetching.close_unless_done()


def hang_up(connection: asyncio.StreamWriter) -> None:
    """Close a connection without waiting for the server."""
    connection.transport.abort()


class _Fetch:
    def __init__(self, url: str, headers: Headers) -> None:
        self._url = url
        self._first = urlsplit(url).hostname
        self._headers = headers
        self._stage = "dial"
        self._writer: asyncio.StreamWriter | None = None

    async def run(self) -> Response:
        requests = 1
        while True:
            response, location = await self._ask()
            if response.status not in FOLLOWED or not location:
                break
            following = urljoin(self._url, location)
            if urlsplit(following).hostname != self._first:
                break
            self._url = following
            if requests >= REQUESTS:
                raise self._failed(f"stopped after {REQUESTS} redirects")
            requests += 1
            hang_up(response.connection)
        self._writer = None
        return response

    def late(self) -> Failed:
        """Return the error for what did not arrive in time."""
        if self._stage == "body":
            return BodyFailed(
                "context deadline exceeded (Client.Timeout or context cancellation while reading body)"
            )
        if self._stage == "dial":
            reason = f"dial tcp {self._address}: i/o timeout"
        else:
            reason = "context deadline exceeded"
        return self._failed(f"{reason} (Client.Timeout exceeded while awaiting headers)")

    def close_unless_done(self) -> None:
        if self._writer is not None:
            hang_up(self._writer)

    @property
    def _address(self) -> str:
        parts = urlsplit(self._url)
        port = parts.port or (443 if parts.scheme == HTTPS else 80)
        host = parts.hostname or ""
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def _failed(self, reason: str) -> Failed:
        return Failed(f'Get "{self._url}": {reason}')

    async def _ask(self) -> tuple[Response, str]:
        parts = urlsplit(self._url)
        self._stage = "dial"
        reader, writer = await self._dial()
        self._writer = writer
        connection = h11.Connection(h11.CLIENT)
        host = [(n, v) for n, v in self._headers if n.lower() == "host"] or [("Host", parts.netloc)]
        rest = [(n, v) for n, v in self._headers if n.lower() != "host"]
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._stage = "headers"
        request = h11.Request(method="GET", target=target, headers=[*host, *rest])
        try:
            writer.write(connection.send(request) or b"")
            head = await self._next(connection, reader)
            while isinstance(head, h11.InformationalResponse):
                head = await self._next(connection, reader)
            if not isinstance(head, h11.Response):
                raise self._failed("EOF")
        except h11.RemoteProtocolError as error:
            raise self._failed("EOF" if reader.at_eof() else f"malformed HTTP: {error}") from None
        except OSError as error:
            raise self._failed(f"read tcp {self._address}: read: {_words(error)}") from None
        self._stage = "body"
        body = await self._body(connection, reader)
        location = next((v for n, v in head.headers if n == b"location"), b"")
        return Response(head.status_code, body, writer), location.decode("latin-1")

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        parts = urlsplit(self._url)
        tls = _unverified() if parts.scheme == HTTPS else None
        port = parts.port or (443 if tls else 80)
        try:
            return await asyncio.open_connection(parts.hostname, port, ssl=tls)
        except ssl.SSLError as error:
            if error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
                words = "http: server gave HTTP response to HTTPS client"
                raise NotTLS(str(self._failed(words))) from None
            raise self._failed(f"remote error: tls: {_words(error)}") from None
        except OSError as error:
            call = "connect: " if error.errno else ""
            raise self._failed(f"dial tcp {self._address}: {call}{_words(error)}") from None

    async def _body(self, connection: h11.Connection, reader: asyncio.StreamReader) -> bytes:
        body = b""
        try:
            while len(body) < BODY_LIMIT:
                event = await self._next(connection, reader)
                if not isinstance(event, h11.Data):
                    break
                body += event.data
        except h11.RemoteProtocolError:
            raise BodyFailed("unexpected EOF") from None
        except OSError as error:
            raise BodyFailed(f"read tcp {self._address}: read: {_words(error)}") from None
        return body[:BODY_LIMIT]

    async def _next(
        self, connection: h11.Connection, reader: asyncio.StreamReader
    ) -> h11.Event | type[h11.PAUSED]:
        while (event := connection.next_event()) is h11.NEED_DATA:
            connection.receive_data(await reader.read(65536))
        return event  # type: ignore[return-value] # NEED_DATA has been excluded


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _words(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return str(error.reason or error).lower()
    return os.strerror(error.errno).lower() if error.errno else str(error)
