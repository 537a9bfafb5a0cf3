"""The kubelet's delay before it restarts a container. Pure: it has no clock."""

from __future__ import annotations

from typing import Final

FIRST: Final = 10.0
LONGEST: Final = 300.0


class CrashLoop:
    """
    The back-off of one container: no delay the first time, then doubled up to the longest.

    Args:
        first: Seconds before the second restart.
        longest: The longest delay in seconds. After twice that time without an exit, the
            back-off starts again from the beginning.
    """

    def __init__(self, first: float = FIRST, longest: float = LONGEST) -> None:
        self._first = first
        self._longest = longest
        self._delay = 0.0
        self._updated = 0.0

    def wait_until(self, exited_at: float) -> float:
        """Return when a container that exited at the given time may be started."""
        return exited_at + (0.0 if self._forgotten(exited_at) else self._delay)

    def restarted(self, exited_at: float, now: float) -> None:
        """Note that the container is restarted."""
        known = self._delay and not self._forgotten(exited_at)
        self._delay = min(self._delay * 2 if known else self._first, self._longest)
        self._updated = now

    def _forgotten(self, at: float) -> bool:
        return at - self._updated > 2 * self._longest
