"""Where the traffic of a command is seen: on the board, or else in the kernel, while it matters."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from lifecycle.drain.elsewhere import Nowhere
from lifecycle.drain.uninstrumented import UninstrumentedTraffic
from lifecycle.process.command.traffic import CommandTraffic


class Scene:
    """A command whose port is open, and of which a client waits to be accepted."""

    def __init__(self, *, told: bool = False) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        port = self.server.getsockname()[1]
        self.kernel = UninstrumentedTraffic(lambda: [port], 0.0, lambda: None)
        self.traffic = CommandTraffic(Nowhere(), self.kernel, lambda: told)
        self.client = socket.create_connection(("127.0.0.1", port))

    def close(self) -> None:
        self.kernel.end()
        self.client.close()
        self.server.close()


def played(scene: Callable[[Scene], Awaitable[None]], *, told: bool = False) -> None:
    """Play with a scene on a loop."""

    async def main() -> None:
        made = Scene(told=told)
        try:
            await scene(made)
        finally:
            made.close()

    asyncio.run(main())


def test_the_kernel_is_watched_while_somebody_waits() -> None:
    """Until the last of them has gone; all of them know that it does not show everything."""

    async def scene(scene: Scene) -> None:
        traffic = scene.traffic
        assert traffic.in_flight() == 0
        with traffic.watched() as first:
            assert traffic.in_flight() == 1
            with traffic.watched() as second:
                assert (first, second) == (False, False)
            assert traffic.in_flight() == 1
        assert traffic.in_flight() == 0
        with traffic.watched():
            assert traffic.in_flight() == 1

    played(scene)


def test_workers_that_report_are_the_source() -> None:
    """Then the kernel is not asked."""

    async def scene(scene: Scene) -> None:
        with scene.traffic.watched() as all_seen:
            assert all_seen
            assert scene.traffic.in_flight() == 0

    played(scene, told=True)


def test_a_drain_that_starts_meanwhile() -> None:
    """It begins to look anew, and goes on when who has waited is gone."""

    async def scene(scene: Scene) -> None:
        traffic = scene.traffic
        with traffic.watched():
            before = traffic.awake_since()
            await asyncio.sleep(0.01)
            traffic.begin()
            assert traffic.awake_since() > before
        assert traffic.in_flight() == 1
        assert traffic.arrivals() is not None

    played(scene)


@pytest.mark.parametrize("what", ["send_away", "stay"])
def test_workers_are_told(what: str) -> None:
    """To send clients away, and to let them stay; the kernel can do neither."""
    told: list[object] = []

    class Workers(Nowhere):
        def send_away(self, settles_at: float) -> None:
            told.append(settles_at)

        def stay(self) -> None:
            told.append("stay")

    async def scene(scene: Scene) -> None:
        traffic = CommandTraffic(Workers(), scene.kernel, lambda: True)
        if what == "stay":
            traffic.stay()
        else:
            traffic.send_away(12.5)

    played(scene)
    assert told == (["stay"] if what == "stay" else [12.5])
