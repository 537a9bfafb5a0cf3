"""Requests with a body: what is an answer, what is a loss, and how much of it had been sent."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable

import h2.config
import h2.connection
import h2.errors
import h2.events
import pytest

from lifecycle.rehearsal.measuring.losses import Cause
from lifecycle.rehearsal.plan import Protocol
from tests.rehearsal.kit import OK, ask, client_of, reset, run, seen, serving

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter
Serve = Callable[[Reader, Writer], Awaitable[None]]

MUCH = 3_000_000
TOO_LARGE = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n"


async def head(reader: Reader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


class Http1:
    """Reads each body whole, and notes what has come."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.methods: list[bytes] = []

    async def serve(self, reader: Reader, writer: Writer) -> None:
        while True:
            said = await head(reader)
            size = int(re.search(rb"Content-Length: (\d+)", said)[1])
            self.methods.append(said.split()[0])
            self.sizes.append(len(await reader.readexactly(size)))
            writer.write(OK)


class Http2:
    """The same; its windows are as small as h2's are at first."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.methods: list[bytes] = []

    async def serve(self, reader: Reader, writer: Writer) -> None:
        conn = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        conn.initiate_connection()
        writer.write(conn.data_to_send())
        while data := await reader.read(65536):
            for event in conn.receive_data(data):
                self.happen(conn, event)
            writer.write(conn.data_to_send())

    def happen(self, conn: h2.connection.H2Connection, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived():
                self.methods.append(dict(event.headers)[b":method"])
                self.sizes.append(0)
            case h2.events.DataReceived():
                self.sizes[-1] += len(event.data)
                conn.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.StreamEnded():
                conn.send_headers(event.stream_id, [(":status", "200")])
                conn.send_data(event.stream_id, b"ok", end_stream=True)


class Refuses(Http2):
    """Answers before the body has come: 413, and that it wants no more of it."""

    def happen(self, conn: h2.connection.H2Connection, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            self.sizes.append(0)
            conn.send_headers(event.stream_id, [(":status", "413")], end_stream=True)
            conn.reset_stream(event.stream_id, h2.errors.ErrorCodes.NO_ERROR)


class Resets(Http2):
    """Resets the stream when some of the body has come."""

    def happen(self, conn: h2.connection.H2Connection, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.DataReceived) and not self.sizes:
            self.sizes.append(len(event.data))
            conn.reset_stream(event.stream_id, h2.errors.ErrorCodes.INTERNAL_ERROR)


@pytest.mark.parametrize("size", [1, 65536, 65537, MUCH])
@pytest.mark.parametrize(
    ("protocol", "server"), [(Protocol.HTTP1, Http1), (Protocol.HTTP2, Http2)], ids=["h1", "h2"]
)
def test_a_body_arrives_whole(protocol: Protocol, server: type[Http1 | Http2], size: int):
    """Every byte, on a connection that is kept, however small the server's windows are."""

    async def main() -> None:
        served = server()
        async with serving(served.serve) as port:
            client, tally = client_of(port, protocol, rtt=0, body_size=size, timeout=5.0)
            await ask(client, 3)
            assert (seen(tally), served.sizes) == ([], [size] * 3)
            assert served.methods == [b"POST"] * 3
            assert [kept for _, _, kept in tally.answers.elements()] == [False, True, True]

    run(main())


@pytest.mark.parametrize(
    ("protocol", "server"), [(Protocol.HTTP1, Http1), (Protocol.HTTP2, Http2)], ids=["h1", "h2"]
)
def test_a_method_without_a_body(protocol: Protocol, server: type[Http1 | Http2]):
    """A POST says that its body is empty, and its connection is kept."""

    async def main() -> None:
        served = server()
        async with serving(served.serve) as port:
            client, tally = client_of(port, protocol, rtt=0, method="POST")
            await ask(client, 2)
            assert (seen(tally), served.methods) == ([], [b"POST"] * 2)
            assert tally.answers.total() == 2

    run(main())


@pytest.mark.parametrize(
    ("protocol", "server"), [(Protocol.HTTP1, Http1), (Protocol.HTTP2, Http2)], ids=["h1", "h2"]
)
def test_a_body_that_takes_its_time(protocol: Protocol, server: type[Http1 | Http2]):
    """It is sent piece by piece, and is answered when its last byte has come."""

    async def main() -> None:
        served = server()
        async with serving(served.serve) as port:
            client, tally = client_of(port, protocol, rtt=0, body_size=1000, body_seconds=0.3)
            await client.visit()
            assert (seen(tally), served.sizes) == ([], [1000])
            assert tally.longest >= 0.3

    run(main())


async def refuse_and_close(reader: Reader, writer: Writer) -> None:
    """With most of it unread: a RST follows the answer."""
    await head(reader)
    writer.write(TOO_LARGE + b"Connection: close\r\n\r\n")


async def refuse_and_go_on(reader: Reader, writer: Writer) -> None:
    while True:
        await head(reader)
        writer.write(TOO_LARGE + b"\r\n")
        await reader.readexactly(MUCH)


