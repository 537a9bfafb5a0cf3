"""
The h2 library's connection, with what a server adds: limits of its own, and late data noticed.

Rules of this file:

1. Of h2 and hpack only public names are overridden or replaced.
2. What h2 would refuse by ending the connection, we refuse by ending a stream.
"""

from __future__ import annotations

from typing import Any, Final

import h2.config
import h2.connection
import h2.frame_buffer
import h2.settings
import hpack
from h2.errors import ErrorCodes
from h2.stream import StreamState

from lifecycle.serving.http2.frame_limits import DATA, LateData

HEADER_TABLE: Final = 4096
"""Bytes of headers that are remembered for a client, whatever it offers: HTTP/2's own default."""


class Encoder(hpack.Encoder):
    """Remembers no more headers than `HEADER_TABLE`: each new one is looked for among them all."""

    @property
    def header_table_size(self) -> int:
        """Return how many bytes of headers are remembered at most."""
        return int(self.header_table.maxsize)

    @header_table_size.setter
    def header_table_size(self, value: int) -> None:
        size = min(value, HEADER_TABLE)
        self.header_table.maxsize = size
        if self.header_table.resized:
            self.table_size_changes.append(size)


class _Announced(h2.settings.Settings):
    """What the client is told; h2 itself ends the connection of who has more streams than that."""

    @property
    def max_concurrent_streams(self) -> int:
        """Return what h2 allows: whoever uses it refuses what is too much."""
        return 2**31

    @max_concurrent_streams.setter
    def max_concurrent_streams(self, value: int) -> None:
        self[h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS] = value


class _Frames(h2.frame_buffer.FrameBuffer):
    """The frames that have come, each told of what is late just before h2 takes it."""

    def __init__(self, late: LateData) -> None:
        super().__init__(server=True)
        self.late = late

    def __iter__(self) -> Any:
        """Go through those that are whole."""
        frame: Any
        for frame in iter(self.__next__, None):
            if frame.type == DATA:
                last = "END_STREAM" in frame.flags
                self.late.came(frame.stream_id, frame.flow_controlled_length, last=last)
            yield frame


class Wire(h2.connection.H2Connection):
    """
    A server's connection.

    Attributes:
        late: Told of the streams that we reset, and of what still comes for them.
    """

    def __init__(self, late: LateData) -> None:
        super().__init__(h2.config.H2Configuration(client_side=False, header_encoding=None))
        self.late = late
        self.incoming_buffer = _Frames(late)

    def reset_stream(self, stream_id: int, error_code: ErrorCodes | int = 0) -> None:
        """End a stream out of order; its client may have sent all that its window allows."""
        stream = self.streams.get(stream_id)
        state = None if stream is None else stream.state_machine.state
        speaks = state in {StreamState.OPEN, StreamState.HALF_CLOSED_LOCAL}
        window = self.remote_flow_control_window(stream_id) if speaks else 0
        super().reset_stream(stream_id, error_code)
        if speaks:
            self.late.expect(stream_id, window)


def new_wire(config: Any) -> Wire:
    """Return a connection with hypercorn's settings, not yet begun; it refuses no stream itself."""
    # As many as have their windows in the connection's.
    wire = Wire(LateData(2 * config.h2_max_concurrent_streams))
    wire.encoder = Encoder()
    codes = h2.settings.SettingCodes
    wire.local_settings = _Announced(
        client=False,
        initial_values={
            codes.MAX_CONCURRENT_STREAMS: config.h2_max_concurrent_streams,
            codes.MAX_HEADER_LIST_SIZE: config.h2_max_header_list_size,
            codes.ENABLE_CONNECT_PROTOCOL: 1,
        },
    )
    return wire
