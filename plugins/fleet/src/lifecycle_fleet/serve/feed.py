"""
The live stream: server-sent events, written once for all readers.

Rules of this file:

1. A reader starts with a snapshot, in parts. Then it gets the frames that came after its start.
   A frame has whole pods, so a frame that a reader has seen already changes nothing.
2. The last frames are kept in one place, with a bound in bytes. A reader is only a number: the
   frame that it has seen last. A slow reader costs no memory. Its next frame is then no longer there, and it starts again.
3. A reader that comes back with the number of its last frame goes on there, if it is still kept.
4. At most `RATE` frames a second are made. Changes that come in between are one frame.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any, Final

import msgspec

import lifecycle
from lifecycle_fleet.serve.fleet import Fleet
from lifecycle_fleet.serve.watches import Logger

RATE: Final = 5
"""Frames a second, at most."""
KEPT: Final = 2 * 2**20
"""Bytes of frames that are kept."""
PART: Final = 200
"""Pods of one part of a snapshot."""
PING: Final = 10.0
"""Seconds after which a silent stream gets an event, so that a page knows that it is alive."""


class Feed:
    """
    The frames.

    Args:
        fleet: The pods.
        about: Returns the first event of a snapshot, as a mapping for JSON.
        wake: Set when there is something new. The pods set it.
        log: The log.

    Attributes:
        readers: How many streams are open.
    """

    def __init__(
        self, fleet: Fleet, about: Callable[[], dict[str, Any]], wake: asyncio.Event, log: Logger
    ) -> None:
        self.readers = 0
        self._fleet = fleet
        self._about = about
        self._boot = secrets.token_hex(4)
        self._frames: deque[bytes] = deque()
        self._size = 0
        self._last = 0
        self._new = asyncio.Event()
        self._link: dict[str, Any] | None = None
        self._wake = wake
        self._log = log

    # What makes the frames

    def link(self, state: dict[str, Any]) -> None:
        """Make a frame soon, because the state of the watches has changed."""
        self._link = state
        self._wake.set()

    async def run(self) -> None:
        """Make the frames, forever."""
        while True:
            await self._until_due()
            self._wake.clear()
            self.flush()
            await asyncio.sleep(1 / RATE)

    def flush(self) -> None:
        """Make a frame now, if there is something new."""
        try:
            self._fleet.refresh()
            if frame := self._frame():
                self._publish(frame)
        except Exception as error:  # noqa: BLE001 - the view must go on with the other pods
            problem = f"{type(error).__name__}: {error}"
            self._log.error(
                "watch failed",
                kind="frame",
                problem=problem,
                see=lifecycle.LifecycleError(see="errors.md#fleet-watch").see,
            )

    async def _until_due(self) -> None:
        wait = min(max(self._fleet.due() - self._fleet.now(), 0.0), 3600.0)
        try:
            async with asyncio.timeout(wait):
                await self._wake.wait()
        except TimeoutError:
            return

    def _frame(self) -> bytes:
        pods, gone, ends = self._fleet.take()
        link, self._link = self._link, None
        if link is None and not (pods or gone or ends):
            return b""
        more: dict[str, Any] = {"at": self._fleet.changed_at, "gone": gone}
        if ends:
            more["ends"] = self.ends()
        if link is not None:
            more["link"] = link
        return _change(pods, more)

    def ends(self) -> list[dict[str, Any]]:
        """Return the last bad ends, for JSON."""
        return [each._asdict() for each in self._fleet.ends.shown()]

    def _publish(self, frame: bytes) -> None:
        self._last += 1
        whole = self._numbered(frame)
        self._frames.append(whole)
        self._size += len(whole)
        while self._size > KEPT:
            self._size -= len(self._frames.popleft())
        self._new.set()
        self._new = asyncio.Event()

    def _numbered(self, frame: bytes) -> bytes:
        return b"id: %s-%d\n%s" % (self._boot.encode(), self._last, frame)

    # What the readers get

    async def stream(self, last_id: str = "") -> AsyncGenerator[bytes, None]:
        """
        Yield the events for one reader, forever.

        Args:
            last_id: The id of the last event that the reader has seen, or empty.
        """
        self.readers += 1
        try:
            seen = self._known(last_id)
            while True:
                if seen is None or seen < self._last - len(self._frames):
                    seen = self._last
                    for part in self._snapshot():
                        yield part
                elif frames := self._after(seen):
                    seen = self._last
                    yield frames
                elif not await self._next():
                    yield event("ping", {"now": self._fleet.now()})
        finally:
            self.readers -= 1

    def _known(self, last_id: str) -> int | None:
        boot, _, number = last_id.partition("-")
        if boot != self._boot or not number.isdecimal() or len(number) > 18:
            return None
        return seen if (seen := int(number)) <= self._last else None

    def _after(self, seen: int) -> bytes:
        kept = len(self._frames)
        return b"".join(itertools.islice(self._frames, kept - (self._last - seen), kept))

    async def _next(self) -> bool:
        """Wait for the next frame. Returns False if none has come for a while."""
        try:
            async with asyncio.timeout(PING):
                await self._new.wait()
        except TimeoutError:
            return False
        return True

    def _snapshot(self) -> Iterator[bytes]:
        """Yield a snapshot in parts. Pods may change in between: the frames after it say so."""
        rows = self._fleet.rows
        keys, end = list(rows), self._numbered(b"event: whole\ndata: {}\n\n")
        begin = {**self._about(), "now": self._fleet.now(), "at": self._fleet.changed_at}
        yield event("begin", begin | {"ends": self.ends()})
        for part in _parts(keys):
            yield _change([rows[key].json for key in part if key in rows], {"at": 0})
        yield end


def _parts(keys: list[Any]) -> Iterator[list[Any]]:
    return (keys[at : at + PART] for at in range(0, len(keys), PART))


def _change(pods: list[bytes], more: dict[str, Any]) -> bytes:
    rest = msgspec.json.encode(more)[1:]
    return b'event: change\ndata: {"pods":[%s],%s\n\n' % (b",".join(pods), rest)


def event(name: str, data: dict[str, Any]) -> bytes:
    """Return a server-sent event."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(data))
