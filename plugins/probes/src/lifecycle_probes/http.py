"""
The probe `http`, which fails if GET on a URL does not return 2xx.

The probe uses `http.client` of the standard library in a worker thread. One request without
redirects, proxies, cookies or a pool needs no more. Another client would add about ten megabytes
to every image.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import lifecycle
from lifecycle_probes.network import explain
from lifecycle_probes.options import check_range, is_host, read_targets
from lifecycle_probes.side_by_side import SideBySideProbe

if TYPE_CHECKING:
    import ssl
    from http.client import HTTPConnection


class Url(NamedTuple):
    """A URL to GET, with the name of its result."""

    name: str
    host: str
    port: int | None
    path: str
    tls: bool


@dataclass(frozen=True)
class HttpOptions:
    """
    The options `LIFECYCLE_HTTP_*`.

    Raises:
        ValueError: An entry is not an http(s) URL or `NAME=URL`, or the timeout is out of range.
    """

    urls: tuple[str, ...] = field(
        default=(), metadata={"describe": "URL or NAME=URL, separated by commas."}, repr=False
    )
    timeout: float = field(default=0.5, metadata={"describe": "Seconds for all URLs together."})

    @property
    def enabled(self) -> bool:
        """True if the probe is on, because it has URLs."""
        return bool(self.urls)

    def __post_init__(self) -> None:
        check_range("timeout", self.timeout, 0.01, 60, "seconds")
        self.keys()

    def keys(self) -> list[Url]:
        """Return the URLs to GET."""
        read = read_targets("urls", self.urls, read_url)
        return [url._replace(name=name) for name, url in read.items()]


class HttpProbe(SideBySideProbe[Url]):
    """The plugin, which requests every URL."""

    def __init__(self) -> None:
        super().__init__(HttpOptions, self._get, hanging="the resolver or the server hangs")

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        import ssl

        return ssl.create_default_context()

    def _connection(self, url: Url, timeout: float) -> HTTPConnection:
        from http.client import HTTPConnection, HTTPSConnection

        if url.tls:
            return HTTPSConnection(url.host, url.port, timeout=timeout, context=self._tls)
        return HTTPConnection(url.host, url.port, timeout=timeout)

    def _get(self, url: Url, timeout: float) -> lifecycle.ProbeResult:
        from http.client import HTTPException, RemoteDisconnected

        started_at = time.monotonic()
        connection = self._connection(url, timeout)
        headers = {"User-Agent": "lifecycle-probes", "Accept": "*/*", "Connection": "close"}
        try:
            connection.request("GET", url.path, headers=headers)
            response = connection.getresponse()
            status, location = response.status, response.headers.get("Location", "")
        except RemoteDisconnected:
            words = (
                "the server closed the connection without an answer. "
                "Check that it has started, and that this is its HTTP port"
            )
            return lifecycle.ProbeResult(False, f"GET: {words}", url.name)
        except HTTPException as error:
            words = f"the answer is not HTTP ({type(error).__name__}). Check the port"
            return lifecycle.ProbeResult(False, f"GET: {words}", url.name)
        except OSError as error:
            return lifecycle.ProbeResult(False, f"GET: {explain(error)}", url.name)
        finally:
            connection.close()
        if 200 <= status < 300:
            ms = (time.monotonic() - started_at) * 1000
            return lifecycle.ProbeResult(True, f"GET answered {status} in {ms:.0f} ms", url.name)
        return lifecycle.ProbeResult(False, f"GET answered {_words(status, location)}", url.name)


def read_url(text: str) -> tuple[str, Url]:
    """
    Read an http or https URL. Its name has no query, because any caller sees the name.

    Raises:
        ValueError: The text is not such a URL, or contains a user or a password.
    """
    wanted = "must be http://HOST[:PORT][/PATH] or https://…, or NAME=URL"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as wrong:
        raise ValueError(f"a URL is not valid ({wrong}), {wanted}") from None
    if "@" in parts.netloc:
        raise ValueError("a URL contains a user or password. Use a path without authentication")
    printable = text.isascii() and text.isprintable() and " " not in text
    if (
        parts.scheme not in {"http", "https"}
        or not host
        or not is_host(host)
        or port == 0
        or not printable
    ):
        shown = text.partition("?")[0]
        raise ValueError(f"{shown!r}: {wanted}")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    name = parts.netloc + (parts.path if parts.path != "/" else "")
    return name, Url(name, host, port, path, parts.scheme == "https")


def _words(status: int, location: str) -> str:
    from http.client import responses

    said = f"{status} {responses.get(status, '')}".rstrip()
    if 300 <= status < 400:
        to = urlsplit(location)._replace(query="", fragment="").geturl()[:200] or "nowhere"
        return f"{said}, a redirect to {to}, which is not followed. Use the URL that returns 2xx"
    if status in {401, 403}:
        return f"{said}, credentials are required. Use a path without authentication"
    if status >= 500:
        return f"{said}, the server is up but cannot serve"
    return f"{said}, not 2xx. Check the path"