async def refuse_late(reader: Reader, writer: Writer) -> None:
    await head(reader)
    await reader.readexactly(100_000)
    writer.write(TOO_LARGE + b"Connection: close\r\n\r\n")


@pytest.mark.parametrize("seconds", [0.0, 0.4])
@pytest.mark.parametrize("handler", [refuse_and_close, refuse_and_go_on, refuse_late])
def test_an_answer_before_the_end_of_the_body(handler: Serve, seconds: float):
    """It is an answer and no loss, though the server closes; what is left is not sent."""

    async def main() -> None:
        async with serving(handler) as port:
            client, tally = client_of(port, body_size=MUCH, body_seconds=seconds)
            await ask(client, 3)
            assert (seen(tally), dict(tally.statuses)) == ([], {413: 3})

    run(main())


def test_an_answer_before_the_end_of_the_body_over_http2():
    """The stream is given up, and the connection is asked again."""

    async def main() -> None:
        served = Refuses()
        async with serving(served.serve) as port:
            client, tally = client_of(port, Protocol.HTTP2, rtt=0, body_size=MUCH)
            await ask(client, 3)
            assert (seen(tally), dict(tally.statuses)) == ([], {413: 3})
            assert [kept for _, _, kept in tally.answers.elements()] == [False, True, True]

    run(main())


def test_a_body_whose_stream_is_reset():
    """Over HTTP/2 too the loss says how much had been sent."""

    async def main() -> None:
        async with serving(Resets().serve) as port:
            client, tally = client_of(port, Protocol.HTTP2, body_size=1_000_000)
            await client.visit()
            assert seen(tally) == [("stream reset", False)]
            said = r"RST_STREAM INTERNAL_ERROR when [\d,]+ of 1,000,000 bytes of the body"
            assert re.match(said, tally.losses[0].detail)

    run(main())


async def close_after_some(reader: Reader, writer: Writer) -> None:
    """All that has come is read: it ends with FIN."""
    await reader.readexactly(400)
    await asyncio.sleep(0.02)


async def leave_some_unread(reader: Reader, writer: Writer) -> None:
    await reader.readexactly(600_000)


async def reset_after_some(reader: Reader, writer: Writer) -> None:
    await reader.readexactly(600_000)
    reset(writer)


SLOW = {"body_size": 5000, "body_seconds": 0.6}
FAST = {"body_size": MUCH}


@pytest.mark.parametrize("protocol", [Protocol.HTTP1, Protocol.HTTP2])
@pytest.mark.parametrize("handler", [close_after_some])
def test_a_slow_body_that_is_cut(handler: Serve, protocol: Protocol):
    """The server had it, and ended it: the loss says how much had been sent."""

    async def main() -> None:
        async with serving(handler) as port:
            client, tally = client_of(port, protocol, **SLOW)
            await client.visit()
            assert seen(tally) == [("upload cut", False)]
            sent, size = figures(tally.losses[0].detail)
            assert 0 < sent < size
            assert 5000 <= size < 5400

    run(main())


@pytest.mark.parametrize("handler", [leave_some_unread, reset_after_some])
def test_a_fast_body_that_is_cut(handler: Serve):
    """A RST too, once more had been taken than a connection that nobody reads takes."""

    async def main() -> None:
        async with serving(handler) as port:
            client, tally = client_of(port, **FAST)
            await client.visit()
            assert seen(tally) == [("upload cut", False)]
            sent, size = figures(tally.losses[0].detail)
            assert 300_000 < sent < size
            assert size > MUCH

    run(main())


def test_a_slow_body_in_the_queue():
    """However long it waits there: nobody had read any of it, so it was not cut."""

    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            client, tally = client_of(listener.getsockname()[1], **SLOW)
            asking = asyncio.create_task(client.visit())
            await asyncio.sleep(0.4)
            listener.close()
            await asking
            assert seen(tally) == [("reset in the queue", False)]
            assert tally.losses[0].otherwise is Cause.UPLOAD

    run(main())


def figures(detail: str) -> tuple[int, int]:
    sent, size = re.findall(r"[\d,]+(?= of|(?= bytes of the request had been sent))", detail)
    return int(sent.replace(",", "")), int(size.replace(",", ""))


@pytest.mark.parametrize(
    "body", [{}, {"body_size": 20_000}, {"body_size": 2000, "body_seconds": 0.2}]
)
def test_a_post_on_a_kept_connection_that_is_closed_meanwhile(body: dict[str, float]):
    """None of it had arrived when the server closed: however large it is, it is the idle race."""

    async def main() -> None:
        async def handler(reader: Reader, writer: Writer) -> None:
            size = int(re.search(rb"Content-Length: (\d+)", await head(reader))[1])
            await reader.readexactly(size)
            writer.write(OK)
            await asyncio.sleep(0.05)

        async with serving(handler) as port:
            client, tally = client_of(port, rtt=0.2, method="POST", **body)
            await ask(client, 2)
            assert seen(tally) == [("reset", True)]

    run(main())
