"""
The events that wait to be sent, with the limit for a pod.

Rules of this file:

1. At most `PER_MINUTE` events are sent in any 60 s, also after an outage of the API server, when
   events have waited. So no more than this number may wait.
2. Events that may repeat have a smaller limit, so that they never take the place of another one.
3. An event that is refused is counted, and the next one has the number in its message.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from typing import Final

from lifecycle_kubernetes.event_names import REPEATED
from lifecycle_kubernetes.events import Event, as_message

PER_MINUTE: Final = 10
"""Events of one pod in a minute."""
REPEATED_PER_MINUTE: Final = 4
"""Those that may repeat. The six others come once, and so always find a place."""
MINUTE: Final = 60.0


class Outbox:
    """
    The waiting events.

    Args:
        wanted: The names of the events to send. Other events are ignored.
    """

    def __init__(self, wanted: Collection[str]) -> None:
        self._wanted = wanted
        self._waiting: deque[tuple[float, Event]] = deque()
        self._sent: deque[tuple[float, Event]] = deque()
        self._left_out = 0

    @property
    def first(self) -> Event | None:
        """The next event to send."""
        return self._waiting[0][1] if self._waiting else None

    @property
    def since(self) -> float:
        """The time at which the next event was put in."""
        return self._waiting[0][0]

    def put(self, event: Event, now: float) -> bool:
        """
        Add an event, unless the limit is reached.

        Args:
            event: The event.
            now: The time on a monotonic clock.

        Returns:
            True if the event will be sent.
        """
        if event.reason not in self._wanted:
            return False
        while self._sent and self._sent[0][0] <= now - MINUTE:
            self._sent.popleft()
        counted = [each.reason in REPEATED for _, each in (*self._sent, *self._waiting)]
        full = len(counted) >= PER_MINUTE
        if full or (event.reason in REPEATED and sum(counted) >= REPEATED_PER_MINUTE):
            self._left_out += 1
            return False
        message = as_message(event.message, self._left_out)
        self._left_out = 0
        self._waiting.append((now, event._replace(message=message)))
        return True

    def sent(self, now: float) -> None:
        """Remove the first event, because the API server has it, or will never take it."""
        _, event = self._waiting.popleft()
        self._sent.append((now, event))

    def close(self) -> None:
        """Remove all events, and ignore further ones."""
        self._wanted = ()
        self._waiting.clear()
