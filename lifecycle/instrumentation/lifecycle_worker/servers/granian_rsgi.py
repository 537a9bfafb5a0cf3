"""
granian's own interface RSGI: an app on a loop, called with a scope and a protocol.

A request or a WebSocket is in flight until the app has returned. After the drain start, HTTP/1
responses have `Connection: close`, which granian follows. After the settle time, WebSockets
are closed, and event streams are ended.

RSGI cannot send a close code for a WebSocket, so its client gets 1005 and not 1001.
"""

from __future__ import annotations

from ..event_streams import asks_for_events
from ..headers import CLOSE, say_endless, with_close
from ..long_lived import open_ones
from ..words import finds
from ..worker import worker

TYPE_CHECKING = False  # importing typing costs as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def counted(app: Callable[..., Any]) -> Callable[..., Any]:
    """Return an app whose requests and WebSockets are counted, and ended in a drain."""

    async def serve(scope: Any, proto: Any) -> None:
        http2 = scope.http_version.startswith("2")  # its clients cannot get a notice
        long = WebSocket(scope, proto) if scope.proto == "ws" else Http(scope, proto)
        worker.begin(long)
        try:
            await long.run(app, scope)
        finally:
            if worker.draining:
                host, _, port = scope.client.rpartition(":")
                peer = host.strip("[]"), port  # as in [::1]:4711
                agent, sent_away = scope.headers.get("user-agent", ""), http2 or long.sent_away
                worker.end_from(long, agent, scope.path, sent_away=sent_away, peer=peer)
            else:
                worker.end(long)

    return serve


class LongLived:
    """
    A wrapper around a protocol, which ends long-lived connections.

    Args:
        scope: The request.
        proto: granian's protocol.
    """

    def __init__(self, scope: Any, proto: Any) -> None:
        self._scope = scope
        self._proto = proto
        self._late = worker.settled
        self._ended = False

    @property
    def sent_away(self) -> bool:
        """Whether it was opened after the settle time, and ended here."""
        return self._late and self._ended

    async def run(self, app: Callable[..., Any], scope: Any) -> None:
        """Run the app."""
        try:
            await app(scope, self)
        finally:
            open_ones.discard(self)

    def end(self) -> None:
        """End it, unless it has ended."""
        if self._ended:
            return
        self._ended = True
        try:
            self._end()
        except Exception:  # noqa: S110 - the client may be gone meanwhile
            pass

    def _end(self) -> None:
        raise NotImplementedError

    def words(self) -> Any:
        """Return the words of its request."""
        scope, websocket = self._scope, self._scope.proto == "ws"
        return (
            "WebSocket" if websocket else scope.method,
            scope.path,
            scope.headers.get("user-agent", ""),
            "websocket" if websocket else scope.http_version,
        )

    def __getattr__(self, name: str) -> Any:
        if name == "_proto":  # while it is copied
            raise AttributeError(name)
        return getattr(self._proto, name)


finds(LongLived, LongLived.words)


class WebSocket(LongLived):
    """A WebSocket. It is closed, and then the app receives its end."""

    async def accept(self) -> Any:
        """Accept the WebSocket."""
        transport = await self._proto.accept()
        open_ones.add(self)
        return transport

    def _end(self) -> None:
        self._proto.close(None)


class Http(LongLived):
    """
    A request.

    Args:
        scope: The request.
        proto: granian's protocol.
    """

    def __init__(self, scope: Any, proto: Any) -> None:
        super().__init__(scope, proto)
        self._stream: Stream | None = None
        self._app: Any = None
        self._cancelled = False

    async def run(self, app: Callable[..., Any], scope: Any) -> None:
        """Run the app. If its event stream is ended here, the app is cancelled."""
        from asyncio import CancelledError

        try:
            await super().run(app, scope)
        except CancelledError:
            if not self._cancelled:
                raise
        except Exception:
            if self._stream is None or not self._stream.refused:
                raise
        finally:
            self._app = None

    def __call__(self) -> Any:
        """Read the body."""
        return self._proto()

    def __aiter__(self) -> Any:
        """Read the body in pieces."""
        return self._proto.__aiter__()

    def __getattr__(self, name: str) -> Any:
        found = super().__getattr__(name)
        if not name.startswith("response_"):
            return found

        def respond(status: int, headers: Any, *args: Any, **kwargs: Any) -> Any:
            return found(status, self._closing(headers), *args, **kwargs)

        return respond

    def response_stream(self, status: int, headers: Any) -> Any:
        """Send the response in pieces."""
        from asyncio import current_task

        transport = self._proto.response_stream(status, self._closing(headers))
        accept = self._scope.headers.get("accept", "") if say_endless(headers) else ""
        if not asks_for_events(self._scope.method, (accept,)):
            return transport
        self._app = current_task()
        self._stream = Stream(transport)
        open_ones.add(self)
        return self._stream

    def _closing(self, headers: Any) -> Any:
        if not worker.draining or not self._scope.http_version.startswith("1"):
            return headers
        worker.told_to_go()
        return with_close(headers, CLOSE)

    def _end(self) -> None:
        if self._stream is not None:
            self._stream.end()
        if self._app is not None:
            self._cancelled = True
            self._app.cancel()


class Stream:
    """
    An event stream. To end it, the transport is dropped, which sends its last byte.

    Args:
        transport: granian's transport.
    """

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self.refused = False
        """Whether the app has sent after the end, and got an error."""

    def end(self) -> None:
        """End the stream. A piece that is being sent is still sent."""
        self._transport = None

    def _open(self) -> Any:
        if self._transport is None:
            from granian._granian import RSGIProtocolClosed as ProtocolClosed

            self.refused = True
            raise ProtocolClosed
        return self._transport

    async def send_bytes(self, data: bytes) -> None:
        """Send a piece."""
        await self._open().send_bytes(data)

    async def send_str(self, data: str) -> None:
        """Send a piece of text."""
        await self._open().send_str(data)
