"""
The parts of hypercorn that this package uses. No other module imports hypercorn or wsproto.

Hypercorn handles ASGI for the app, with one stream per request, and HTTP/1.1 for the client. The
modules that import from here add connections, HTTP/2, memory limits and shutdown.

Rules of this file:

1. No name that starts with `_` is used, of hypercorn, h11, h2, wsproto or asyncio.
2. Everything that is used of hypercorn is a name below, or an attribute that a test checks.
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
    """The worker that hypercorn's classes expect."""

    event_class = staticmethod(lambda: None)
    """The event class for hypercorn's own way of reading HTTP/1.1, which is not used."""
    sleep = staticmethod(asyncio.sleep)
    """The function with which the pings of a WebSocket would wait."""


class StreamArguments(TypedDict):
    """The arguments of every stream of one connection."""

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
        keep_alive: Seconds that a connection may be idle.
        logger: The logger for hypercorn's own errors.
    """
    config = hypercorn.config.Config()
    config.keep_alive_timeout = keep_alive
    config.include_server_header = False
    config.errorlog = logger
    config.accesslog = None
    return config
