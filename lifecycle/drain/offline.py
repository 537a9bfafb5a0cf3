"""`Offline`: the argument of the hook `lifecycle_offline`."""

from __future__ import annotations

from lifecycle.calls.moment import Moment


class Offline:
    """
    Every app service is offline. The hook `lifecycle_offline` gets it as an argument.

    Use its methods on any event loop.
    """

    def __init__(self, began: float, settles_at: float) -> None:
        self.began = began
        self.settles_at = settles_at
        self.settle_passed: Moment[None] = Moment()

    async def settled(self) -> None:
        """Wait until `settle` is over. After that, close your idle connections."""
        await self.settle_passed.wait()
