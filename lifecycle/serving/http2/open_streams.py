"""Which requests of an HTTP/2 connection are not over, and whether its client may have more."""

from __future__ import annotations

from lifecycle.serving.http2.stream import Stream
from lifecycle.serving.http2.unread_bodies import UnreadBodies


class OpenStreams(dict[int, Stream]):
    """
    Those of one connection, by their numbers.

    Args:
        most: How many a client may have at a time.
        unread_bodies: The requests that are answered, and that their client has not ended.

    Attributes:
        running: How many apps run, also for clients who have taken their requests back.
    """

    def __init__(self, most: int, unread_bodies: UnreadBodies) -> None:
        super().__init__()
        self.running = 0
        self._most = most
        self._unread_bodies = unread_bodies

    @property
    def busy(self) -> bool:
        """True while there is a request: unanswered, not all taken or not all heard."""
        return bool(len(self) or self.running or len(self._unread_bodies))

    @property
    def answered(self) -> bool:
        """True if it is only their client that those there are wait for."""
        begun = all(stream.begun for stream in self.values())
        return self.busy and begun and not self.running

    @property
    def too_many(self) -> bool:
        """True if the latest one is more than is served."""
        return self._one_too_many or self.running >= 2 * self._most

    @property
    def _one_too_many(self) -> bool:
        """True if the client has more requests than it may: it may not know yet how many."""
        if len(self) + len(self._unread_bodies) <= self._most:
            return False
        mine = sum(stream.open for stream in self.values())
        return mine + len(self._unread_bodies) > self._most
