"""What is a loss over HTTP/1.1, of which kind, and what is none."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from lifecycle.rehearsal.plan import Protocol
from tests.rehearsal.kit import OK, ask, client_of, closed_port, reset, run, seen, serving

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"


async def request(reader: Reader) -> None:
    await reader.readuntil(b"\r\n\r\n")


async def fine(reader: Reader, writer: Writer) -> None:
    while True:
        await request(reader)
        writer.write(OK)


async def chunked(reader: Reader, writer: Writer) -> None:
    while True:
        await request(reader)
        writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")


async def until_eof(reader: Reader, writer: Writer) -> None:
    await request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\n\r\nall there is")


async def reset_at_once(reader: Reader, writer: Writer) -> None:
    await request(reader)
    reset(writer)


async def closed_at_once(reader: Reader, writer: Writer) -> None:
    await request(reader)


async def reset_in_flight(reader: Reader, writer: Writer) -> None:
    await request(reader)
    await asyncio.sleep(0.25)
    reset(writer)


async def cut(reader: Reader, writer: Writer) -> None:
    await request(reader)
    writer.write(HEAD + b"half")


async def cut_by_reset(reader: Reader, writer: Writer) -> None:
    await request(reader)
    writer.write(HEAD + b"half")
    await asyncio.sleep(0.05)
    reset(writer)


async def cut_in_the_head(reader: Reader, writer: Writer) -> None:
    await request(reader)
    writer.write(HEAD[:20])


async def five_hundred(reader: Reader, writer: Writer) -> None:
    await request(reader)
    writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")


async def hang(reader: Reader, writer: Writer) -> None:
    await reader.read()


async def hang_in_the_body(reader: Reader, writer: Writer) -> None:
    await request(reader)
    writer.write(HEAD)
    await reader.read()


async def rubbish(reader: Reader, writer: Writer) -> None:
    await request(reader)
    writer.write(b"220 mail.example ESMTP\r\n\r\n")
    await reader.read()


Serve = Callable[[Reader, Writer], Awaitable[None]]


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (fine, []),
        (chunked, []),
        (until_eof, []),
        (reset_at_once, [("reset in the queue", False)]),
        (closed_at_once, [("cut", False)]),
        (reset_in_flight, [("reset in the queue", False)]),
        (cut, [("cut", False)]),
        (cut_by_reset, [("cut", False)]),
        (cut_in_the_head, [("cut", False)]),
        (five_hundred, [("5xx", False)]),
        (hang, [("timeout", False)]),
        (hang_in_the_body, [("timeout", False)]),
        (rubbish, [("malformed", False)]),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_a_new_connection(handler: Serve, expected: list[tuple[str, bool]]):
    """Each way in which a server fails a request has its name; an answer has none."""

    async def main() -> None:
        async with serving(handler) as port:
            client, tally = client_of(port, timeout=0.5)
            await client.visit()
            lost = seen(tally)
            assert lost == expected
            assert tally.requests == 1
            assert tally.answers.total() == 1 - len(lost)

    run(main())


def test_refused():
    """Nobody listens."""

    async def main() -> None:
        client, tally = client_of(closed_port())
        await client.visit()
        assert seen(tally) == [("refused", False)]
        assert tally.losses[0].pod == "app-1"

    run(main())


def test_nobody_to_ask():
    """No endpoint is known: that is a loss too, and nobody's in particular."""

    async def main() -> None:
        client, tally = client_of(None)
        await client.visit()
        assert seen(tally) == [("no endpoint", False)]
        assert tally.losses[0].pod == ""

    run(main())


async def twice(reader: Reader, writer: Writer) -> None:
    while True:
        await request(reader)
        writer.write(OK + OK)


def test_an_answer_that_nobody_asked_for():
    """It is nobody's: the connection is not asked again, and each request has its own answer."""

    async def main() -> None:
        async with serving(twice) as port:
            client, tally = client_of(port)
            await ask(client, 3)
            assert {kept for _, _, kept in tally.answers} == {False}
            assert (seen(tally), tally.answers.total()) == ([], 3)

    run(main())


def once(end: Callable[[Writer], None], *, answers: int = 1) -> Serve:
    """Answer, then end the connection when the next request has come."""

    async def handler(reader: Reader, writer: Writer) -> None:
        for _ in range(answers):
            await request(reader)
            writer.write(OK)
        await request(reader)
        end(writer)

    return handler


@pytest.mark.parametrize(
    ("end", "cause"), [(reset, "reset"), (Writer.close, "cut")], ids=["reset", "closed"]
)
def test_a_kept_connection_that_ends_under_a_request(end: Callable[[Writer], None], cause: str):
    """What was written and not answered is lost: after a FIN alone the server had read it."""

    async def main() -> None:
        async with serving(once(end)) as port:
            client, tally = client_of(port)
            await ask(client, 2)
            assert seen(tally) == [(cause, True)]
            assert (tally.requests, tally.answers.total()) == (2, 1)

    run(main())


