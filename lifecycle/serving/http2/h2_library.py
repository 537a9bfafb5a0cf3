"""
The connection of the h2 library, with our own limits, and with late data counted.

Rules of this file:

1. Of h2 and hpack, only public names are overridden or replaced.
2. If h2 would end the connection, we end only the stream.
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
"""Bytes of headers that are remembered per client, whatever it offers: HTTP/2's default."""


class Encoder(hpack.Encoder):
    """An encoder that remembers at most `HEADER_TABLE` bytes, because searching more is slow."""

    @property
    def header_table_size(self) -> int:
        """Return the maximum number of bytes of remembered headers."""
        return int(self.header_table.maxsize)

    @header_table_size.setter
    def header_table_size(self, value: int) -> None:
        size = min(value, HEADER_TABLE)
        self.header_table.maxsize = size
        if self.header_table.resized:
            self.table_size_changes.append(size)


class _Announced(h2.settings.Settings):
    """The settings that the client gets. h2 itself would close a connection above the limit."""

    @property
    def max_concurrent_streams(self) -> int:
        """Return the limit for h2. Our own code refuses streams above the announced limit."""
        return 2**31

    @max_concurrent_streams.setter
    def max_concurrent_streams(self, value: int) -> None:
        self[h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS] = value


class _Frames(h2.frame_buffer.FrameBuffer):
    """The arrived frames. Late data is counted just before h2 processes a frame."""

    def __init__(self, late: LateData) -> None:
        super().__init__(server=True)
        self.late = late

    def __iter__(self) -> Any:
        """Iterate over the complete frames."""
        frame: Any
        for frame in iter(self.__next__, None):
            if frame.type == DATA:
                last = "END_STREAM" in frame.flags
                self.late.came(frame.stream_id, frame.flow_controlled_length, last=last)
            yield frame


class Wire(h2.connection.H2Connection):
    """
    The connection of a server.

    Attributes:
        late: Counts the reset streams, and the data that still arrives for them.
    """

    def __init__(self, late: LateData) -> None:
        super().__init__(h2.config.H2Configuration(client_side=False, header_encoding=None))
        self.late = late
        self.incoming_buffer = _Frames(late)

    def reset_stream(self, stream_id: int, error_code: ErrorCodes | int = 0) -> None:
        """Reset a stream. The client may already have sent all that its window allows."""
        stream = self.streams.get(stream_id)
        state = None if stream is None else stream.state_machine.state
        speaks = state in {StreamState.OPEN, StreamState.HALF_CLOSED_LOCAL}
        window = self.remote_flow_control_window(stream_id) if speaks else 0
        super().reset_stream(stream_id, error_code)
        if speaks:
            self.late.expect(stream_id, window)


def new_wire(config: Any) -> Wire:
    """Return a new connection with hypercorn's settings. It refuses no stream itself."""
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
