"""What the kubelet says of a pod, in its own words."""

from __future__ import annotations

from typing import Final, NamedTuple

NORMAL: Final = "Normal"
WARNING: Final = "Warning"


class Event(NamedTuple):
    """
    One event, as `kubectl describe pod` shows it; every occurrence is one of its own.

    Attributes:
        type: `Normal` or `Warning`.
        reason: One word: `Unhealthy`.
        message: What `kubectl` shows.
        at: When, on the monotonic clock.
        detail: What the kubelet writes to its own log alone; empty if there is no more to say.
    """

    type: str
    reason: str
    message: str
    at: float
    detail: str = ""

    def __str__(self) -> str:
        more = f": {self.detail}" if self.detail else ""
        return f"{self.type:<8} {self.reason:<18} {self.message}{more}"
