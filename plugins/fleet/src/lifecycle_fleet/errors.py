"""The errors of the commands."""

from __future__ import annotations

import lifecycle


class FleetError(lifecycle.LifecycleError):
    """A command cannot do its work. The message says why, and what to do."""


class ApiServerError(FleetError):
    """
    A request to the API server has failed.

    Args:
        state: The kind of failure in a word or two, for example `forbidden`.
        reason: The details.

    Attributes:
        state: The kind of failure.
    """

    help_entry = "errors.md#fleet-api-server"

    def __init__(self, state: str, reason: str) -> None:
        super().__init__(f"API server: {state}: {reason}")
        self.state = state
