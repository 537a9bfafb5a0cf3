"""What is in flight, and what arrives, at a server that tells nothing."""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Callable

import pytest

from lifecycle.drain.socket_diagnosis import NoDiagnosis
from lifecycle.drain.socket_messages import CLOSE_WAIT, ESTABLISHED, TcpSocket
from lifecycle.drain.uninstrumented import Connection, UninstrumentedTraffic

FIN_WAIT = 1 << 4


def look(received: int = 0, sent: int = 0, **more: int) -> TcpSocket:
    """How a connection is seen: who has sent and not received has been answered."""
    seen = {"received_ago": 9, "sent_ago": 9, "waiting": 0, "unsent": 0, "accepted": True}
    fields = {"state": ESTABLISHED, "cookie": 1, "port": 80, "peer": b""} | seen | more
    return TcpSocket(received=received, sent=sent, **fields)


ASKED_AGAIN = {"received_ago": 1}
SERVED = look(80, 500, received_ago=600, sent_ago=600)
"""Asked, answered, and quiet."""

LOOKS = {
    "nothing was asked yet": ([look()], [False]),
    "nobody has accepted it": ([look(accepted=False), look()], [True, False]),
    "unread": ([look(80, waiting=80)], [True]),
    "asked within the tick in which it came": ([look(80, 0)], [True]),
    "asked, and answered": ([look(80), look(80), SERVED, SERVED], [True, True, True, False]),
    "answered, and asked again": ([SERVED, look(160, 500, **ASKED_AGAIN)], [False, False]),
    "not asked at first": ([look(), look(80), SERVED, SERVED], [False, True, True, False]),
    "long asked for at T0": ([look(160, 500, **ASKED_AGAIN)] * 3, [True] * 3),
    "an answer that flows": (
        [look(80, sent) for sent in (0, 100, 200, 300, 400, 500)],
        [True] * 6,
    ),
    "an answer that pauses": (
        [look(80, sent) for sent in (100, 100, 200, 500, 500, 500)] + [SERVED],
        [True] * 6 + [False],
    ),
    "an answer that is not taken": ([look(80, 500, unsent=99)] * 3, [True] * 3),
    "an upload": ([look(n * 100, 0) for n in range(1, 8)], [True] * 7),
    "to and fro, without a pause": (
        [look(n * 80, (n - 1) * 500, **ASKED_AGAIN) for n in range(1, 7)],
        [True, True, True, False, False, False],
    ),
    "half closed, and waiting for its answer": (
        [look(81, state=CLOSE_WAIT), look(81, 500, state=CLOSE_WAIT)],
        [True, True],
    ),
    "half closed, and nothing was asked": ([look(1, state=CLOSE_WAIT)], [False]),
    "closed by the server": ([look(80), look(80, state=FIN_WAIT, accepted=False)], [True, False]),
}


@pytest.mark.parametrize("case", LOOKS)
def test_what_is_owed_an_answer_is_in_flight(case: str) -> None:
    """From look to look; what was answered once is a kept connection, and asks for ever."""
    seen, expected = LOOKS[case]
    connection = Connection(seen[0], 0.0, new=True)
    held = [connection.held]
    for each in seen[1:]:
        connection.seen(each)
        held.append(connection.held)
    assert held == expected


class Scene:
    """A server that another process might be, and what the kernel tells of it."""

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.looked = asyncio.Event()
        self.traffic = UninstrumentedTraffic(lambda: [self.port], 0.0, self.looked.set)
        self.open: list[socket.socket] = []

    def come(self, request: bytes = b"") -> tuple[socket.socket, socket.socket]:
        """Connect, accept, and send something."""
        pair = socket.create_connection(("127.0.0.1", self.port)), self.server.accept()[0]
        self.open += pair
        pair[0].sendall(request)
        return pair

    async def until(self, what: Callable[[], object]) -> None:
        """Wait until a look has shown something."""
        async with asyncio.timeout(20):
            while not what():
                self.looked.clear()
                await self.looked.wait()

    def close(self) -> None:
        self.traffic.end()
        for each in (*self.open, self.server):
            each.close()


