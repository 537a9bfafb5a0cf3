"""
Which protocol a connection speaks, and going on in another one: ALPN, preface, upgrade.

`HttpProtocol` is all that a connection knows of them, and of hypercorn behind them.
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
    """Import HTTP/2: a server that speaks HTTP/1.1 alone, as the QOS port does, never pays for it."""
    from lifecycle.serving.http2.connection import Http2

    return Http2


class HttpProtocol(Protocol):
    """What a connection asks of the protocol that it speaks."""

    @property
    def busy(self) -> bool:
        """True while a request is under way beside those whose app is at work."""

    @property
    def answered(self) -> bool:
        """True if only the client is waited for: to take what it is answered, or to end."""

    @property
    def unread(self) -> bool:
        """True if the client may have more to say than has been read."""

    @property
    def half_read(self) -> bool:
        """True if something has come that is no whole request yet."""

    async def initiate(self) -> None:
        """Begin."""

    async def handle(self, event: WireEvent) -> None:
        """Take what a client has sent, or that it is gone."""

    def hung_up(self) -> None:
        """Tell an app that its client is gone, also while nothing is read."""

    def refuse_from(self, when: float) -> None:
        """Refuse new requests from a time of the loop on."""

    def goodbye(self) -> bytes:
        """Return what is sent last on an idle connection."""

    def cut(self) -> bytes:
        """Return a last answer for each request that has none."""

    def let_go(self) -> None:
        """Part from those who know this, at its end."""


class Negotiated:
    """
    HTTP/1.1, until the client asks for HTTP/2 by its preface or by an upgrade; or HTTP/2.

    Args:
        alpn: What the TLS handshake has agreed on, None without.
        plain: HTTP/1.1 and nothing else.
        tasks: Where apps run.
        state: The lifespan's, handed to every request.
        send: Takes what is to be written, and that the connection is to end.
        write_now: Writes at once, without waiting for the client.
        patience: Seconds in which a client must take something of what waits for it.
        untaken: Returns how many bytes have left and are not taken: here, and in the kernel.
        arguments: What the streams of both are made of.

    Attributes:
        protocol: The one that is spoken now.
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
        """Begin."""
        await self.protocol.initiate()

    async def handle(self, event: WireEvent) -> None:
        """Take what a client has sent, or that it is gone."""
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
        """Part from those who know this, at its end."""
        self.protocol.let_go()
