"""What `lifecycle/serving` takes for granted of hypercorn, h11, h2 and asyncio: a rename is seen here."""

from __future__ import annotations

import ast
import asyncio
import importlib
import inspect
import pkgutil
import ssl
import textwrap
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from typing import Any

import h2.frame_buffer
import h11
import hypercorn.config
import pytest
from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.events import Closed, RawData, Updated
from hypercorn.protocol.h11 import (
    H2CProtocolRequiredError,
    H2ProtocolAssumedError,
    H11Protocol,
    H11WSConnection,
)
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.protocol.ws_stream import Handshake, WebsocketBuffer, WSStream
from hyperframe.frame import Frame, GoAwayFrame

import lifecycle.serving
from lifecycle.serving.app_runner import AppRunner
from lifecycle.serving.byte_stream import Reader, StreamProtocol, Writer
from lifecycle.serving.connection import GOAWAY
from lifecycle.serving.http1.connection import Http1
from lifecycle.serving.http2 import h2_library
from lifecycle.serving.hypercorn import Worker
from lifecycle.serving.sockets import PathSocket
from lifecycle.serving.tls import transport
from lifecycle.serving.websocket_buffer import MessageBuffer

PYTHONS = {"_abc_impl", "__abstractmethods__", "__module__", "__doc__", "__slots__", "__dict__"}
"""Names that Python gives to classes by itself."""

MODULES = [
    importlib.import_module(found.name)
    for found in pkgutil.walk_packages(lifecycle.serving.__path__, "lifecycle.serving.")
]

SEAMS: dict[type, set[str]] = {
    Http1: {
        "__init__",
        "handle",
        "stream_send",
        "send",
        "stream",
        "connection",
        "task_group",
        "keep_alive_requests",
    },
    MessageBuffer: {"__init__", "extend", "to_message", "clear", "length"},
    Reader: {"feed_data", "read"},
    StreamProtocol: {"__init__", "connection_made", "connection_lost", "eof_received"},
    Writer: {"__init__", "drain", "close", "wait_closed"},
    PathSocket: {"bind", "close"},
    h2_library.Encoder: {"header_table_size"},
    h2_library._Announced: {"max_concurrent_streams"},
    h2_library._Frames: {"__init__", "__iter__"},
    h2_library.Wire: {"__init__", "reset_stream", "incoming_buffer"},
    transport._Layer: {"max_size", "buffer_updated"},
}
"""Each class that has one of somebody else's above it, with what it overrides or sets of that one."""

STREAM = [
    *("app", "config", "context", "task_group", "ssl", "client", "server", "send", "stream_id"),
]
PROTOCOL = [
    *("app", "config", "context", "task_group", "connection_state"),
    *("ssl", "client", "server", "send"),
]


def parameters(function: object) -> list[str]:
    """Return the names of a function's parameters, without self."""
    return [name for name in inspect.signature(function).parameters if name != "self"]  # type: ignore[arg-type]


def tree_of(thing: Any) -> ast.AST:
    """Return the source of a class or a module; nothing of what is written in C."""
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(thing)))
    except (OSError, TypeError):
        return ast.Module([], [])


def of_self(cls: type, *contexts: type) -> set[str]:
    """Return the attributes of `self` that a class uses in a way."""
    return {
        node.attr
        for node in ast.walk(tree_of(cls))
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, contexts)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }


@cache
def own_names(cls: type) -> set[str]:
    """Return the attributes that a class itself defines or assigns."""
    names = of_self(cls, ast.Store) | set(vars(cls)) | set(inspect.get_annotations(cls))
    return names - PYTHONS


def strangers(cls: type) -> list[type]:
    """Return the classes above one that are somebody else's: not Python's own kinds of classes."""
    kinds = {"abc", "builtins", "collections.abc", "enum", "typing"}
    return [
        each
        for each in cls.__mro__
        if not each.__module__.startswith("lifecycle") and each.__module__ not in kinds
    ]


