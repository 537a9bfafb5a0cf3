"""The kubelet's events about a pod, in the kubelet's own words."""

from __future__ import annotations

from typing import Final, NamedTuple

NORMAL: Final = "Normal"
WARNING: Final = "Warning"


class Event(NamedTuple):
    """
    One event, as `kubectl describe pod` shows it. Repeated events are not merged.

    Attributes:
        type: `Normal` or `Warning`.
        reason: One word, for example `Unhealthy`.
        message: The message that `kubectl` shows.
        at: When it happened, on the monotonic clock.
        detail: A text that the kubelet writes only to its own log, or "" if there is none.
    """

    type: str
    reason: str
    message: str
    at: float
    detail: str = ""

    def __str__(self) -> str:
        more = f": {self.detail}" if self.detail else ""
        return f"{self.type:<8} {self.reason:<18} {self.message}{more}"
