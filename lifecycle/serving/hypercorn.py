"""
Hypercorn, as far as this package uses it: no other module imports it, nor wsproto.

Hypercorn speaks ASGI with the app, one stream a request, and HTTP/1.1 with the client. What it
does not offer is in the modules that import from here: connections, HTTP/2, memory, the end.

Rules of this file:

1. Nothing whose name begins with `_` is used, of hypercorn, h11, h2, wsproto or asyncio.
2. What is used of hypercorn is a name below, or an attribute that a test knows.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, TypedDict

import hypercorn.config
from hypercorn.events import Closed, RawData, Updated
from hypercorn.events import Event as WireEvent
from hypercorn.protocol.events import (
    Body,
    Data,
    EndBody,
    EndData,
    InformationalResponse,
    Request,
    Response,
    StreamClosed,
    Trailers,
)
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h11 import (
    STREAM_ID,
    H2CProtocolRequiredError,
    H2ProtocolAssumedError,
    H11Protocol,
    H11WSConnection,
)
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.protocol.ws_stream import FrameTooLargeError, WebsocketBuffer, WSStream
from hypercorn.utils import filter_pseudo_headers, parse_socket_addr
from wsproto.connection import ConnectionState as WebSocketState
from wsproto.events import Message as WebSocketMessage
from wsproto.utilities import ProtocolError as WebSocketError

__all__ = [
    "Body",
    "Closed",
    "Data",
    "EndBody",
    "EndData",
    "FrameTooLargeError",
    "H11Protocol",
    "H11WSConnection",
    "H2CProtocolRequiredError",
    "H2ProtocolAssumedError",
    "HTTPStream",
    "InformationalResponse",
    "RawData",
    "Request",
    "Response",
    "STREAM_ID",
    "StreamClosed",
    "StreamEvent",
    "Trailers",
    "Updated",
    "WSStream",
    "WebSocketError",
    "WebSocketMessage",
    "WebSocketState",
    "WebsocketBuffer",
    "WireEvent",
    "filter_pseudo_headers",
    "parse_socket_addr",
]


class Worker:
    """What hypercorn's classes take for the worker that they belong to."""

    event_class = staticmethod(lambda: None)
    """What HTTP/1.1 makes an event of, for reading in a way of its own that is not used."""
    sleep = staticmethod(asyncio.sleep)
    """What a WebSocket's pings wait by, if there are any."""


class StreamArguments(TypedDict):
    """What every stream of one connection is made of."""

    app: Any
    config: Any
    context: Any
    ssl: bool
    client: tuple[str, int] | None
    server: tuple[str, int] | None


def new_config(*, keep_alive: float, logger: logging.Logger) -> hypercorn.config.Config:
    """
    Return hypercorn's settings.

    Args:
        keep_alive: Seconds a connection may be idle.
        logger: Where hypercorn's own complaints go.
    """
    config = hypercorn.config.Config()
    config.keep_alive_timeout = keep_alive
    config.include_server_header = False
    config.errorlog = logger
    config.accesslog = None
    return config
