"""What `lifecycle/serving` takes for granted of hypercorn, and of asyncio: a rename is seen here."""

from __future__ import annotations

import ast
import asyncio
import inspect
import textwrap
from importlib import metadata

import h11
import hypercorn.config
import pytest
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import AsyncioSingleTask, WorkerContext
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

from lifecycle.serving.connection import GOAWAY, Connection
from lifecycle.serving.http1 import Http1
from lifecycle.serving.idle import IdleTimer
from lifecycle.serving.tasks import Spawner

BASES = {Connection: TCPServer, Http1: H11Protocol}

OVERRIDDEN = {
    Connection: {"__init__", "run", "_read_data", "protocol_send"},
    Http1: {"__init__", "handle", "_handle_events", "_maybe_recycle", "stream_send"},
}
"""What replaces a method of hypercorn's: each is called by hypercorn, under this very name."""

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


def own_names(cls: type) -> set[str]:
    """Return the attributes that a class itself defines or assigns."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    assigned = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }
    return assigned | set(vars(cls)) | set(inspect.get_annotations(cls))


def used_names(cls: type) -> set[str]:
    """Return the attributes of `self` that a class looks up."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }


def test_the_version_it_was_written_for() -> None:
    """0.18: another one needs a look at everything below, and at the subclasses."""
    assert metadata.version("hypercorn").startswith("0.18.")


@pytest.mark.parametrize("cls", BASES)
def test_what_is_overridden(cls: type) -> None:
    """What replaces a method of hypercorn's is known, takes the same, and is called by it."""
    base = BASES[cls]
    both = {
        name for name in vars(cls) if name in vars(base) and inspect.isfunction(vars(cls)[name])
    }
    assert both == OVERRIDDEN[cls]
    source = inspect.getsource(base)
    for name in both - {"__init__"}:
        ours, theirs = getattr(cls, name), getattr(base, name)
        assert parameters(ours) == parameters(theirs)
        assert inspect.iscoroutinefunction(ours)
        assert inspect.iscoroutinefunction(theirs)
        if name != "handle":  # which is ours to call
            assert f"self.{name}" in source


@pytest.mark.parametrize("cls", BASES)
def test_what_is_looked_up(cls: type) -> None:
    """Every attribute that a subclass looks up is its own, or hypercorn's: no look-up is vain."""
    base = BASES[cls]
    assert used_names(cls) - own_names(cls) - own_names(base) == set()


@pytest.mark.parametrize("cls", BASES)
def test_what_our_additions_do_not_hide(cls: type) -> None:
    """No name that we add is one of hypercorn's own, but what is overridden or set as it does."""
    shared = own_names(cls) & own_names(BASES[cls])
    known = OVERRIDDEN[cls] | {"__module__", "__doc__", "_task_group", "protocol"}
    known |= {"connection", "stream"}  # put back as they were
    known |= {"idle_task"}  # what hypercorn may do with it stands below
    known |= {"app", "task_group", "send"}  # let go of, at the end
    assert shared <= known


def test_how_things_are_made() -> None:
    """What we make of hypercorn's takes what we hand on."""
    assert parameters(TCPServer.__init__) == [
        *("app", "loop", "config", "context", "state", "reader", "writer")
    ]
    assert parameters(H11Protocol.__init__) == PROTOCOL
    assert parameters(HTTPStream.__init__) == STREAM
    assert parameters(WSStream.__init__) == STREAM
    assert parameters(WorkerContext.__init__) == ["max_requests"]
    assert parameters(ASGIWrapper.__init__) == ["app"]
    assert parameters(ASGIWrapper.__call__) == [
        *("scope", "receive", "send", "sync_spawn", "call_soon")
    ]
    assert parameters(TaskGroup.__init__) == ["loop"]
    assert hasattr(TCPServer, "__await__")


def test_how_apps_are_run() -> None:
    """What we hand to a stream for its TaskGroup has all that a stream asks of one."""
    for cls in (HTTPStream, WSStream):
        source = inspect.getsource(cls)
        asked = {part.split("(")[0] for part in source.split("self.task_group.")[1:]}
        assert asked <= {"spawn_app", "spawn"}
        assert "self.app_put = await self.task_group.spawn_app(" in source
    for name in ("spawn_app", "spawn"):
        assert len(parameters(getattr(Spawner, name))) == len(parameters(getattr(TaskGroup, name)))


def test_what_is_read_of_others() -> None:
    """What we read of hypercorn's streams, tasks and events, and of asyncio, is there."""
    assert {"closed", "state"} <= own_names(HTTPStream)
    assert {"closed", "buffer", "handshake", "connection"} <= own_names(WSStream)
    assert {"length", "max_length"} <= own_names(WebsocketBuffer)
    assert "accepted" in own_names(Handshake)
    assert {"h11_connection", "trailing_data", "their_state"} <= own_names(H11WSConnection)
    assert {"data", "headers", "settings"} <= own_names(H2CProtocolRequiredError)
    assert "data" in own_names(H2ProtocolAssumedError)
    assert parameters(AsyncioSingleTask.stop) == parameters(IdleTimer.stop) == []
    assert "idle" in Updated.__annotations__
    assert "data" in RawData.__annotations__
    assert Closed() == Closed()
    assert "_buffer" in own_names(asyncio.StreamReader)
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


def test_goaway() -> None:
    """The raw bytes are the frame that hyperframe makes, and are read as that frame."""
    frame = GoAwayFrame(0, last_stream_id=2**31 - 1, error_code=0)
    assert frame.serialize() == GOAWAY
    read, length = Frame.parse_frame_header(memoryview(GOAWAY[:9]))
    read.parse_body(memoryview(GOAWAY[9:]))
    assert isinstance(read, GoAwayFrame)
    assert length == len(GOAWAY) - 9
    assert (read.last_stream_id, read.error_code, read.additional_data) == (2**31 - 1, 0, b"")
