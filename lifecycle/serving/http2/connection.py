"""
HTTP/2: one connection of the h2 library's, and what its client may ask of it.

Rules of this file:

1. Frames that ask for work, and requests taken back, are budgeted: who sends more than
   anybody needs is told ENHANCE_YOUR_CALM, and closed.
2. Priorities are not looked at, as RFC 9113 (section 5.3) allows: streams take turns.
3. Whatever a client sends, this raises nothing: the connection ends.
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
"""Bytes that a stream may send before its app reads: HTTP/2's own default."""
PIECE: Final = 4 * 1024
"""Bytes taken apart before the loop comes round, where frames are small."""
MANY: Final = 128
"""Frames in one read that make them small."""


class Http2:
    """
    One connection's HTTP/2.

    Args:
        tasks: Where apps run.
        state: The lifespan's.
        send: Takes what is to be written, and that the connection is to end.
        write_now: Writes at once, without waiting for the client.
        patience: Seconds in which a client must take something of what waits for it.
        untaken: Returns how many bytes have left and are not taken: here, and in the kernel.
        arguments: What streams are made of.
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
        """True while anything is under way."""
        return self._requests.busy

    @property
    def answered(self) -> bool:
        """True if only the client is waited for: to take what it is answered, or to end."""
        return self._requests.answered

    @property
    def unread(self) -> bool:
        """True: a client may always have more to say."""
        return True

    half_read = False
    """What is no whole frame yet is no request."""

    async def initiate(
        self, headers: list[tuple[bytes, bytes]] | None = None, settings: bytes | None = None
    ) -> None:
        """Say hello; `headers`: of the request that has asked to go on in HTTP/2."""
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

    # What comes in.

    async def handle(self, event: WireEvent) -> None:
        """Take what a client has sent, or that it is gone."""
        if isinstance(event, RawData):
            await self._receive(event.data)
        elif isinstance(event, Closed) and not self._requests.closed:
            await self._requests.close()

    async def _receive(self, data: bytes) -> None:
        frames, fair = self._budget.read(data)
        if not fair:
            await self._calm("more control frames than anybody needs")
            return
        size = PIECE if frames > MANY else len(data) or 1
        for start in range(0, len(data), size):
            if start:
                await asyncio.sleep(0)
            if self._requests.closed:
                return
            try:
                events = self._wire.receive_data(data[start : start + size])
            except Exception as error:  # noqa: BLE001 - h2 raises more than it says
                _log.debug("HTTP/2 has ended: %r", error)
                await self._finish()
                return
            if reply := self._wire.data_to_send():
                if not self._budget.reply(reply, self._wire.late.forgiven()):
                    await self._calm("more frames than anybody sends for what has been reset")
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
        # Who floods may not read either: nothing is waited for.
        self._write_now(self._wire.data_to_send())
        await self.handle(Closed())
        await self._send(Closed())

    def goodbye(self) -> bytes:
        """Return what ends it in order: the client learns which of its requests was the last."""
        with contextlib.suppress(h2.exceptions.ProtocolError):
            self._wire.close_connection()
        return bytes(self._wire.data_to_send())

    def refuse_from(self, when: float) -> None:
        """Refuse new requests from a time of the loop on, for the client to send elsewhere."""
        self._requests.refuses_from = when

    def hung_up(self) -> None:
        """Do nothing: what comes is always read, and so is the end of it."""

    def cut(self) -> bytes:
        """Return a last answer for each request that has none."""
        self._requests.refuse()
        try:
            return bytes(self._wire.data_to_send())
        except h2.exceptions.ProtocolError:
            return b""

    def let_go(self) -> None:
        """Part from those who know this: in a circle, all would wait for the collector."""
        nobody: Any = None
        self._tasks = self._send = self._write_now = nobody
        self._requests.let_go()
