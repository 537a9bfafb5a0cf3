"""The messages of WebSockets, whole and unread: what they are, and how much memory is counted."""

from __future__ import annotations

import asyncio

import pytest
from hypercorn.config import Config
from hypercorn.protocol.ws_stream import FrameTooLargeError, WSStream
from hypothesis import given
from hypothesis import strategies as st
from wsproto.events import BytesMessage, Message, TextMessage

from lifecycle.serving.http2.stream import Stream
from lifecycle.serving.http2.websockets import unpacked
from lifecycle.serving.receive_queue import OVERHEAD, ReceiveQueue
from lifecycle.serving.websocket_buffer import MessageBuffer

MOST = 100
Data = bytes | str


def piece(data: Data) -> Message[bytes] | Message[str]:
    """Return what a frame, or a part of one, brings."""
    return TextMessage(data) if isinstance(data, str) else BytesMessage(data)


@given(
    st.lists(
        st.lists(st.binary(max_size=9), min_size=1) | st.lists(st.text(max_size=9), min_size=1)
    )
)
def test_messages_come_whole(messages: list[list[Data]]) -> None:
    """In whatever pieces they come, one after the other; only one that is too long does not."""
    buffer = MessageBuffer(MOST)
    for pieces in messages:
        text = isinstance(pieces[0], str)
        whole = ("" if text else b"").join(pieces)  # type: ignore[arg-type]
        try:
            for each in pieces:
                buffer.extend(piece(each))
        except FrameTooLargeError:
            assert buffer.length > MOST
            assert len(whole) > MOST
        else:
            assert buffer.length == len(whole) <= MOST
            said = buffer.to_message()
            assert said["type"] == "websocket.receive"
            assert (said["text"], said["bytes"]) == ((whole, None) if text else (None, whole))
        buffer.clear()


@pytest.mark.parametrize("data", [b"x" * 5000, "x" * 5000])
def test_a_message_in_one_piece_is_not_copied(data: Data) -> None:
    """It waits for its app once, and not in the stream too."""
    buffer = MessageBuffer(10_000)
    buffer.extend(piece(data))
    said = buffer.to_message()
    assert said["bytes" if isinstance(data, bytes) else "text"] is data
    assert buffer.held == 0


def test_the_last_piece_of_a_message_that_waits() -> None:
    """It is counted beside the message for as long as that is being handed on."""
    buffer = MessageBuffer(10_000)
    buffer.extend(piece(b"x" * 3000))
    buffer.extend(piece(b"x" * 1000))
    assert buffer.held == 4000
    buffer.to_message()
    assert buffer.held == 1000
    buffer.clear()
    assert buffer.held == 0


@pytest.mark.parametrize(("odd", "width"), [("", 1), ("é", 1), ("é" * 9 + "一", 2), ("😀", 4)])
def test_texts_take_more_memory_than_they_have_characters(odd: str, width: int) -> None:
    """One odd character widens them all, before the text is whole and after."""

    async def waiting() -> int:
        inbox = ReceiveQueue("websocket", most=None)
        await inbox.put({"type": "websocket.receive", "bytes": None, "text": odd + "x" * 5000})
        return inbox.size

    buffer = MessageBuffer(10_000)
    for each in ("x" * 5000, odd + "x" * 1000):
        buffer.extend(piece(each))
    assert width * 6000 <= buffer.held < width * 6000 + 100
    assert width * 5000 <= asyncio.run(waiting()) < width * 5000 + OVERHEAD + 200


def test_what_a_stream_holds() -> None:
    """All that waits for the app, and all of the message that still comes."""

    async def scenario() -> int:
        stream = Stream(1)
        stream.queue = ReceiveQueue("websocket", most=None)
        await stream.queue.put({"type": "websocket.receive", "bytes": b"x" * 5000})
        talk = stream.asgi = WSStream(None, Config(), None, None, False, None, None, None, 1)  # type: ignore[arg-type]
        talk.buffer = MessageBuffer(10_000)
        talk.buffer.extend(piece(b"x" * 3000))
        return unpacked(stream)

    assert asyncio.run(scenario()) == OVERHEAD + 5000 + 3000
