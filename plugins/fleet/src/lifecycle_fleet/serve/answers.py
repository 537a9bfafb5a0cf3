"""Plain answers over ASGI, and what guards them."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]
Handler = Callable[[Scope, Receive, Send], Awaitable[None]]

TEXT: Final = "text/plain; charset=utf-8"
JSON: Final = "application/json"
GUARDS: Final[Headers] = (
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
)
"""The headers of every answer. The data is for pages of this server only."""
NO_STORE: Final = (b"cache-control", b"no-store")
INERT: Final = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")


class Answer(NamedTuple):
    """
    An answer that is there as a whole.

    Attributes:
        body: The body.
        status: The status.
        content_type: The media type.
        headers: More headers.
    """

    body: bytes
    status: int = 200
    content_type: str = TEXT
    headers: tuple[tuple[bytes, bytes], ...] = (NO_STORE, INERT)

    async def send(self, send: Send, *, head: bool = False) -> None:
        """Send it. For HEAD without the body."""
        length = (b"content-length", str(len(self.body)).encode())
        await start(send, self.status, self.content_type, (length, *self.headers))
        await send({"type": "http.response.body", "body": b"" if head else self.body})


async def start(send: Send, status: int, content_type: str, more: Headers) -> None:
    """Send the head of an answer."""
    headers = [(b"content-type", content_type.encode()), *GUARDS, *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})


def refused(status: int, text: str, *headers: tuple[bytes, bytes]) -> Answer:
    """Return an answer of one line that says what is wrong."""
    return Answer(f"{text}.\n".encode(), status, TEXT, (NO_STORE, INERT, *headers))


def header(scope: Scope, name: bytes) -> str:
    """Return the first header of a name, or empty."""
    found: Iterable[tuple[bytes, bytes]] = scope["headers"]
    return next((value.decode("latin-1") for key, value in found if key == name), "")


def is_local(host: str) -> bool:
    """
    Tell whether a `Host` is an IP address or localhost, with or without a port.

    Any other name may belong to a foreign web page that has let its name point to this machine.
    """
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    if name.lower().removesuffix(".") == "localhost":
        return True
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True
