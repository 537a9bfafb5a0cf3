"""The errors of the commands."""

from __future__ import annotations

from typing import Final

import lifecycle
from lifecycle_fleet.view.told import one_line

MOST: Final = 500
"""Characters of a reason of the API server, which may have text of anyone in it."""


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
        super().__init__(f"API server: {state}: {one_line(' '.join(reason.split()), MOST)}")
        self.state = state


class KubeconfigError(FleetError):
    """A kubeconfig cannot be used, or there is none."""

    help_entry = "errors.md#fleet-kubeconfig"


class TargetError(FleetError):
    """There is no such pod or workload."""

    help_entry = "errors.md#fleet-pod"


class InPodError(FleetError):
    """A command cannot be run in a pod, or its answer is of no use."""

    help_entry = "errors.md#fleet-in-a-pod"


class Unsafe(FleetError):
    """A command would take the last pods out of traffic."""

    help_entry = "errors.md#fleet-last-pod"


class NotBack(FleetError):
    """A pod that was taken out of traffic could not be brought back."""

    help_entry = "errors.md#fleet-not-back"


class Misused(FleetError):
    """The arguments do not fit together."""

    help_entry = "errors.md#wrong-arguments"
