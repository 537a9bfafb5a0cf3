"""
daphne, with one process.

A request is in flight until the app has returned and its response is sent, and a WebSocket until
the app has returned. After the drain start, each response has `Connection: close`, and closes the
connection. After the settle time, idle connections are closed, WebSockets are closed with
1001, and event streams are ended. The app of such a connection is cancelled. At its stop signal,
daphne cancels requests in flight. In a drain, these are only requests that have just arrived. The
stop waits for them, and their WebSockets are closed with 1001.

Not covered: HTTP/2. Its clients get no notice.
"""

from __future__ import annotations

from functools import partial

from .. import standing
from ..connections import GOING_AWAY, PATIENCE, serves_on, unread
from ..event_streams import asks_for_events
from ..headers import CLOSE_BYTES, say_endless, value_of, with_close
from ..seams import needs, seam, wrap
from ..unread import is_half_read
from ..words import finds, of_scope
from ..worker import worker

TYPE_CHECKING = False  # importing typing costs as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

SERVER = "daphne"
LOOK_AGAIN = 0.1
"""Seconds between two looks at a response that its client reads slowly."""

_reactor: Any = None

_channels: Any = None
"""A `WeakSet` of the HTTP/1 connections with at least one request."""
_long: dict[Any, bool] = {}
"""WebSockets and event streams, and whether they must end at once (opened after the delay)."""
_ended: set[Any] = set()
"""The ones of these that were ended here."""
_ports: list[Any] = []
"""The listening ports."""
_in_flight: dict[Any, tuple[Any, Any]] = {}
"""The requests and WebSockets in flight, each with its scope and its task."""
_stops: list[Any] = []
"""The Deferreds that fire once nothing is in flight during the stop."""


def patch_server(module: Any) -> None:
    """Count requests and WebSockets, and report when it serves, in `daphne.server`."""
    global _channels, _reactor  # noqa: PLW0603 - weakref is imported no earlier
    import weakref

    needs(seam(module, "Server.create_application"), "connections", "application_instance")
    needs(seam(module, "Server.run"), "_asyncioEventloop")
    seam(module, "Server.listen_success")
    needs(seam(module, "Server.kill_all_applications"), "defer")
    seam(module, "reactor.getWriters")
    _reactor = module.reactor
    _channels = weakref.WeakSet()
    standing.tasks.append(_apps)

    def create(was: Any) -> Any:
        def create_application(self: Any, protocol: Any, scope: Any) -> Any:
            queue = was(self, protocol, scope)
            running = self.connections.get(protocol, {}).get("application_instance")
            if running is not None:
                _begin(protocol, scope, running)
            return queue

        return create_application

    def start(was: Any) -> Any:
        def run(self: Any) -> None:
            worker.expects(SERVER)  # Django imports this file wherever daphne is among its apps
            was(self)

        return run

    def listen(was: Any) -> Any:
        def listen_success(self: Any, port: Any) -> None:
            was(self, port)
            _ports.append(port)
            serves_on(module.reactor._asyncioEventloop, SERVER, _close_idle)

        return listen_success

    wrap(module, "Server.create_application", create)
    wrap(module, "Server.kill_all_applications", _stopping(module))
    wrap(module, "Server.listen_success", listen)
    wrap(module, "Server.run", start)


def _stopping(module: Any) -> Any:
    """Wait for requests in flight before the connections are closed."""

    def in_a_turn(
        _: Any,
    ) -> Any:  # in this turn it reads arrived bytes, and clients get their notice
        turn = module.defer.Deferred()
        module.reactor.callLater(0, turn.callback, None)
        return turn.addCallback(until_nothing_is_in_flight)

    def until_nothing_is_in_flight(_: Any) -> Any:
        _end_websockets()
        if not _in_flight:
            return None  # and the connections end in this very turn
        ended = module.defer.Deferred()
        _stops.append(ended)
        return ended.addCallback(in_a_turn)

    def kill(was: Any) -> Any:
        def kill_all_applications(self: Any) -> Any:
            if worker.draining:
                for port in _ports:
                    port.stopListening()
                return in_a_turn(None)
            # It fails over a connection whose app has ended, and leaves all others running.
            ended = module.reactor._asyncioEventloop.create_future()
            ended.set_result(None)
            for details in self.connections.values():
                details.setdefault("application_instance", ended)
            return was(self)

        return kill_all_applications

    return kill


def patch_http(module: Any) -> None:
    """Send `Connection: close`, and note event streams, in `daphne.http_protocol`."""

    def reply(was: Any) -> Any:
        def handle_reply(self: Any, message: Any) -> Any:
            if message.get("type") == "http.response.start" and self.channel is not None:
                message = _start(self, message)
            return was(self, message)

        return handle_reply

    needs(seam(module, "WebRequest.handle_reply"), "channel", "finished")
    finds(module.WebRequest, _of_protocol)
    wrap(module, "WebRequest.handle_reply", reply)


