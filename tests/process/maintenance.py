"""
A pair of instances under load, of which one after the other is taken offline and brought back.

The clients are those of a rehearsal: each has its own view of the registered instances, which is late
by a part of `settle`. Some keep their connection busy, some idle, some open a new one for each
request. Beside them, clients follow event streams.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from lifecycle.rehearsal.load.load import Load
from lifecycle.rehearsal.plan import Protocol, Traffic
from tests.process.command_drain import EVENTS
from tests.process.h1_client import Connection
from tests.process.kit import App

SETTLE: Final = 1.5
QUIET: Final = 0.5
TIMES: Final = {
    "LIFECYCLE_SETTLE": str(SETTLE),
    "LIFECYCLE_QUIET": str(QUIET),
    "LIFECYCLE_STOP_TIMEOUT": "1",
    "LIFECYCLE_GRACE_PERIOD": "15",
}
LOOKS: Final = 0.1
"""Seconds between two looks at what is registered."""
TIMEOUT: Final = 30
"""Seconds for `lifecycle offline --wait`, on a busy machine."""
FOLLOWERS: Final = 4


def traffic(protocols: Sequence[Protocol]) -> Traffic:
    """Return a light load: some clients idle for longer than settle."""
    return Traffic(
        rate=20.0,
        clients=24,
        kept=0.75,
        think=2 * (SETTLE + QUIET),
        busy=0.5,
        paths=("/",) * 20 + ("/stream",),
        slow="/slow",
        rtt=0.0,
        protocols=tuple(protocols),
        propagation=SETTLE / 2,
        processes=1,
    )


class Instances:
    """Instances under load. Made by `under_load`."""

    def __init__(self, apps: Sequence[App], load: Load, *, streams: bool) -> None:
        self.apps = dict(zip("ABCD", apps, strict=False))
        self.ready = dict.fromkeys(self.apps, False)
        self.load = load
        self.lost: list[str] = []
        self._streams = streams
        self._over = asyncio.Event()

    async def watch(self) -> None:
        """Tell the clients which instances are registered, as a registry does."""
        while True:
            for name, app in self.apps.items():
                status = await asyncio.to_thread(app.status)
                self.ready[name] = all(each["online"] for each in status["services"])
                self.load.tell(
                    name,
                    name,
                    "127.0.0.1",
                    app.port,
                    ready=self.ready[name],
                    finished=False,
                    deleted=False,
                )
            await asyncio.sleep(LOOKS)

    async def follow(self) -> None:
        """Follow event streams, one after the other: each must end as a whole."""
        draw = random.Random(1)
        while self._streams and not self._over.is_set():
            app = self.apps[draw.choice([name for name, ready in self.ready.items() if ready])]
            connection = await Connection.open(app.port)
            with closing(connection):
                asking = asyncio.ensure_future(connection.ask("/events", EVENTS, within=None))
                over = asyncio.ensure_future(self._over.wait())
                await asyncio.wait({asking, over}, return_when=asyncio.FIRST_COMPLETED)
                over.cancel()
                if not asking.done():
                    asking.cancel()
                    await asyncio.wait({asking})
                    return
                try:
                    answer = asking.result()
                except Exception as error:  # noqa: BLE001 - every kind of loss
                    self.lost.append(f"event stream: {error!r}")
                else:
                    if not answer.body.endswith(b"\n\n"):
                        self.lost.append(f"event stream: ends with {answer.body[-20:]!r}")
            await asyncio.sleep(0.05)

    def end(self) -> None:
        """Let the clients finish."""
        self._over.set()

    # What a test sees

    def answered(self, name: str, *, kept: bool | None = None) -> int:
        """Return how many requests an instance has answered, perhaps only on kept connections."""
        return sum(
            count
            for (_, pod, was_kept), count in self.load.tally.answers.items()
            if pod == name and kept in (None, was_kept)
        )

    async def serves(self, name: str, *, kept: bool) -> None:
        """Wait until an instance has answered more requests."""
        before = self.answered(name, kept=kept)
        async with asyncio.timeout(30):
            while self.answered(name, kept=kept) < before + 10:
                self.load.check()
                await asyncio.sleep(0.05)

    async def offline(self, name: str) -> tuple[int, str, float]:
        """Run `lifecycle offline --wait`: its exit code, its output, and how long it took."""
        began = time.monotonic()
        ran = await asyncio.to_thread(
            self.apps[name].cli, "offline", "--wait", "--timeout", str(TIMEOUT)
        )
        return ran.returncode, ran.stdout + ran.stderr, time.monotonic() - began

    async def online(self, name: str) -> None:
        """Run `lifecycle online`, and wait until clients come, and may keep their connections."""
        ran = await asyncio.to_thread(self.apps[name].cli, "online")
        assert ran.returncode == 0, ran.stderr
        await self.serves(name, kept=False)
        connection = await Connection.open(self.apps[name].port)
        with closing(connection):
            answers = [await connection.ask("/") for _ in range(2)]
        assert [each.closes for each in answers] == [False, False]

    def losses(self) -> list[str]:
        """Return what was lost."""
        return [*map(str, self.load.tally.losses), *self.lost]


@contextmanager
def closing(connection: Connection) -> Iterator[None]:
    """Close a connection in the end."""
    try:
        yield
    finally:
        connection.close()


@asynccontextmanager
async def under_load(
    apps: Sequence[App], protocols: Sequence[Protocol], *, streams: bool
) -> AsyncIterator[Instances]:
    """Load instances that are READY, and end with what the clients have under way."""
    load = Load(traffic(protocols))
    instances = Instances(apps, load, streams=streams)
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(instances.watch())
        async with asyncio.timeout(30):
            while not all(instances.ready.values()):
                await asyncio.sleep(LOOKS)
        await asyncio.sleep(SETTLE / 2)  # until each client has heard of them
        following = [group.create_task(instances.follow()) for _ in range(FOLLOWERS)]
        load.begin()
        try:
            for name in instances.apps:
                await instances.serves(name, kept=True)
            yield instances
        finally:
            instances.end()
            async with asyncio.timeout(30):
                await load.end()
                await asyncio.gather(*following)
            watching.cancel()


async def maintain(instances: Instances) -> None:
    """Take one instance after the other out of use, and bring it back; nothing may be lost."""
    for name in instances.apps:
        app = instances.apps[name]
        unused = await Connection.open(app.port)
        with closing(unused):
            assert not (await unused.ask("/")).closes
            code, said, took = await instances.offline(name)
            assert unused.over
        assert (code, said.partition(" (waited")[0]) == (
            0,
            "OK: shop offline, no client is served",
        ), (
            said,
            instances.losses(),
            app.stderr,
        )
        assert took >= SETTLE
        status = app.status()
        assert (status["state"], status["in_flight"]) == ("ready", 0)
        assert status["maintenance"]["settled"]
        before = instances.answered(name)
        await asyncio.sleep(SETTLE)
        assert instances.answered(name) == before
        assert app.status()["in_flight"] == 0
        assert not instances.losses(), instances.losses()
        for other in instances.apps.keys() - {name}:
            await instances.serves(other, kept=True)

        await instances.online(name)
        assert app.status()["maintenance"] is None
        assert not instances.losses(), instances.losses()
