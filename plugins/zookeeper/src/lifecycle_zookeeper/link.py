"""
The one session of all services, and whether there is a connection.

Rules of this file:

1. kazoo connects again by itself. A client that has ended for good is replaced by a new one.
2. Requests are sent only while there is a connection. Without one they fail at once.
3. All sessions of this process are remembered, because their nodes are ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from lifecycle_zookeeper.errors import ZooKeeperFailed
from lifecycle_zookeeper.news import Connected, Dead, Failed, News, Touched
from lifecycle_zookeeper.options import Options
from lifecycle_zookeeper.text import one_line

if TYPE_CHECKING:
    from lifecycle_zookeeper.client import Client

PAUSE: Final = 0.5
"""Seconds before a client that has ended is replaced."""
CLOSING: Final = 0.3
"""Seconds that the server may take to end the session."""


class Link:
    """
    The connection.

    Args:
        options: The options.
        on_change: Called with the failure when the connection is lost or the reason changes, and
            with None when it is open again.
        on_open: Called when there is a connection, each time.
        on_touched: Called with the path of a watched node that has changed.

    Attributes:
        error: The failure, while there is no connection. None while there is one, and before the
            first try has ended.
        session: The id of the session, or 0 before the first one.
        sessions: The ids of all sessions of this process.
    """

    def __init__(
        self,
        options: Options,
        on_change: Callable[[ZooKeeperFailed | None], None],
        on_open: Callable[[], None],
        on_touched: Callable[[str], None],
    ) -> None:
        self._options = options
        self._on_change = on_change
        self._on_open = on_open
        self._on_touched = on_touched
        self._client: Client | None = None
        self._open = asyncio.Event()
        self._known = asyncio.Event()
        self._dead = asyncio.Event()
        self._told = ""
        self.error: ZooKeeperFailed | None = None
        self.session = 0
        self.sessions: set[int] = set()

    @property
    def client(self) -> Client:
        """
        The client, which has a connection.

        Raises:
            ZooKeeperFailed: There is no connection.
        """
        if self.error is not None:
            raise self.error.again()
        if self._client is None or not self._open.is_set():
            raise ZooKeeperFailed("unreachable", "there is no connection yet")
        return self._client

    async def until_known(self, seconds: float) -> None:
        """Wait until the first try to connect has ended, or so many seconds are over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._known.wait()

    async def until_open(self, seconds: float) -> None:
        """
        Wait until there is a connection.

        Raises:
            ZooKeeperFailed: There is none after so many seconds.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._open.wait()
        if self.error is not None:
            raise self.error.again()

    async def run(self) -> None:
        """Keep a client, until cancelled."""
        from lifecycle_zookeeper.client import Client

        while True:
            self._dead.clear()
            try:
                self._client = Client(self._options, self._hear)
                self._client.start()
                await self._dead.wait()
            except Exception as error:  # noqa: BLE001 - a bug of kazoo must not end the task
                words = f"{type(error).__name__}: {one_line(str(error))}"
                self._fail(ZooKeeperFailed("broken", words))
            finally:
                client, self._client = self._client, None
                if client is not None:
                    await client.close(CLOSING)
            await asyncio.sleep(random.uniform(0.5, 1) * PAUSE)  # noqa: S311 - jitter

    def _hear(self, client: Client, news: News) -> None:
        if client is not self._client:
            return  # from a client that was replaced
        match news:
            case Connected(session):
                self._succeed(session)
            case Failed(error):
                self._fail(error)
            case Dead(error):
                self._fail(error)
                self._dead.set()
            case Touched(path):
                self._on_touched(path)

    def _succeed(self, session: int) -> None:
        self.session = session
        self.sessions.add(session)
        self.error = None
        self._open.set()
        self._known.set()
        if self._told:
            self._told = ""
            self._on_change(None)
        self._on_open()

    def _fail(self, error: ZooKeeperFailed) -> None:
        self.error = error
        self._open.clear()
        self._known.set()
        if error.state != self._told:
            self._told = error.state
            self._on_change(error)
