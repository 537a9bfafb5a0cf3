"""Whether connections must close as soon as they are idle, which may be taken back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Closing:
    """
    Whether some connections of a server must close as soon as they are idle.

    Args:
        still: Returns whether a close that was requested still holds.
    """

    def __init__(self, still: Callable[[], bool] = lambda: True) -> None:
        self._requested = asyncio.Event()
        self._still = still

    def set(self) -> None:
        """Request that they close."""
        self._requested.set()

    def is_set(self) -> bool:
        """Return whether they must close now."""
        return self._requested.is_set() and self._still()

    async def wait(self) -> None:
        """Wait until they must close. If the request was taken back, this wait does not end."""
        await self._requested.wait()
        if not self._still():
            await asyncio.Event().wait()
