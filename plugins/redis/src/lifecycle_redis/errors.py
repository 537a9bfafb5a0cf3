"""The error for failures of the Redis server."""

from __future__ import annotations

import lifecycle


class RedisFailed(lifecycle.LifecycleError):
    """
    A request to the Redis server has failed. pod-lifecycle tries again.

    Args:
        state: The reason in one or two words: unreachable, slow, untrusted, unauthorized, no file,
            forbidden, loading, read-only, out of memory, busy, cluster, taken or refused.
        detail: The answer of the server, or the problem.

    Attributes:
        state: The reason.
        disconnects: Whether another connection, or another server, may help.
    """

    help_entry = "errors.md#redis-failed"

    def __init__(self, state: str, detail: str, *, disconnects: bool = False) -> None:
        super().__init__(f"{state}: {detail}")
        self.state = state
        self.disconnects = disconnects

    def again(self) -> RedisFailed:
        """Return an error of its own with the same words, for another caller."""
        detail = str(self).removeprefix(f"{self.state}: ")
        return RedisFailed(self.state, detail, disconnects=self.disconnects)
