"""The one private seam: what `lifecycle/serving/connection.py` takes for granted of hypercorn."""

from __future__ import annotations

import inspect
from importlib import metadata

import hypercorn.config
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.events import Updated
from hyperframe.frame import Frame, GoAwayFrame

from lifecycle.serving.connection import GOAWAY, Connection


def parameters(function: object) -> list[str]:
    """Return the names of a function's parameters, without self."""
    return [name for name in inspect.signature(function).parameters if name != "self"]  # type: ignore[arg-type]


def test_the_version_it_was_written_for() -> None:
    """0.18: another one needs a look at everything below, and at the subclass."""
    assert metadata.version("hypercorn").startswith("0.18.")


def test_how_a_connection_is_made() -> None:
    """TCPServer takes what `Connection` hands on, in this order."""
    assert parameters(TCPServer.__init__) == [
        "app",
        "loop",
        "config",
        "context",
        "state",
        "reader",
        "writer",
    ]
    assert parameters(WorkerContext.__init__) == ["max_requests"]
    assert parameters(ASGIWrapper.__init__) == ["app"]
    assert hasattr(TCPServer, "__await__")


def test_what_is_overridden() -> None:
    """The methods that the subclass wraps exist, take this, and are called by TCPServer itself."""
    assert parameters(TCPServer._read_data) == []
    assert parameters(TCPServer.protocol_send) == ["event"]
    assert inspect.iscoroutinefunction(TCPServer._read_data)
    assert inspect.iscoroutinefunction(TCPServer.protocol_send)
    source = inspect.getsource(TCPServer)
    assert "self._read_data" in source
    assert "self.protocol_send" in source
    for name in ("_read_data", "protocol_send"):
        assert name in vars(Connection)


def test_what_is_read() -> None:
    """The attributes that the subclass uses are set by TCPServer."""
    source = inspect.getsource(TCPServer)
    for name in ("self.idle_task", "self.reader", "self.writer"):
        assert name in source
    assert "idle" in Updated.__annotations__
    assert inspect.iscoroutinefunction(WorkerContext(None).terminated.set)
    assert TaskGroup is not None


def test_what_our_additions_do_not_hide() -> None:
    """No name that we add to a connection is one of hypercorn's own."""
    added = {"requests", "gone_away", "_owner", "is_http2", "go_away", "abort", "_call"}
    added |= {"standing", "_closing", "_hold", "_unread", "_unsent", "_half_read", "_timed"}
    assert added & {*dir(TCPServer), *_attributes(TCPServer)} == set()


def _attributes(cls: type) -> set[str]:
    words = inspect.getsource(cls).replace("(", " ").replace(",", " ").split()
    return {word.removeprefix("self.") for word in words if word.startswith("self.")}


def test_the_settings() -> None:
    """The settings that we make are settings."""
    for name in ("keep_alive_timeout", "include_server_header", "errorlog", "accesslog"):
        assert hasattr(hypercorn.config.Config(), name)


def test_goaway() -> None:
    """The raw bytes are the frame that hyperframe makes, and are read as that frame."""
    frame = GoAwayFrame(0, last_stream_id=2**31 - 1, error_code=0)
    assert frame.serialize() == GOAWAY
    read, length = Frame.parse_frame_header(memoryview(GOAWAY[:9]))
    read.parse_body(memoryview(GOAWAY[9:]))
    assert isinstance(read, GoAwayFrame)
    assert length == len(GOAWAY) - 9
    assert (read.last_stream_id, read.error_code, read.additional_data) == (2**31 - 1, 0, b"")
