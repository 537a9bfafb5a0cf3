"""What is a loss over HTTP/2: what every client may send again is none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings
import pytest

from lifecycle.rehearsal.plan import Protocol
from tests.rehearsal.kit import ask, client_of, reset, run, seen, serving

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter
Act = Callable[["Server", int], Awaitable[None]]


class Server:
    """One HTTP/2 connection; what it does with each request is given."""

    def __init__(self, reader: Reader, writer: Writer, acts: list[Act]) -> None:
        self.reader, self.writer, self.acts = reader, writer, acts
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))

    async def serve(self) -> None:
        self.h2.initiate_connection()
        self.flush()
        while data := await self.reader.read(65536):
            for event in self.h2.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    await self.acts.pop(0)(self, event.stream_id or 0)
            self.flush()

    def flush(self) -> None:
        self.writer.write(self.h2.data_to_send())

    def go_away(self, last: int) -> None:
        payload = last.to_bytes(4) + bytes(4)
        self.flush()
        self.writer.write(len(payload).to_bytes(3) + b"\x07\x00" + bytes(4) + payload)


async def answer(server: Server, stream: int) -> None:
    server.h2.send_headers(stream, [(":status", "200")])
    server.h2.send_data(stream, b"ok", end_stream=True)


async def error(server: Server, stream: int) -> None:
    server.h2.send_headers(stream, [(":status", "502")], end_stream=True)


async def refuse(server: Server, stream: int) -> None:
    server.h2.reset_stream(stream, h2.errors.ErrorCodes.REFUSED_STREAM)


async def break_stream(server: Server, stream: int) -> None:
    server.h2.reset_stream(stream, h2.errors.ErrorCodes.INTERNAL_ERROR)


async def go_away_below(server: Server, stream: int) -> None:
    server.go_away(stream - 2)


async def go_away_and_answer(server: Server, stream: int) -> None:
    server.go_away(stream)
    await asyncio.sleep(0.05)
    await answer(server, stream)


async def go_away_and_cut(server: Server, stream: int) -> None:
    server.go_away(2**31 - 1)
    server.writer.close()


async def cut(server: Server, stream: int) -> None:
    server.h2.send_headers(stream, [(":status", "200")])
    server.h2.send_data(stream, b"half")
    server.flush()
    await server.writer.drain()
    await asyncio.sleep(0.05)
    reset(server.writer)


async def no_number(server: Server, stream: int) -> None:
    """Say a status that is none: by hand, h2 would not."""
    block = bytes([0x48, 3]) + b"abc"  # HPACK: ":status" of the static table, and a literal
    server.flush()
    server.writer.write(len(block).to_bytes(3) + b"\x01\x05" + stream.to_bytes(4) + block)


async def one_too_many(server: Server, stream: int) -> None:
    """Answer, and allow no stream any more."""
    await answer(server, stream)
    server.h2.update_settings({h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 0})


async def end(server: Server, stream: int) -> None:
    server.writer.close()


@pytest.mark.parametrize(
    ("acts", "lost", "repeated"),
    [
        ([answer, answer], [], 0),
        ([answer, error], [("5xx", True)], 0),
        ([answer, refuse, answer], [], 1),
        ([refuse, answer, answer], [], 1),
        ([refuse, refuse, refuse, answer], [("stream reset", False)], 3),
        ([answer, break_stream], [("stream reset", True)], 0),
        ([answer, go_away_below, answer], [], 1),
        ([go_away_and_answer, answer], [], 0),
        ([answer, go_away_and_cut], [("cut", True)], 0),
        ([answer, cut], [("cut", True)], 0),
        ([answer, end], [("cut", True)], 0),
        ([answer, no_number], [("malformed", True)], 0),
    ],
    ids=lambda acts: (
        "-".join(getattr(each, "__name__", "") for each in acts) if isinstance(acts, list) else ""
    ),
)
def test_two_requests(acts: list[Act], lost: list[tuple[str, bool]], repeated: int):
    """Declined untouched: sent again, once more each time; anything else without an answer: lost."""

    async def main() -> None:
        left = list(acts)

        async def handler(reader: Reader, writer: Writer) -> None:
            await Server(reader, writer, left).serve()

        async with serving(handler) as port:
            client, tally = client_of(port, Protocol.HTTP2, rtt=0)
            await ask(client, 2)
            assert seen(tally) == lost
            assert (tally.requests, tally.repeated, left) == (2, repeated, [])

    run(main())


def test_a_server_that_goes_away_while_idle():
    """GOAWAY and the end of an idle connection lose nothing."""

    async def main() -> None:
        servers: list[Server] = []

        async def handler(reader: Reader, writer: Writer) -> None:
            servers.append(Server(reader, writer, [answer]))
            await servers[-1].serve()

        async def leave() -> None:
            servers[-1].go_away(1)
            servers[-1].writer.close()
            await asyncio.sleep(0.05)

        async with serving(handler) as port:
            client, tally = client_of(port, Protocol.HTTP2, rtt=0)
            await ask(client, 3, between=leave)
            assert (seen(tally), tally.answers.total(), tally.closed_idle) == ([], 3, 2)

    run(main())


def test_frames_on_an_idle_connection_do_not_end_it():
    """SETTINGS and PING are housekeeping: the connection is used again."""

    async def main() -> None:
        servers: list[Server] = []

        async def handler(reader: Reader, writer: Writer) -> None:
            servers.append(Server(reader, writer, [answer] * 3))
            await servers[-1].serve()

        async def ping() -> None:
            servers[-1].h2.ping(b"12345678")
            servers[-1].flush()
            await asyncio.sleep(0.02)

        async with serving(handler) as port:
            client, tally = client_of(port, Protocol.HTTP2, rtt=0)
            await ask(client, 3, between=ping)
            assert (seen(tally), len(servers), tally.closed_idle) == ([], 1, 0)

    run(main())


async def serve_one(reader: Reader, writer: Writer) -> None:
    """Allow no stream after the first answer."""
    await Server(reader, writer, [one_too_many]).serve()


def test_a_server_that_allows_no_stream():
    """Its client waits for one, as the protocol says, and has no answer in time."""

    async def main() -> None:
        async with serving(serve_one) as port:
            client, tally = client_of(port, Protocol.HTTP2, timeout=0.3)
            await ask(client, 2)
            assert (seen(tally), tally.requests) == ([("timeout", True)], 2)

    run(main())


def test_a_server_that_leaves_before_it_allows_a_stream():
    """What could not be sent is not lost: it is sent on another connection."""

    async def main() -> None:
        left = [one_too_many, answer]

        async def handler(reader: Reader, writer: Writer) -> None:
            first = len(left) == 2
            server = Server(reader, writer, left)
            serving_ = asyncio.create_task(server.serve())
            if first:
                await asyncio.sleep(0.2)
                server.go_away(2**31 - 1)
            await serving_

        async with serving(handler) as port:
            client, tally = client_of(port, Protocol.HTTP2, rtt=0)
            await ask(client, 2)
            assert (seen(tally), tally.requests, tally.repeated) == ([], 2, 1)

    run(main())
