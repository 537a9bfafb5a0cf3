"""A buffer for a WebSocket message until it is complete, with one copy in memory."""

from __future__ import annotations

from typing import Any, Final

from lifecycle.serving.hypercorn import FrameTooLargeError, WebsocketBuffer, WebSocketMessage
from lifecycle.serving.receive_queue import memory

WIDEST: Final = 4
"""The maximum number of bytes per character."""


class MessageBuffer(WebsocketBuffer):
    """
    The buffer in which hypercorn's streams assemble messages.

    Hypercorn's own buffer copies each message, and keeps the copy while the message waits for its
    app.

    Args:
        max_length: The maximum number of bytes of a message, or of characters of a text.
    """

    def __init__(self, max_length: int) -> None:
        super().__init__(max_length)
        self._only: WebSocketMessage[Any] | None = None
        self._width = self._last = 0

    @property
    def held(self) -> int:
        """Bytes of memory of the arrived pieces, or of the last piece of a waiting message."""
        return self.length * self._width or self._last

    def extend(self, event: WebSocketMessage[Any]) -> None:
        """
        Add a piece.

        Raises:
            FrameTooLargeError: The message is too long.
        """
        size = memory(event.data)
        if event.data:
            self._width = max(self._width, min(WIDEST, size // len(event.data)))
        if self.value is None and self._only is None:
            self._only = event
            self.length = len(event.data)
            if self.length > self.max_length:
                raise FrameTooLargeError
            return
        self._last = size
        if self._only is not None:
            only, self._only, self.length = self._only, None, 0
            super().extend(only)
        super().extend(event)

    def to_message(self) -> dict[str, Any]:
        """Return the message, and keep none of it."""
        if self._only is None:
            message = super().to_message()
        else:
            data = self._only.data
            text = data if isinstance(data, str) else None
            binary = None if isinstance(data, str) else bytes(data)
            message = {"type": "websocket.receive", "bytes": binary, "text": text}
        last = self._last
        self.clear()
        self._last = last  # the code that passes the message on still has it
        return message

    def clear(self) -> None:
        """Start the next message."""
        super().clear()
        self._only = None
        self._width = self._last = 0