def ours() -> Iterator[type]:
    """Go through the classes of the room."""
    for module in MODULES:
        for found in vars(module).values():
            if inspect.isclass(found) and found.__module__ == module.__name__:
                yield found


def test_the_version_it_was_written_for() -> None:
    """0.18: another one needs a look at everything below, and at the subclasses."""
    assert metadata.version("hypercorn").startswith("0.18.")


def is_private(name: str) -> bool:
    """Tell whether a name is nobody else's business."""
    return name.startswith("_") and not name.endswith("__")


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_no_private_name_of_another_is_used(module: Any) -> None:
    """Not as an attribute of anything but `self`, not by `getattr`, not by an import."""
    found = set()
    for node in ast.walk(tree_of(module)):
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls")):
                continue
            case ast.Attribute(attr=name) if is_private(name):
                found.add(ast.unparse(node))
            case ast.Call(func=ast.Name(id="getattr" | "setattr" | "hasattr" | "delattr")):
                found |= {ast.unparse(node)} if "'_" in ast.unparse(node.args[1]) else set()
            case ast.Import(names=names):
                found |= {each.name for each in names if "._" in f".{each.name}"}
            case ast.ImportFrom(module=source, names=names):
                dotted = {f".{source}.{each.name}" for each in names}
                found |= {each for each in dotted if "._" in each and ".__" not in each}
    assert found == set()


def test_every_class_above_which_there_is_another_s_is_known() -> None:
    """What is new in the room, and stands on somebody else's class, has its line in the table."""
    assert {cls for cls in ours() if strangers(cls)} == set(SEAMS)


@pytest.mark.parametrize("cls", SEAMS)
def test_what_is_overridden(cls: type) -> None:
    """Of another's names a class overrides and sets those that are known, and none is private."""
    theirs = set().union(*map(own_names, strangers(cls)))
    both = own_names(cls) & theirs - {"__weakref__", "__annotations__"}
    assert both == SEAMS[cls]
    assert not any(map(is_private, both))
    for name in both:
        mine, their = vars(cls).get(name), getattr(strangers(cls)[0], name, None)
        if inspect.isfunction(mine) and inspect.isfunction(their) and name != "__init__":
            assert parameters(mine) == parameters(their)
            assert inspect.iscoroutinefunction(mine) == inspect.iscoroutinefunction(their)


@pytest.mark.parametrize("cls", SEAMS)
def test_what_is_looked_up(cls: type) -> None:
    """Every attribute that a class looks up is its own, or another's and not private."""
    theirs = set().union(*({*dir(each), *own_names(each)} for each in strangers(cls)))
    foreign = of_self(cls, ast.Load, ast.Del) - own_names(cls)
    assert foreign <= theirs
    assert not any(map(is_private, foreign))


def test_how_things_are_made() -> None:
    """What we make of hypercorn's takes what we hand on."""
    assert parameters(H11Protocol.__init__) == PROTOCOL
    assert parameters(HTTPStream.__init__) == STREAM
    assert parameters(WSStream.__init__) == STREAM
    assert parameters(H2CProtocolRequiredError.__init__) == ["data", "request"]
    assert parameters(H2ProtocolAssumedError.__init__) == ["data"]
    assert parameters(H11WSConnection.__init__) == ["h11_connection"]


def test_how_apps_are_run() -> None:
    """What we hand to a stream for its TaskGroup has all that a stream asks of one."""
    for cls in (HTTPStream, WSStream):
        source = inspect.getsource(cls)
        asked = {part.split("(")[0] for part in source.split("self.task_group.")[1:]}
        assert asked <= {"spawn_app", "spawn"}
        assert "self.app_put = await self.task_group.spawn_app(" in source
    for name in ("spawn_app", "spawn"):
        assert len(parameters(getattr(AppRunner, name))) == len(
            parameters(getattr(TaskGroup, name))
        )


