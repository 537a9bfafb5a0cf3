"""What can go wrong with the API server."""

from __future__ import annotations

import lifecycle


class ApiServerError(lifecycle.LifecycleError):
    """
    The API server has not done what it was asked; the core tries again.

    Attributes:
        state: Why, in a word: unreachable, untrusted, slow, forbidden, unauthorized, conflict, expired, …
    """

    def __init__(self, state: str, detail: str) -> None:
        super().__init__(f"{state}: {detail}")
        self.state = state
