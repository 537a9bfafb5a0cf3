"""What an HTTP/2 connection may ask for beside its requests."""

from __future__ import annotations

import contextlib

import pytest
from h2.connection import H2Connection
from h2.exceptions import ProtocolError
from hypercorn.config import Config
from hyperframe.frame import (
    DataFrame,
    Frame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.serving.http2.frame_limits import (
    PREFACE,
    Budget,
    Frames,
    LateData,
    TokenBucket,
    resets,
)
from lifecycle.serving.http2.h2_library import Wire, new_wire

FRAMES: list[tuple[Frame, int]] = [
    (HeadersFrame(1, b"x" * 40, flags=["END_HEADERS"]), 0),
    (DataFrame(1, b"x" * 5), 0),
    (DataFrame(1, b"x" * 16000), 0),
    (DataFrame(1, b"", flags=["END_STREAM"]), 0),
    (DataFrame(1, b""), 1),
    (DataFrame(1, b"x"), 0),
    (DataFrame(1, b"", pad_length=2, flags=["PADDED"]), 1),
    (DataFrame(1, b"x" * 10, pad_length=2, flags=["PADDED"]), 0),
    (PingFrame(0, b"12345678"), 1),
    (SettingsFrame(0), 1),
    (SettingsFrame(0, flags=["ACK"]), 1),
    (PriorityFrame(3), 1),
    (RstStreamFrame(1), 1),
    (WindowUpdateFrame(0, window_increment=1), 1),
]


@given(st.lists(st.sampled_from(FRAMES), max_size=30), st.lists(st.integers(1, 40), max_size=99))
def test_frames_are_counted(said: list[tuple[Frame, int]], cuts: list[int]) -> None:
    """However the bytes are cut, each frame is counted once, and what is no request is paid for."""
    data = b"x" * PREFACE + b"".join(frame.serialize() for frame, _ in said)
    counter, at, frames, paid = Frames(), 0, 0, 0
    for size in [*cuts, len(data)]:
        more, due = counter.count(data[at : at + size])
        at, frames, paid = at + size, frames + more, paid + due
    assert (frames, paid) == (len(said), sum(due for _, due in said))


@given(st.lists(st.sampled_from(FRAMES), max_size=30))
def test_resets_are_counted(said: list[tuple[Frame, int]]) -> None:
    """Among all that the protocol itself answers, each reset of a stream is counted once."""
    answered = b"".join(frame.serialize() for frame, _ in said)
    assert resets(answered) == sum(isinstance(frame, RstStreamFrame) for frame, _ in said)


def test_frames_for_what_has_been_reset() -> None:
    """They are paid for by how often they are answered; other answers cost nothing."""
    budget = Budget(lambda: 0.0)
    assert budget.reply(PingFrame(0, b"12345678", flags=["ACK"]).serialize() * 5000, 0)
    assert budget.reply(RstStreamFrame(1).serialize() * 1000, 0)
    assert not budget.reply(RstStreamFrame(1).serialize(), 0)
    budget.earn()
    assert budget.reply(RstStreamFrame(3).serialize() * 9, 0)
    assert budget.reply(RstStreamFrame(3).serialize() * 5000, 5000)


def test_what_is_late() -> None:
    """Data is forgiven up to its stream's window and its end, for the latest streams, once."""
    late = LateData(2)
    late.expect(1, 10)
    for size in (4, 0, 6, 0):
        late.came(1, size, last=False)
    assert late.forgiven() == 4
    late.came(1, 1, last=False)
    late.came(1, 0, last=True)
    assert late.forgiven() == 0
    for number in (3, 5, 7):
        late.expect(number, 10)
        late.came(number, 1, last=False)
    late.came(3, 1, last=False)
    late.came(5, 1, last=True)
    late.came(5, 1, last=False)
    late.came(7, 9, last=False)
    assert late.forgiven() == 3 + 2


def served() -> tuple[H2Connection, Wire]:
    """Return both ends of a connection, which has one upload, begun and not ended."""
    client, wire = H2Connection(), new_wire(Config())
    client.initiate_connection()
    wire.initiate_connection()
    fields = [(":method", "POST"), (":path", "/"), (":scheme", "http"), (":authority", "a")]
    client.send_headers(1, fields)
    client.send_data(1, b"x" * 10_000)
    wire.receive_data(client.data_to_send())
    client.receive_data(wire.data_to_send())
    return client, wire


def say(wire: Wire, *frames: Frame) -> int:
    """Return how many of a client's frames are forgiven."""
    wire.receive_data(b"".join(frame.serialize() for frame in frames))
    return wire.late.forgiven()


SAID = DataFrame(1, b"x" * 10)
END = DataFrame(1, b"", flags=["END_STREAM"])


@pytest.mark.parametrize("answered", [False, True])
def test_uploads_that_we_reset(*, answered: bool) -> None:
    """What fits in the window that its client had left is forgiven, answered or not."""
    _, wire = served()
    if answered:
        wire.send_headers(1, [(":status", "200")], end_stream=True)
    wire.acknowledge_received_data(4000, 1)
    window = wire.remote_flow_control_window(1)
    assert 55_535 <= window <= 65_535
    wire.reset_stream(1)
    assert say(wire, *[SAID] * (window // 10)) == window // 10
    assert say(wire, SAID, SAID) == 0


@pytest.mark.parametrize("last", [END, RstStreamFrame(1, 8)])
def test_uploads_that_are_over_when_we_reset_them(last: Frame) -> None:
    """Of what its client itself has ended, or taken back, nothing more may come."""
    _, wire = served()
    say(wire, last)
    with contextlib.suppress(ProtocolError):
        wire.reset_stream(1)
    with contextlib.suppress(ProtocolError):
        assert say(wire, *[SAID] * 10) == 0
    assert wire.late.forgiven() == 0


def test_an_allowance() -> None:
    """It is spent, comes back by the second up to its burst, and may be earned beyond that."""
    now = 0.0
    allowance = TokenBucket(100, 10.0, lambda: now, saved=150)
    assert allowance.spend(100)
    assert not allowance.spend(1)
    now = 5.0
    assert allowance.spend(49)
    assert not allowance.spend(1)
    now = 1000.0
    assert allowance.spend(0)
    allowance.earn(1000)
    assert allowance.spend(150)
    assert not allowance.spend(1)


def test_what_ordinary_clients_do() -> None:
    """A ping a second, and ten frames a request, are never too many, however long it goes on."""
    now = 0.0
    allowance = TokenBucket(1000, 100.0, lambda: now, saved=10_000)
    for second in range(3600):
        now = float(second)
        for _ in range(200):
            allowance.earn(10)
            assert allowance.spend(10)
        assert allowance.spend(1)
