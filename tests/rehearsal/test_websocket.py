"""What is a loss over WebSocket: the end without a word, or with one that speaks of an error."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import wsproto
from wsproto import events

from lifecycle.rehearsal.clients.wire import Wire
from lifecycle.rehearsal.plan import Protocol
from tests.rehearsal.kit import ask, client_of, reset, run, seen, serving

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter


class Server:
    """One WebSocket connection; it answers pings, as every server does."""

    def __init__(self, reader: Reader, writer: Writer) -> None:
        self.reader, self.writer = reader, writer
        self.ws = wsproto.WSConnection(wsproto.ConnectionType.SERVER)
        self.on_ping: Callable[[events.Ping], None] = lambda ping: self.send(ping.response())

    def send(self, event: events.Event) -> None:
        self.writer.write(self.ws.send(event))

    async def serve(self) -> None:
        while data := await self.reader.read(65536):
            self.ws.receive_data(data)
            for event in self.ws.events():
                match event:
                    case events.Request():
                        self.send(events.AcceptConnection())
                    case events.Ping():
                        self.on_ping(event)
                    case events.CloseConnection():
                        return


def close(code: int) -> Callable[[Server], None]:
    def end(server: Server) -> None:
        server.send(events.CloseConnection(code=code))
        server.writer.close()

    return end


def drop(server: Server) -> None:
    server.writer.close()


def cut(server: Server) -> None:
    reset(server.writer)


End = Callable[[Server], None]
WAYS = [
    (close(1001), None),
    (close(1000), None),
    (close(1012), None),
    (close(1011), "5xx"),
    (drop, "1006"),
    (cut, "1006"),
]
IDS = ["1001", "1000", "1012", "1011", "dropped", "reset"]


async def play(between: Callable[[list[Server]], Awaitable[None]]) -> tuple[list, int, int]:
    servers: list[Server] = []

    async def handler(reader: Reader, writer: Writer) -> None:
        servers.append(Server(reader, writer))
        await servers[-1].serve()

    async with serving(handler) as port:
        client, tally = client_of(port, Protocol.WEBSOCKET, rtt=0)
        await ask(client, 2, between=lambda: between(servers))
        return seen(tally), tally.answers.total(), len(servers)


@pytest.mark.parametrize(("end", "cause"), WAYS, ids=IDS)
def test_a_session_that_ends_while_idle(end: End, cause: str | None):
    """A close frame of a server that goes away loses nothing; no close frame is 1006."""

    async def between(servers: list[Server]) -> None:
        end(servers[-1])
        await asyncio.sleep(0.05)

    assert run(play(between)) == ([(cause, True)] if cause else [], 2, 2)


@pytest.mark.parametrize(("end", "cause"), WAYS[:4], ids=IDS[:4])
def test_a_session_that_ends_as_it_is_looked_at(
    end: End, cause: str | None, monkeypatch: pytest.MonkeyPatch
):
    """A close frame counts that comes between two looks at whether there is one."""

    async def between(servers: list[Server]) -> None:
        look = Wire.look

        async def look_and_end(wire: Wire) -> None:
            await look(wire)
            monkeypatch.undo()
            end(servers[-1])

        monkeypatch.setattr(Wire, "look", look_and_end)

    assert run(play(between)) == ([(cause, True)] if cause else [], 2, 2)


@pytest.mark.parametrize(("end", "cause"), WAYS, ids=IDS)
def test_a_session_that_ends_under_a_ping(end: End, cause: str | None):
    """The same with a ping on its way: after a good end it is sent again."""

    async def between(servers: list[Server]) -> None:
        server = servers[-1]
        server.on_ping = lambda _: end(server)

    lost = [(cause, True)] if cause else []
    assert run(play(between)) == (lost, 2 - len(lost), 2 - len(lost))


def test_a_session_goes_on():
    """Pings on one connection, and the server's own are answered."""

    async def between(servers: list[Server]) -> None:
        servers[-1].send(events.Ping(b"are you there"))
        await asyncio.sleep(0.02)

    assert run(play(between)) == ([], 2, 1)


@pytest.mark.parametrize(
    ("head", "cause"),
    [(b"503 Unavailable", "5xx"), (b"404 Not Found", "malformed")],
)
def test_a_handshake_that_is_denied(head: bytes, cause: str):
    """Where no WebSocket is, none is lost by the rollout; an error is one."""

    async def main() -> None:
        async def handler(reader: Reader, writer: Writer) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 " + head + b"\r\nContent-Length: 0\r\n\r\n")

        async with serving(handler) as port:
            client, tally = client_of(port, Protocol.WEBSOCKET)
            await client.visit()
            assert seen(tally) == [(cause, False)]

    run(main())
