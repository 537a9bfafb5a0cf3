"""While every app service is offline, clients are told to go; a service online takes it back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from lifecycle.asgi import Middleware
from lifecycle.hookspecs import hookimpl
from lifecycle.states import State
from tests.unit.drain.play import Play, soon
from tests.unit.virtual_time import hang_for_ever, now, run

SETTLE = 5


class Server:
    """A plugin that notes what its hook is told, in seconds after it was made."""

    def __init__(self) -> None:
        self.began = now()
        self.told: list[tuple[str, float]] = []

    def note(self, what: str) -> None:
        self.told.append((what, now() - self.began))

    @hookimpl
    async def lifecycle_offline(self, life: Any, offline: Any) -> None:
        """Note the beginning, the end of settle, and the cancellation."""
        assert life.sends_clients_away
        self.note("offline")
        try:
            await offline.settled()
            assert life.ends_idle_connections
            self.note("settled")
            await hang_for_ever()
        finally:
            self.note("over")


Step = Callable[[Play], object]


def offline(name: str = "*") -> Step:
    return lambda play: play.life.offline(name)


def online(name: str = "*") -> Step:
    return lambda play: play.life.online(name)


def again(play: Play) -> None:
    play.life.online()
    play.life.offline()


def drain(play: Play) -> None:
    play.signal()


SCENES: dict[str, tuple[list[tuple[float, Step]], list[tuple[str, float]]]] = {
    "both of two services": (
        [(1, offline("orders")), (2, offline("admin")), (9, online("admin"))],
        [("offline", 2), ("settled", 7), ("over", 9)],
    ),
    "one of two": ([(1, offline("orders"))], []),
    "online before settle has passed": (
        [(1, offline()), (3, online("orders"))],
        [("offline", 1), ("over", 3)],
    ),
    "twice": (
        [(1, offline()), (7, online()), (8, offline()), (14, online())],
        [
            ("offline", 1),
            ("settled", 6),
            ("over", 7),
            ("offline", 8),
            ("settled", 13),
            ("over", 14),
        ],
    ),
    "and at once again": (
        [(1, offline()), (7, again), (14, online())],
        [
            ("offline", 1),
            ("settled", 6),
            ("over", 7),
            ("offline", 7),
            ("settled", 12),
            ("over", 14),
        ],
    ),
    "until a drain": (
        [(1, offline()), (8, drain)],
        [("offline", 1), ("settled", 6), ("over", 8)],
    ),
    "a drain before settle has passed": (
        [(1, offline()), (3, drain)],
        [("offline", 1), ("over", 3)],
    ),
    "in a drain there is nothing to take offline": ([(1, drain), (2, offline())], []),
}


@pytest.mark.parametrize("scene", SCENES)
def test_the_hook_of_a_server(scene: str) -> None:
    """It is called when the last service is offline, told of settle, and cancelled in the end."""
    steps, told = SCENES[scene]

    async def main() -> None:
        server = Server()
        play = await Play(server).open()
        play.life.export("admin", port=81)
        for at, step in steps:
            play.at(at, lambda step=step: step(play))
        await asyncio.sleep(15)
        if play.state is not State.DRAINING:
            play.signal()
        await play.end()
        assert sorted(server.told, key=lambda each: each[1]) == [
            (what, soon(at)) for what, at in told
        ]

    run(main())


def test_what_a_server_reads() -> None:
    """Both properties, at each response: told to go at once, ended after settle, and not again."""

    async def main() -> None:
        play = await Play().open()
        life = play.life

        def seen() -> tuple[bool, bool]:
            return life.sends_clients_away, life.ends_idle_connections

        assert seen() == (False, False)
        life.offline()
        assert seen() == (True, False)
        await asyncio.sleep(SETTLE + 0.1)
        assert seen() == (True, True)
        life.online()
        assert seen() == (False, False)
        play.signal()
        assert seen() == (True, False)
        await asyncio.sleep(SETTLE + 0.01)
        assert seen() == (True, True)
        await play.end()
        assert play.host.cancels_main

    run(main())


@pytest.mark.parametrize(("held", "settled"), [(8.0, 0.0), (2.0, SETTLE)])
def test_a_drain_joins_it(held: float, settled: float) -> None:
    """What is ended goes on being ended; its own settle counts from its start, as ever."""

    async def main() -> None:
        play = await Play().open()
        play.life.offline()
        await asyncio.sleep(held)
        play.signal()
        await asyncio.sleep(0.01)
        assert play.life.ends_idle_connections is (settled == 0)
        drain = play.life.drain
        assert drain is not None
        await drain.settled()
        assert play.after() == soon(SETTLE)
        assert play.life.ends_idle_connections
        await play.end()
        assert play.report["steps"]["settle"] == soon(SETTLE)

    run(main())


def test_a_plugin_that_comes_while_every_service_is_offline() -> None:
    """It is called at once; one that is removed is not called again."""

    async def main() -> None:
        play = await Play().open()
        server = Server()
        play.at(1, play.life.offline)
        await asyncio.sleep(3)
        installed = await play.life.use_async(server)
        await asyncio.sleep(4)
        play.life.online()
        await asyncio.sleep(1)
        await installed.remove_async()
        play.life.offline()
        await asyncio.sleep(1)
        play.signal()
        await play.end()
        assert server.told == [("offline", soon(3)), ("settled", soon(6)), ("over", soon(7))]

    run(main())


class Bad:
    """A plugin whose hook fails."""

    @hookimpl
    async def lifecycle_offline(self) -> None:
        """Fail."""
        raise ValueError("no server")


def test_a_hook_that_fails() -> None:
    """It is logged with its name, and is nobody else's problem."""

    async def main() -> None:
        server = Server()
        play = await Play(Bad(), server).open()
        play.at(1, play.life.offline)
        await asyncio.sleep(7)
        play.signal()
        await play.end()
        [said] = play.stage.diary.of("plugin")
        assert (said["plugin"], said["problem"]) == (
            "Bad",
            "lifecycle_offline raised ValueError: no server",
        )
        assert [what for what, _ in server.told] == ["offline", "settled", "over"]

    run(main())