def test_what_streams_ask_of_their_worker() -> None:
    """What we hand to them for it has all that they ask for, and HTTP/1.1 where it is made."""
    for thing in (HTTPStream, WSStream, H11Protocol.__init__, H11Protocol.stream_send):
        source = inspect.getsource(thing).replace("self.context = context", "")
        for asked in source.split("context.")[1:]:
            assert hasattr(Worker, asked.split("(")[0])


def test_what_is_read_of_others() -> None:
    """What we read of hypercorn's streams and events, and of h11, is there."""
    assert {"closed", "state"} <= own_names(HTTPStream)
    assert {"closed", "buffer", "handshake", "connection"} <= own_names(WSStream)
    assert {"length", "max_length"} <= own_names(WebsocketBuffer)
    assert "accepted" in own_names(Handshake)
    assert {"h11_connection", "trailing_data", "their_state"} <= own_names(H11WSConnection)
    assert {"data", "headers", "settings"} <= own_names(H2CProtocolRequiredError)
    assert "data" in own_names(H2ProtocolAssumedError)
    assert {"keep_alive_requests", "connection_state"} <= own_names(H11Protocol)
    assert "self.keep_alive_requests >= " in inspect.getsource(H11Protocol.stream_send)
    assert "idle" in Updated.__annotations__
    assert "data" in RawData.__annotations__
    assert Closed() == Closed()
    parser = h11.Connection(h11.SERVER)
    assert parser.they_are_waiting_for_100_continue is False
    assert parser.trailing_data == (b"", False)


def test_the_settings() -> None:
    """The settings that we make and read are settings."""
    config = hypercorn.config.Config()
    for name in (
        *("keep_alive_timeout", "include_server_header", "errorlog", "accesslog"),
        *("h2_max_concurrent_streams", "h2_max_header_list_size", "websocket_max_message_size"),
    ):
        assert hasattr(config, name)
    assert {name for name, _ in config.response_headers("h11")} <= {b"date", b"server"}


def test_bytes_that_nobody_has_read() -> None:
    """asyncio hands what comes to `feed_data`; what `read` has returned is read."""

    async def scenario() -> list[int]:
        reader = Reader()
        protocol = StreamProtocol(reader, asyncio.get_running_loop())
        seen = [reader.unread]
        protocol.data_received(b"hello")
        seen.append(reader.unread)
        for size in (2, 9):
            await reader.read(size)
            seen.append(reader.unread)
        return seen

    assert asyncio.run(scenario()) == [0, 5, 3, 0]


def test_what_tls_reads_at_once() -> None:
    """asyncio asks its TLS layer for a buffer, which is as long as that says."""

    async def scenario() -> list[int]:
        loop = asyncio.get_running_loop()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        protocol = StreamProtocol(Reader(), loop)
        layer = transport._Layer(loop, protocol, context, loop.create_future(), server_side=True)
        sizes = [len(layer.get_buffer(-1))]
        layer.max_size = transport.BUFFER
        sizes.append(len(layer.get_buffer(-1)))
        layer.connection_lost(None)
        return sizes

    assert asyncio.run(scenario()) == [transport.FIRST_BUFFER, transport.BUFFER]


def test_where_h2_reads_frames() -> None:
    """h2 goes through what `incoming_buffer` yields, once a frame, and makes it as we do."""
    receive = inspect.getsource(h2_library.h2.connection.H2Connection.receive_data)
    assert "in self.incoming_buffer:" in receive
    assert parameters(h2.frame_buffer.FrameBuffer.__init__) == ["server"]


def test_goaway() -> None:
    """The raw bytes are the frame that hyperframe makes, and are read as that frame."""
    frame = GoAwayFrame(0, last_stream_id=2**31 - 1, error_code=0)
    assert frame.serialize() == GOAWAY
    read, length = Frame.parse_frame_header(memoryview(GOAWAY[:9]))
    read.parse_body(memoryview(GOAWAY[9:]))
    assert isinstance(read, GoAwayFrame)
    assert length == len(GOAWAY) - 9
    assert (read.last_stream_id, read.error_code, read.additional_data) == (2**31 - 1, 0, b"")
