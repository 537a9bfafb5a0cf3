"""The unfinished requests of an HTTP/2 connection, and whether its client may start more."""

from __future__ import annotations

from lifecycle.serving.http2.stream import Stream
from lifecycle.serving.http2.unread_bodies import UnreadBodies


class OpenStreams(dict[int, Stream]):
    """
    The unfinished requests of one connection, by their numbers.

    Args:
        most: The maximum number of requests at a time.
        unread_bodies: The answered requests whose client has not ended the body.

    Attributes:
        running: How many apps run, including those of cancelled requests.
    """

    def __init__(self, most: int, unread_bodies: UnreadBodies) -> None:
        super().__init__()
        self.running = 0
        self._most = most
        self._unread_bodies = unread_bodies

    @property
    def busy(self) -> bool:
        """True while a request is unanswered, not fully sent, or not fully received."""
        return bool(len(self) or self.running or len(self._unread_bodies))

    @property
    def answered(self) -> bool:
        """True if all requests wait only for their client."""
        begun = all(stream.begun for stream in self.values())
        return self.busy and begun and not self.running

    @property
    def too_many(self) -> bool:
        """True if the latest request is above the limit."""
        return self._one_too_many or self.running >= 2 * self._most

    @property
    def _one_too_many(self) -> bool:
        """True if the client has too many requests. It may not have received the limit yet."""
        if len(self) + len(self._unread_bodies) <= self._most:
            return False
        mine = sum(stream.open for stream in self.values())
        return mine + len(self._unread_bodies) > self._most