def test_what_status_and_log_say() -> None:
    """Since when, and whether settle has passed; null while a service is online."""

    async def main() -> None:
        play = await Play().open()
        assert play.life.snapshot()["maintenance"] is None
        play.life.offline()
        await asyncio.sleep(2)
        assert play.life.snapshot()["maintenance"] == {"elapsed": soon(2), "settled": False}
        await asyncio.sleep(4)
        assert play.life.snapshot()["maintenance"] == {"elapsed": soon(6), "settled": True}
        play.life.online()
        assert play.life.snapshot()["maintenance"] is None
        play.signal()
        await play.end()
        diary = play.stage.diary
        assert (len(diary.of("offline")), len(diary.of("online"))) == (1, 1)

    run(main())


# ASGI


HTTP = {"type": "http", "http_version": "1.1", "headers": [], "path": "/", "method": "GET"}
WEBSOCKET = {"type": "websocket", "headers": [], "path": "/ws", "http_version": "1.1"}


async def closes(play: Play) -> bool:
    """Ask an app, and tell whether the answer says that it is the last one."""
    sent: list[Any] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def send(message: Any) -> None:
        sent.append(message)

    await Middleware(app, play.life)(dict(HTTP), hang_for_ever, send)
    return (b"connection", b"close") in sent[0]["headers"]


class Socket:
    """A WebSocket of a client that waits to be told to go."""

    def __init__(self, play: Play) -> None:
        self.began = now()
        self.closed: list[tuple[int, float]] = []
        self._over = asyncio.Event()
        self.task = asyncio.create_task(
            Middleware(self._app, play.life)(dict(WEBSOCKET), self._receive, self._send)
        )

    async def _app(self, _scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            continue

    async def _receive(self) -> Any:
        await self._over.wait()
        return {"type": "websocket.disconnect", "code": 1006}

    async def _send(self, message: Any) -> None:
        if message["type"] == "websocket.close":
            self.closed.append((message["code"], now() - self.began))
            self._over.set()

    async def leave(self) -> None:
        """Go."""
        self._over.set()
        await self.task


def test_an_asgi_app_without_a_drain() -> None:
    """Answers say close, WebSockets are closed after settle, and later ones at once."""

    async def main() -> None:
        play = await Play().open()
        socket = Socket(play)
        await asyncio.sleep(1)
        assert not await closes(play)
        play.life.offline()
        assert await closes(play)
        await asyncio.sleep(SETTLE + 1)
        assert socket.closed == [(1001, soon(1 + SETTLE))]
        late = Socket(play)
        await asyncio.sleep(1)
        assert late.closed == [(1001, soon(0))]

        play.life.online()
        assert not await closes(play)
        stays = Socket(play)
        await asyncio.sleep(60)
        assert stays.closed == []
        assert play.life.snapshot()["in_flight"] == 1

        play.signal()
        await play.end()
        assert stays.closed == [(1001, soon(60 + SETTLE))]
        for each in (socket, late, stays):
            await each.leave()

    run(main())
