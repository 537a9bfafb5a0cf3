"""The error for failures of the ZooKeeper server."""

from __future__ import annotations

import lifecycle


class ZooKeeperFailed(lifecycle.LifecycleError):
    """
    A request to the ZooKeeper server has failed. pod-lifecycle tries again.

    Args:
        state: The reason in one or two words: unreachable, slow, untrusted, unauthorized, no file,
            forbidden, closed, taken, too large, refused or broken.
        detail: The answer of the server, or the problem.

    Attributes:
        state: The reason.
    """

    help_entry = "errors.md#zookeeper-failed"

    def __init__(self, state: str, detail: str) -> None:
        super().__init__(f"{state}: {detail}")
        self.state = state

    def again(self) -> ZooKeeperFailed:
        """Return an error of its own with the same words, for another caller."""
        return ZooKeeperFailed(self.state, str(self).removeprefix(f"{self.state}: "))
