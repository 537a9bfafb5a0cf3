"""
Long-lived connections of an app on a loop: WebSockets, and the streams of an `EventSource`.

Those of ASGI are here, those of RSGI in `servers.granian_rsgi`. After the settle time,
`end_long_lived` is called at each heartbeat. It closes WebSockets with 1001, and ends event
streams. A connection that opens later is ended by the next heartbeat. A client that does not read
the end is cut off, because its server would wait for it.
"""

from __future__ import annotations

from .connections import GOING_AWAY, LINGER, PATIENCE
from .headers import say_endless
from .worker import worker

TYPE_CHECKING = False  # importing typing costs as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    class Endless(Protocol):
        """An object with `end`."""

        def end(self) -> None: ...


open_ones: set[Endless] = set()
"""The open connections."""


def end_long_lived() -> None:
    """End all long-lived connections. Called on the loop, after the settle time."""
    for each in tuple(open_ones):
        each.end()


class _Gone(OSError):
    """The error that ASGI raises for a message to a client that is gone."""


def _tells_of_the_end(error: Any) -> bool:
    parts = getattr(error, "exceptions", ())
    return (
        isinstance(error, _Gone)
        or isinstance(error.__context__, _Gone)
        or (bool(parts) and all(map(_tells_of_the_end, parts)))
    )


class LongLived:
    """
    A long-lived connection.

    Args:
        receive: The server's function.
        send: The server's function.
    """

    def __init__(self, receive: Any, send: Any) -> None:
        import asyncio

        self._asyncio: Any = asyncio
        self._receive = receive
        self._send = send
        self.abort: Callable[[], object] = lambda: None
        """Cuts the connection, if no other request uses it."""
        self._late = worker.settled
        self._begun = self._over = self._ended = self._cancelled = False
        self._app: Any = asyncio.current_task()
        self._ending: Any = None

    @property
    def sent_away(self) -> bool:
        """Whether it was opened after the settle time, and ended here."""
        return self._late and self._ending is not None

    def end(self) -> None:
        """End it, if it has started, and the app has not ended it."""
        if self._begun and not self._over and self._ending is None:
            self._ending = self._asyncio.ensure_future(self._end())

    async def _end(self) -> None:
        raise NotImplementedError

    async def run(self, app: Any, scope: Any, *more: Any) -> None:
        """Run the app. If it sends after the end, this is not an error."""
        open_ones.add(self)
        try:
            await app(scope, self.receive, self.send, *more)
        except self._asyncio.CancelledError:
            if not self._cancelled:
                raise
        except Exception as error:
            if not _tells_of_the_end(error):
                await self._until_ended()  # the server closes the connection because of the error
                raise
        finally:
            open_ones.discard(self)
            if self._cancelled and hasattr(self._app, "uncancel"):
                self._app.uncancel()
            self._app = None
        await self._until_ended()

    async def _until_ended(self) -> None:
        """Wait until the client has got the end, if there is one."""
        if self._ending is not None:
            await self._asyncio.wait({self._ending}, timeout=PATIENCE)

    def _cancel_app(self) -> None:
        if self._app is not None and not self._cancelled:
            self._cancelled = True
            self._app.cancel()

    def _cut(self) -> None:
        try:
            self.abort()
        except Exception as error:
            worker.complain(f"could not cut off a client that does not read: {error!r}")

    async def receive(self) -> Any:
        """Receive with the server's function."""
        return await self._receive()

    async def send(self, message: Any) -> None:
        """Send, unless it has ended."""
        raise NotImplementedError


class WebSocket(LongLived):
    """A WebSocket, which is closed with 1001."""

    def __init__(self, receive: Any, send: Any) -> None:
        super().__init__(receive, send)
        self._told = self._asyncio.get_running_loop().create_future()
        self._reading: Any = None
        self._sending = 0
        self._heard_at = 0.0

    async def run(self, app: Any, scope: Any, *more: Any) -> None:
        try:
            await super().run(app, scope, *more)
        finally:
            if self._reading is not None:
                self._reading.cancel()

    async def receive(self) -> Any:
        while not self._ended:
            if self._reading is None:
                self._reading = self._asyncio.ensure_future(self._receive())
            reading = self._reading  # it outlives a receive that is cancelled: nothing is lost
            first = self._asyncio.FIRST_COMPLETED
            await self._asyncio.wait({reading, self._told}, return_when=first)
            # Two may ask at once: each message is for one of them.
            if not self._ended and reading is self._reading:
                self._reading = None
                return reading.result()
        return {"type": "websocket.disconnect", "code": GOING_AWAY}

    async def send(self, message: Any) -> None:
        if worker.draining:
            await self._asyncio.sleep(
                0
            )  # so that an app that sends without a pause can be ended too
        if self._ended:
            raise _Gone("the WebSocket is closed, because the app is shutting down")
        if message["type"] == "websocket.close":
            self._over = True
        self._sending += 1
        try:
            await self._send(message)
        except RuntimeError as error:
            if message["type"] == "websocket.accept" and worker.settled:
                # At its stop, uvicorn refuses the handshakes that it has started.
                raise _Gone(
                    "the WebSocket is refused, because the server is shutting down"
                ) from error
            raise
        finally:
            self._sending -= 1
        if message["type"] == "websocket.accept":
            self._begun = True

    async def _end(self) -> None:
        loop = self._asyncio.get_running_loop()
        self._ended = True
        worker.told_to_go()
        self._told.set_result(None)
        if self._sending:  # its client has stopped reading
            loop.call_later(PATIENCE, self._cancel_stuck)
        began = self._heard_at = loop.time()
        closing = self._asyncio.ensure_future(self._close())
        while not closing.done():
            left = min(self._heard_at + PATIENCE, began + LINGER) - loop.time()
            if left <= 0:
                closing.cancel()
                self._cut()
            await self._asyncio.wait({closing}, timeout=max(left, 0.1))
        if not closing.cancelled():
            closing.exception()  # the client may be gone meanwhile

    def _cancel_stuck(self) -> None:
        if self._sending:
            self._cut()
            self._cancel_app()

    async def _close(self) -> None:
        if self._reading is not None:  # granian sends no close while a receive is waiting
            self._reading.cancel()
            await self._asyncio.wait({self._reading})
            self._reading = None
        await self._send({"type": "websocket.close", "code": GOING_AWAY})
        # The client's data is read. Otherwise its connection ends before it sees the 1001.
        while (await self._receive())["type"] != "websocket.disconnect":
            self._heard_at = self._asyncio.get_running_loop().time()


class EventStream(LongLived):
    """A response to an EventSource, which is ended between two events."""

    def __init__(self, receive: Any, send: Any) -> None:
        super().__init__(receive, send)
        self._one_at_a_time = self._asyncio.Lock()

    async def send(self, message: Any) -> None:
        if worker.draining:
            await self._asyncio.sleep(0)
        async with self._one_at_a_time:
            if self._ended:
                return
            if message["type"] == "http.response.body" and not message.get("more_body"):
                self._over = True
            await self._send(message)
        if message["type"] == "http.response.start":
            self._begun = say_endless(tuple(message.get("headers", ())))

    async def _end(self) -> None:
        try:
            await self._asyncio.wait_for(self._last(), PATIENCE)
        except self._asyncio.TimeoutError:
            self._cut()
        except Exception:  # noqa: S110 - the client may be gone meanwhile
            pass
        self._ended = True
        self._cancel_app()

    async def _last(self) -> None:
        async with self._one_at_a_time:
            if not self._over:
                self._ended = True
                await self._send({"type": "http.response.body", "body": b""})
