"""
The choice of a connection's protocol, and changes of it: ALPN, preface, upgrade.

A connection uses protocols, and hypercorn behind them, only through `HttpProtocol`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol, Unpack

from lifecycle.serving.http1.connection import Http1
from lifecycle.serving.hypercorn import (
    H2CProtocolRequiredError,
    H2ProtocolAssumedError,
    RawData,
    StreamArguments,
    WireEvent,
)

if TYPE_CHECKING:
    from lifecycle.serving.http2.connection import Http2


def load_http2() -> type[Http2]:
    """Import HTTP/2. A server with HTTP/1.1 only, such as the QOS port, never imports it."""
    from lifecycle.serving.http2.connection import Http2

    return Http2


class HttpProtocol(Protocol):
    """The interface of a protocol for its connection."""

    @property
    def busy(self) -> bool:
        """True while a request is running, other than those whose app is running."""

    @property
    def answered(self) -> bool:
        """True if only the client is waited for: to read its responses, or to end its requests."""

    @property
    def unread(self) -> bool:
        """True if the client may have sent more than has been read."""

    @property
    def half_read(self) -> bool:
        """True if a part of a request has arrived."""

    async def initiate(self) -> None:
        """Start the protocol."""

    async def handle(self, event: WireEvent) -> None:
        """Process arrived bytes, or the end of the client."""

    def hung_up(self) -> None:
        """Report to the app that its client is gone, even if nothing is being read."""

    def refuse_from(self, when: float) -> None:
        """Refuse new requests from a time of the loop on."""

    def goodbye(self) -> bytes:
        """Return the last bytes for an idle connection."""

    def cut(self) -> bytes:
        """Return a last response for each unanswered request."""

    def let_go(self) -> None:
        """Break reference cycles at the end."""


class Negotiated:
    """
    HTTP/1.1 until the client asks for HTTP/2 by its preface or an upgrade, or HTTP/2 at once.

    Args:
        alpn: The protocol that the TLS handshake has chosen, or None without TLS.
        plain: Use HTTP/1.1 only.
        tasks: The task group of the apps.
        state: The state of the lifespan, which every request gets.
        send: Receives bytes to write, and the end of the connection.
        write_now: Writes at once, without waiting for the client.
        patience: Seconds within which a client must accept some of the waiting bytes.
        untaken: Returns how many sent bytes the client has not accepted: here, and in the kernel.
        arguments: The arguments of the streams of both protocols.

    Attributes:
        protocol: The current protocol.
    """

    def __init__(
        self,
        *,
        alpn: str | None,
        plain: bool,
        tasks: asyncio.TaskGroup,
        state: Any,
        send: Callable[[WireEvent], Awaitable[None]],
        write_now: Callable[[bytes], None],
        patience: float,
        untaken: Callable[[], tuple[int, int]],
        **arguments: Unpack[StreamArguments],
    ) -> None:
        self._http2: Callable[[], Http2] = lambda: load_http2()(
            tasks=tasks,
            state=state,
            send=send,
            write_now=write_now,
            patience=patience,
            untaken=untaken,
            **arguments,
        )
        self.protocol: HttpProtocol
        if alpn == "h2" and not plain:
            self.protocol = self._http2()
        else:
            self.protocol = Http1(
                plain=plain, tasks=tasks, state=state, send=send, write_now=write_now, **arguments
            )

    async def initiate(self) -> None:
        """Start the protocol."""
        await self.protocol.initiate()

    async def handle(self, event: WireEvent) -> None:
        """Process arrived bytes, or the end of the client."""
        try:
            await self.protocol.handle(event)
        except H2ProtocolAssumedError as preface:
            await self._go_on().initiate()
            await self.protocol.handle(RawData(preface.data))
        except H2CProtocolRequiredError as upgrade:
            await self._go_on().initiate(upgrade.headers, upgrade.settings)
            await self.protocol.handle(RawData(upgrade.data))

    def _go_on(self) -> Http2:
        self.protocol.let_go()
        self.protocol = http2 = self._http2()
        return http2

    def refuse_from(self, when: float) -> None:
        """Refuse new requests from a time of the loop on."""
        self.protocol.refuse_from(when)

    def let_go(self) -> None:
        """Break reference cycles at the end."""
        self.protocol.let_go()