def patch_websocket(module: Any) -> None:
    """Check that a WebSocket can be closed with 1001, in `daphne.ws_protocol`."""
    # Below `sendClose`, which allows only the codes 1000 and 3000 to 4999.
    seam(module, "WebSocketProtocol.sendCloseFrame")
    seam(module, "WebSocketProtocol.STATE_OPEN")
    seam(module, "WebSocketProtocol.dropConnection")
    finds(module.WebSocketProtocol, _of_protocol)
    needs(seam(module, "WebSocketProtocol._closeConnection"), "transport", "abortConnection")


def _of_protocol(protocol: Any) -> Any:
    scope, _ = _in_flight[protocol]
    return of_scope(scope)


def _apps() -> list[tuple[object, Any]]:
    """Return the requests and WebSockets, and the tasks of the app."""
    return [(protocol, running) for protocol, (_, running) in _in_flight.copy().items()]


def _begin(protocol: Any, scope: Any, running: Any) -> None:
    worker.begin(protocol)
    _in_flight[protocol] = scope, running
    websocket = scope["type"] == "websocket"
    if websocket:
        _long[protocol] = worker.settled
    elif hasattr(protocol.channel, "persistent"):
        _channels.add(protocol.channel)

    transport = getattr(protocol.channel, "transport", None) if not websocket else None

    def done(_: Any) -> None:
        late = _long.pop(protocol, False)
        sent_away = late and protocol in _ended
        _ended.discard(protocol)
        agent = ""
        if worker.draining:
            agent = value_of(scope["headers"], "user-agent")
        asked = agent, scope["path"], scope.get("client")
        end = partial(_end, protocol, *asked, sent_away=sent_away)
        # Within two turns of the loop, the kernel has accepted as much as fits.
        running.get_loop().call_soon(running.get_loop().call_soon, _end_once_sent, transport, end)

    running.add_done_callback(done)


def _end(protocol: Any, agent: str, path: str, peer: Any, *, sent_away: bool) -> None:
    worker.end_from(protocol, agent, path, sent_away=sent_away, peer=peer)
    _in_flight.pop(protocol, None)
    while _stops and not _in_flight:
        _stops.pop().callback(None)


def _end_once_sent(transport: Any, end: Callable[[], None]) -> None:
    """End a request once the kernel has all of its response. daphne's stop does not wait."""
    below = getattr(transport, "transport", transport)  # below TLS
    if below is not None and below in _reactor.getWriters():
        _reactor.callLater(LOOK_AGAIN, _end_once_sent, transport, end)
    else:
        end()


def _start(request: Any, message: Any) -> Any:
    headers = list(message.get("headers", ()))
    if worker.draining and hasattr(request.channel, "persistent"):
        message = dict(message, headers=with_close(headers, CLOSE_BYTES))
        worker.told_to_go()
        request.channel.persistent = False
    if say_endless(headers) and _asks(request):
        _long[request] = worker.settled
    return message


def _asks(request: Any) -> bool:
    accept = request.requestHeaders.getRawHeaders(b"accept") or ()
    return asks_for_events(request.method.decode("latin-1"), [e.decode("latin-1") for e in accept])


def _close_idle() -> None:
    for channel in tuple(_channels):
        half_read = channel._receivedHeaderSize or channel._buffer or channel._dataBuffer
        if channel.requests or half_read or not channel.persistent:
            continue
        transport = channel.transport
        if getattr(transport, "connected", True) and not _has_unread(transport):
            channel.loseConnection()
    _end_websockets()
    for protocol in tuple(_long):
        if protocol not in _ended and not hasattr(protocol, "sendCloseFrame"):
            _end_stream(protocol)


def _end_websockets() -> None:
    for protocol in tuple(_long):
        if protocol in _ended or not hasattr(protocol, "sendCloseFrame"):
            continue
        if protocol.state == protocol.STATE_OPEN:
            _ended.add(protocol)
            _end_websocket(protocol)


def _end_websocket(protocol: Any) -> None:
    drop = protocol.dropConnection

    def drop_softly(abort: bool = False) -> None:  # noqa: ARG001, FBT001, FBT002 - its signature
        drop()  # a reset would overtake the 1001
        _reactor.callLater(
            PATIENCE, protocol.transport.abortConnection
        )  # if the client does not read it

    protocol.dropConnection = drop_softly
    protocol.sendCloseFrame(code=GOING_AWAY)
    worker.told_to_go()


def _has_unread(transport: Any) -> bool:
    below = transport
    while hasattr(below, "wrappedProtocol"):  # TLS
        below = below.transport
    handle = getattr(below, "getHandle", None)
    sock = handle() if handle is not None else None
    return unread(sock) or (below is not transport and sock is not None and is_half_read(sock))


def _end_stream(request: Any) -> None:
    _ended.add(request)
    if request.channel is not None:
        request.channel.persistent = False
    running = request.server.connections.get(request, {}).get("application_instance")
    request.handle_reply({"type": "http.response.body", "body": b""})
    if running is not None:
        running.cancel()
