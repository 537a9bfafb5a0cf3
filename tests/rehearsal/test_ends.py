"""Who ended a new connection: its place in the listener's queue, or a process that had it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from lifecycle.rehearsal.clients import wire
from lifecycle.rehearsal.clients.wire import Wire
from lifecycle.rehearsal.plan import Protocol
from lifecycle.testing import Endpoint
from tests.rehearsal.kit import OK, ask, client_of, run, seen

SERVER = """
import socket, sys, time
accepts, reads = (word == "yes" for word in sys.argv[1:])
with socket.create_server(("127.0.0.1", 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    if accepts:
        connection, _ = listener.accept()
        if reads:
            time.sleep(0.2)
            connection.recv(65536)
            print("read", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


async def accepted(listener: socket.socket) -> socket.socket:
    connection, _ = await asyncio.get_running_loop().sock_accept(listener)
    connection.setblocking(False)
    return connection


async def read(connection: socket.socket) -> None:
    await asyncio.sleep(0.1)  # all of it has come
    assert await asyncio.get_running_loop().sock_recv(connection, 65536)


async def never_accepted(listener: socket.socket) -> None:
    await asyncio.sleep(0.1)
    listener.close()


async def never_accepted_for_long(listener: socket.socket) -> None:
    await asyncio.sleep(0.5)
    listener.close()


async def accepted_and_never_read(listener: socket.socket) -> None:
    connection = await accepted(listener)
    await asyncio.sleep(0.1)
    connection.close()


async def accepted_and_read(listener: socket.socket) -> None:
    connection = await accepted(listener)
    await read(connection)
    connection.close()


async def accepted_and_read_for_long(listener: socket.socket) -> None:
    connection = await accepted(listener)
    await read(connection)
    await asyncio.sleep(0.3)
    connection.close()


End = Callable[[socket.socket], object]


@pytest.mark.parametrize("protocol", Protocol)
@pytest.mark.parametrize(
    ("end", "cause"),
    [
        (never_accepted, "reset in the queue"),
        (never_accepted_for_long, "reset in the queue"),
        (accepted_and_never_read, "reset in the queue"),
        (accepted_and_read, "cut"),
        (accepted_and_read_for_long, "cut"),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_a_request_that_was_sent(end: End, cause: str, protocol: Protocol):
    """However long it took: what nobody had read was in the queue, what was read was in flight."""

    async def main() -> None:
        with listening() as listener:
            client, tally = client_of(listener.getsockname()[1], protocol)
            await asyncio.gather(client.visit(), end(listener))
            assert seen(tally) == [(cause, False)]

    run(main())


@pytest.mark.parametrize(
    ("end", "cause"),
    [(never_accepted, "reset in the queue"), (accepted_and_read_for_long, "cut")],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_a_kernel_that_does_not_say_what_has_arrived(
    end: End, cause: str, monkeypatch: pytest.MonkeyPatch
):
    """A RST tells the same; after a FIN it is told by how long the request had been there."""
    monkeypatch.setattr(wire, "TCP_INFO", None)
    test_a_request_that_was_sent(end, cause, Protocol.HTTP1)


async def close_the_listener(listener: socket.socket) -> None:
    await asyncio.sleep(0.1)
    listener.close()


async def close_what_is_idle(listener: socket.socket) -> None:
    with await accepted(listener) as connection:
        await asyncio.sleep(0.1)
        with contextlib.suppress(BlockingIOError):
            connection.recv(65536)  # of HTTP/2 the preface


@pytest.mark.parametrize("protocol", Protocol)
@pytest.mark.parametrize(
    ("end", "cause"),
    [(close_the_listener, "reset in the queue"), (close_what_is_idle, "closed unasked")],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_a_request_that_comes_late(end: End, cause: str, protocol: Protocol):
    """A client that connects early is reset in the queue, or closed by a server that had it."""

    async def main() -> None:
        with listening() as listener:
            client, tally = client_of(listener.getsockname()[1], protocol, first_after=0.3)
            await asyncio.gather(client.visit(), end(listener))
            assert seen(tally) == [(cause, False)]

    run(main())


@pytest.mark.parametrize("protocol", Protocol)
def test_a_server_that_says_that_it_is_over_and_lingers(protocol: Protocol):
    """Nobody reads a request that comes after a FIN, though the kernel takes its bytes still."""

    async def main() -> None:
        with listening() as listener:
            client, tally = client_of(listener.getsockname()[1], protocol, first_after=0.2)
            asking = asyncio.create_task(client.visit())
            with await accepted(listener) as connection:
                connection.shutdown(socket.SHUT_WR)
                await asking
            assert seen(tally) == [("closed unasked", False)]

    run(main())


def test_a_kept_connection_whose_server_lingers():
    """The request that was on its way then is the idle race: nobody was working on it."""

    async def main() -> None:
        async def answer_once(listener: socket.socket) -> None:
            with await accepted(listener) as connection:
                await read(connection)
                connection.send(OK)
                await asyncio.sleep(0.05)
                connection.shutdown(socket.SHUT_WR)
                await asyncio.sleep(0.5)

        with listening() as listener:
            client, tally = client_of(listener.getsockname()[1], rtt=0.2)
            await asyncio.gather(ask(client, 2), answer_once(listener))
            assert seen(tally) == [("reset", True)]

    run(main())


@pytest.mark.parametrize("protocol", Protocol)
@pytest.mark.parametrize(
    ("accepts", "reads", "cause"),
    [
        ("no", "no", "reset in the queue"),
        ("yes", "no", "reset in the queue"),
        ("yes", "yes", "cut"),
    ],
)
def test_a_process_that_is_killed(accepts: str, reads: str, cause: str, protocol: Protocol):
    """SIGKILL resets what nobody had read, and cuts what was read."""

    async def main() -> None:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVER, accepts, reads],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        with process:
            assert process.stdout is not None
            client, tally = client_of(int(process.stdout.readline()), protocol, timeout=10.0)
            asking = asyncio.create_task(client.visit())
            if reads == "yes":
                await asyncio.to_thread(process.stdout.readline)
            await asyncio.sleep(0.1)
            process.kill()
            await asking
            assert seen(tally) == [(cause, False)]

    run(main())


def test_what_has_come_before_a_reset_is_read_though_writing_finds_it_first():
    """An answer is not lost with the connection that was to take more of the request."""

    async def main() -> None:
        with listening() as listener:
            wired = await Wire.open(Endpoint("app-1", *listener.getsockname()))
            with await accepted(listener) as connection:
                wired.write(b"never read")
                connection.send(b"answer")
            wired.write(b"more")  # before the loop has looked at what has come
            assert await wired.read() == b"answer"
            assert await wired.read() == b""
            assert (wired.ended, wired.reset) == ("connection reset by peer", True)

    run(main())


def test_an_answer_that_a_reset_overtakes():
    """A server that answers and closes, with some of the request unread, has answered."""

    async def main() -> None:
        with listening() as listener:

            async def answer() -> None:
                connection = await accepted(listener)
                await asyncio.sleep(0.1)
                await asyncio.get_running_loop().sock_recv(connection, 10)
                connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                connection.close()

            client, tally = client_of(listener.getsockname()[1])
            await asyncio.gather(client.visit(), answer())
            assert (seen(tally), dict(tally.statuses)) == ([], {200: 1})

    run(main())