@pytest.fixture(params=["netlink", "tables"])
def kernel(request, monkeypatch) -> str:
    """Both ways to ask the kernel; the tables tell of no bytes that were read or sent."""

    def none(*_: object, **__: object) -> None:
        raise NoDiagnosis

    if request.param == "tables":
        monkeypatch.setattr("lifecycle.drain.kernel_sockets.sockets_of", none)
        monkeypatch.setattr("lifecycle.drain.uninstrumented.Endings", none)
    return request.param


def test_who_is_there_at_t0_does_not_arrive(kernel: str) -> None:
    """Only a new connection does, and whose request was short too, where its end is heard of."""

    async def main() -> None:
        scene = Scene()
        traffic = scene.traffic
        old = scene.come(b"GET / HTTP/1.0\r\n\r\n")
        traffic.begin()
        began = traffic.seen_until()
        await scene.until(lambda: traffic.seen_until() > began)
        for each in old:
            each.close()
        seen = traffic.seen_until()
        await scene.until(lambda: traffic.seen_until() > seen + 0.2)
        assert traffic.arrived_at() == -math.inf

        pair = scene.come(b"GET / HTTP/1.0\r\n\r\n")
        if kernel == "tables":
            await scene.until(lambda: traffic.arrived_at() > began)
        pair[1].recv(100)
        for each in pair:
            each.close()
        if kernel == "netlink":
            await scene.until(lambda: traffic.arrived_at() > began)
            assert traffic.disturbers() == ["connections from 127.0.0.1 (1)"]
        scene.close()

    asyncio.run(main())


def test_what_is_unread_is_in_flight(kernel: str) -> None:
    """In the queue of the listener, or of the connection; then its port is named."""

    async def main() -> None:
        scene = Scene()
        traffic = scene.traffic
        assert traffic.in_flight() == 0
        began = asyncio.get_running_loop().time()
        with socket.create_connection(("127.0.0.1", scene.port)) as waiting:
            traffic.begin()
            assert traffic.in_flight() == 1
            assert traffic.names() == [f"on port {scene.port} (1)"]
            waiting.sendall(b"GET /")
            ours = scene.server.accept()[0]
            seen = traffic.seen_until()
            await scene.until(lambda: traffic.seen_until() > seen)
            assert traffic.in_flight() == 1
            ours.recv(100)
            ours.sendall(b"hello")
            waiting.recv(100)
            await scene.until(lambda: not traffic.in_flight())
            ours.close()
        assert began <= traffic.awake_since() <= seen
        scene.close()

    asyncio.run(main())


def test_what_cannot_be_seen_is_waited_for(monkeypatch) -> None:
    """Without a descriptor the time up to which it has looked stands still, and nobody is forgotten."""

    async def main() -> None:
        scene = Scene()
        traffic = scene.traffic
        refused = True

        def look(*args: object, **more: object) -> list[TcpSocket]:
            if refused:
                raise OSError(24, "Too many open files")
            return []

        monkeypatch.setattr("lifecycle.drain.uninstrumented.tcp_sockets", look)
        traffic.begin()
        await scene.until(scene.looked.is_set)
        assert traffic.seen_until() == -math.inf
        refused = False
        await scene.until(lambda: traffic.seen_until() > 0)
        scene.close()

    asyncio.run(main())


def test_the_connections_that_came_are_reported(kernel: str) -> None:
    """The new ones, also one that has ended, and never the one from before; no requests."""

    async def main() -> None:
        scene = Scene()
        traffic = scene.traffic
        with socket.create_connection(("127.0.0.1", scene.port)):
            traffic.begin()
            assert traffic.arrivals()["connections"] == []
            with socket.create_connection(("127.0.0.1", scene.port)):
                await scene.until(lambda: sum(traffic.arrivals()["connections"] or []) == 1)
            found = traffic.arrivals()
            assert found["last_connection"] is not None
            assert 0 <= found["last_connection"] < 10
            assert (found["last_request"], found["arrivals"]) == (None, None)
        scene.close()

    asyncio.run(main())
