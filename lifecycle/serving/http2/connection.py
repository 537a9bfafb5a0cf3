"""
An HTTP/2 connection of the h2 library, and the limits for its client.

Rules of this file:

1. Frames that cause work, and cancelled requests, have a budget. A client that exceeds it gets
   ENHANCE_YOUR_CALM, and its connection is closed.
2. Priorities are ignored, as RFC 9113 (section 5.3) allows. Streams take turns.
3. Whatever a client sends, no exception leaves this file. The connection ends instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, Unpack

import h2.events
import h2.exceptions
import h2.settings
from h2.errors import ErrorCodes

from lifecycle.serving.http2.frame_limits import Budget
from lifecycle.serving.http2.h2_library import new_wire
from lifecycle.serving.http2.requests import Requests
from lifecycle.serving.hypercorn import Closed, RawData, StreamArguments, WireEvent

_log = logging.getLogger(__name__)

WINDOW: Final = 65_535
"""Bytes that a stream may receive before its app reads, as in HTTP/2's own default."""
PIECE: Final = 4 * 1024
"""Bytes that are parsed before the loop turns, if frames are small."""
MANY: Final = 128
"""The number of frames in one read from which they count as small."""


class Http2:
    """
    The HTTP/2 protocol of one connection.

    Args:
        tasks: The task group of the apps.
        state: The state of the lifespan.
        send: Receives bytes to write, and the end of the connection.
        write_now: Writes at once, without waiting for the client.
        patience: Seconds within which a client must accept some of the waiting bytes.
        untaken: Returns how many sent bytes the client has not accepted: here, and in the kernel.
        arguments: The arguments of its streams.
    """

    def __init__(
        self,
        *,
        tasks: asyncio.TaskGroup,
        state: Any,
        send: Callable[[WireEvent], Awaitable[None]],
        write_now: Callable[[bytes], None],
        patience: float,
        untaken: Callable[[], tuple[int, int]],
        **arguments: Unpack[StreamArguments],
    ) -> None:
        config = arguments["config"]
        self._tasks = tasks
        self._send = send
        self._write_now = write_now
        self._budget = Budget(asyncio.get_running_loop().time)
        self._most: int = config.h2_max_concurrent_streams
        self._wire = new_wire(config)
        self._requests = Requests(
            self._wire,
            self._budget,
            tasks=tasks,
            state=state,
            send=send,
            write_now=write_now,
            calm=self._calm,
            patience=patience,
            untaken=untaken,
            **arguments,
        )
        self._out = self._requests.out

    @property
    def busy(self) -> bool:
        """True while a request is running."""
        return self._requests.busy

    @property
    def answered(self) -> bool:
        """True if only the client is waited for: to read its responses, or to end its requests."""
        return self._requests.answered

    @property
    def unread(self) -> bool:
        """Always True: a client may send more at any time."""
        return True

    half_read = False
    """Always False: an incomplete frame is not a request."""

    async def initiate(
        self, headers: list[tuple[bytes, bytes]] | None = None, settings: bytes | None = None
    ) -> None:
        """Send the settings. `headers` are those of the request that asked for the upgrade."""
        try:
            if settings is None:
                self._wire.initiate_connection()
            else:
                self._wire.initiate_upgrade_connection(settings)
        except Exception:  # noqa: BLE001 - a stranger's settings, in base64
            await self._finish()
            return
        # All streams' windows, twice: credit is given back when half of it is used.
        self._wire.increment_flow_control_window(2 * self._most * WINDOW)
        await self._out.flush()
        self._tasks.create_task(self._out.run())
        if headers is not None:
            await self._requests.open(1, headers)
            await self._requests.heard(1)

    # Input

    async def handle(self, event: WireEvent) -> None:
        """Process arrived bytes, or the end of the client."""
        if isinstance(event, RawData):
            await self._receive(event.data)
        elif isinstance(event, Closed) and not self._requests.closed:
            await self._requests.close()

    async def _receive(self, data: bytes) -> None:
        frames, fair = self._budget.read(data)
        if not fair:
            await self._calm("too many control frames")
            return
        size = PIECE if frames > MANY else len(data) or 1
        for start in range(0, len(data), size):
            if start:
                await asyncio.sleep(0)
            if self._requests.closed:
                return
            try:
                events = self._wire.receive_data(data[start : start + size])
            except Exception as error:  # noqa: BLE001 - h2 raises more than it documents
                _log.debug("an HTTP/2 connection ended with an error: %r", error)
                await self._finish()
                return
            if reply := self._wire.data_to_send():
                if not self._budget.reply(reply, self._wire.late.forgiven()):
                    await self._calm("too many frames for reset streams")
                    return
                await self._send(RawData(data=bytes(reply)))
            for event in events:
                await self._take(event)
            await self._out.flush()

    async def _take(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived():
                self._budget.earn()
                await self._requests.open(event.stream_id, event.headers)
            case h2.events.DataReceived():
                await self._requests.data(event)
            case h2.events.StreamEnded():
                await self._requests.heard(event.stream_id)
            case h2.events.StreamReset():
                await self._requests.reset(event.stream_id)
            case h2.events.WindowUpdated():
                self._requests.unblock(event.stream_id)
            case h2.events.RemoteSettingsChanged():
                if h2.settings.SettingCodes.INITIAL_WINDOW_SIZE in event.changed_settings:
                    self._requests.unblock(0)
            case h2.events.ConnectionTerminated():
                await self._finish()

    # How it ends.

    async def _calm(self, why: str) -> None:
        _log.debug("HTTP/2: ENHANCE_YOUR_CALM, %s", why)
        self._requests.take_back()
        try:
            self._wire.close_connection(ErrorCodes.ENHANCE_YOUR_CALM)
        except h2.exceptions.ProtocolError:
            return
        finally:
            await self._finish()

    async def _finish(self) -> None:
        # A client that floods may not read either, so nothing waits for it.
        self._write_now(self._wire.data_to_send())
        await self.handle(Closed())
        await self._send(Closed())

    def goodbye(self) -> bytes:
        """Return the last GOAWAY of the connection. It names the last request that was accepted."""
        with contextlib.suppress(h2.exceptions.ProtocolError):
            self._wire.close_connection()
        return bytes(self._wire.data_to_send())

    def refuse_from(self, when: float) -> None:
        """Refuse new requests from a time of the loop on, so that clients send them elsewhere."""
        self._requests.refuses_from = when

    def hung_up(self) -> None:
        """Do nothing, because arriving bytes and their end are always read."""

    def cut(self) -> bytes:
        """Return a last response for each unanswered request."""
        self._requests.refuse()
        try:
            return bytes(self._wire.data_to_send())
        except h2.exceptions.ProtocolError:
            return b""

    def let_go(self) -> None:
        """Break reference cycles, so that memory is freed without the garbage collector."""
        nobody: Any = None
        self._tasks = self._send = self._write_now = nobody
        self._requests.let_go()