@pytest.mark.parametrize("end", [reset, Writer.close], ids=["reset", "closed"])
def test_a_kept_connection_that_ends_while_idle(end: Callable[[Writer], None]):
    """Who sees the end before writing has lost nothing, and asks on a new connection."""

    async def main() -> None:
        ended: list[Writer] = []

        async def handler(reader: Reader, writer: Writer) -> None:
            await request(reader)
            writer.write(OK)
            ended.append(writer)
            await reader.read()

        async def end_it() -> None:
            end(ended[-1])
            await asyncio.sleep(0.05)  # on its way through the kernel

        async with serving(handler) as port:
            client, tally = client_of(port)
            await ask(client, 3, between=end_it)
            assert seen(tally) == []
            assert (tally.requests, tally.closed_idle) == (3, 2)
            assert {kept for _, _, kept in tally.answers} == {False}

    run(main())


def test_a_connection_that_the_server_has_announced_to_close():
    """`Connection: close` is no end to be found: the next request has a new connection."""

    async def main() -> None:
        async def handler(reader: Reader, writer: Writer) -> None:
            await request(reader)
            writer.write(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))

        async with serving(handler) as port:
            client, tally = client_of(port)
            await ask(client, 5)
            assert (seen(tally), tally.closed_idle, tally.answers.total()) == ([], 0, 5)

    run(main())


def test_what_was_not_asked_for_ends_a_connection():
    """A 408 that comes while nothing was asked is the answer to nothing."""

    async def main() -> None:
        async def handler(reader: Reader, writer: Writer) -> None:
            await request(reader)
            writer.write(OK)
            writer.write(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n")

        async with serving(handler) as port:
            client, tally = client_of(port)
            await ask(client, 2, between=lambda: asyncio.sleep(0.05))
            assert (seen(tally), dict(tally.statuses)) == ([], {200: 2})

    run(main())


def test_the_race_of_a_round_trip():
    """What a client has seen is as old as the network's round trip when its request arrives."""

    async def main(rtt: float) -> list[tuple[str, bool]]:
        async def handler(reader: Reader, writer: Writer) -> None:
            await request(reader)
            writer.write(OK)
            await asyncio.sleep(0.05)

        async with serving(handler) as port:
            client, tally = client_of(port, rtt=rtt)
            await ask(client, 2)
            return seen(tally)

    assert run(main(rtt=0.2)) == [("reset", True)]


@pytest.mark.parametrize("late", ["rtt", "first_after"])
@pytest.mark.parametrize("protocol", Protocol)
def test_a_new_connection_that_is_closed_as_idle(protocol: Protocol, late: str):
    """A client that asks later than the server waits has lost its first request."""

    async def main() -> list[tuple[str, bool]]:
        async def handler(reader: Reader, writer: Writer) -> None:
            await asyncio.sleep(0.05)

        async with serving(handler) as port:
            client, tally = client_of(port, protocol, **{late: 0.2})
            await client.visit()
            return seen(tally)

    assert run(main()) == [("closed unasked", False)]


def test_only_the_first_request_is_late():
    """It waits once, on a new connection, and that counts neither as time nor towards a timeout."""

    async def main() -> None:
        async with serving(fine) as port:
            client, tally = client_of(port, first_after=0.3, timeout=0.2)
            began = time.monotonic()
            await ask(client, 5)
            assert (seen(tally), tally.answers.total()) == ([], 5)
            assert 0.3 <= time.monotonic() - began < 2 * 0.3
            assert tally.longest < 0.3

    run(main())


def test_kept_connections_are_used_again():
    """A thousand requests on one connection are one new one and 999 kept ones."""

    async def main() -> None:
        async with serving(fine) as port:
            client, tally = client_of(port, rtt=0)
            await ask(client, 1000)
            new = sum(n for (_, _, kept), n in tally.answers.items() if not kept)
            assert (new, tally.answers.total(), seen(tally)) == (1, 1000, [])

    run(main())


def test_what_comes_after_a_loss():
    """A client goes on after a loss, on a new connection, and pauses so as not to count twice."""

    async def main() -> None:
        over = asyncio.Event()
        async with serving(reset_at_once) as port:
            client, tally = client_of(port)
            staying = asyncio.create_task(client.stay(over, think=0.0))
            await asyncio.sleep(0.5)
            over.set()
            await staying
            assert 3 <= len(tally.losses) <= 8
            assert {loss.kept for loss in tally.losses} == {False}

    run(main())
