"""The error for failures of the API server."""

from __future__ import annotations

import lifecycle


class ApiServerError(lifecycle.LifecycleError):
    """
    A request to the API server has failed. pod-lifecycle tries again.

    Attributes:
        state: The reason in one or two words: unreachable, untrusted, slow, forbidden,
            unauthorized, conflict, expired and others.
    """

    help_entry = "errors.md#api-server-failed"

    def __init__(self, state: str, detail: str) -> None:
        super().__init__(f"{state}: {detail}")
        self.state = state
