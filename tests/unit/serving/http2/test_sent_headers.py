"""What an HTTP/2 connection remembers of the headers that it has sent."""

from __future__ import annotations

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest
from hypercorn.config import Config

from lifecycle.serving.http2.h2_library import HEADER_TABLE, new_wire

TABLE_SIZE = h2.settings.SettingCodes.HEADER_TABLE_SIZE


@pytest.mark.parametrize("offered", [[], [0], [100], [2**31 - 1], [2**32 - 1, 0, 2**31 - 1]])
@pytest.mark.parametrize("upgrade", [False, True])
def test_headers_that_are_remembered(offered: list[int], upgrade: bool) -> None:
    """However large a table a client offers, 4096 bytes are used, and it reads each answer."""
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    wire = new_wire(Config())
    if upgrade:
        client.local_settings = h2.settings.Settings(
            client=True, initial_values={TABLE_SIZE: offered[-1]} if offered else {}
        )
        wire.initiate_upgrade_connection(client.initiate_upgrade_connection())
    else:
        client.initiate_connection()
        wire.initiate_connection()
        for size in offered:
            client.update_settings({TABLE_SIZE: size})
        client.send_headers(
            1,
            [(":method", "GET"), (":path", "/"), (":scheme", "http"), (":authority", "a")],
            end_stream=True,
        )
    wire.receive_data(client.data_to_send())
    client.receive_data(wire.data_to_send())
    wire.send_headers(1, [(":status", "200"), ("x-new", "value")], end_stream=True)
    assert wire.encoder.header_table_size == min([HEADER_TABLE, *offered[-1:]])
    told = client.receive_data(wire.data_to_send())
    assert h2.events.StreamEnded in {type(event) for event in told}
