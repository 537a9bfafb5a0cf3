"""
A replica, and the times of its events.

    started    ready    drain start  preStop over, SIGTERM    listener closed    exit
       ├─────────┼──────────┼──────────────┼─────────────────────┼───────────────┤
        STARTING   SERVING      DRAINING         STOPPING             CLOSED       GONE
"""

from __future__ import annotations

import math
import time
from enum import StrEnum
from typing import Any, Final

from lifecycle.testing import Deletion, Pod

NEARBY: Final = 0.2
"""
Seconds around the close of a listener in which a reset counts as one of its queue. The client and
the rehearsal each notice the close a little late.
"""


class Stage(StrEnum):
    """The stage of a replica at which a request was lost."""

    STARTING = "before it was ready"
    SERVING = "before the drain start"
    DRAINING = "after the drain start, before SIGTERM"
    STOPPING = "after SIGTERM, listener open"
    CLOSED = "after the listener closed"
    GONE = "after its exit"
    NOBODY = "without an endpoint"


class Replica:
    """
    A replica.

    Args:
        pod: The pod that the kubelet runs.

    Attributes:
        name: Its name in the report.
        started_at: When it was started, on the monotonic clock (as all times here).
        ready_at: When it was ready for the first time.
        ready_since: When it was last found ready, or None while it is not ready.
        ready_spans: The spans in which it was ready, without the current one.
        closed_at: When its listener was found closed.
        deaf: Whether it has no handler for SIGTERM, so that PID 1 would not get the signal.
    """

    def __init__(self, pod: Pod) -> None:
        self.pod = pod
        self.name = pod.name
        self.started_at = time.monotonic()
        self.ready_at: float | None = None
        self.ready_since: float | None = None
        self.ready_spans: list[tuple[float, float]] = []
        self.closed_at: float | None = None
        self.deaf = False
        pod.subscribe(self._changed)

    def _changed(self) -> None:
        if not self.pod.ready:
            if self.ready_since is not None:
                self.ready_spans.append((self.ready_since, time.monotonic()))
            self.ready_since = None
        elif self.ready_since is None:
            self.ready_since = time.monotonic()
            self.ready_at = self.ready_at or self.ready_since

    @property
    def port(self) -> int:
        """The app's port."""
        return self.pod.port("http")

    @property
    def deletion(self) -> Deletion | None:
        """The deletion of its pod, or None before that."""
        return self.pod.deletion

    @property
    def deleted_at(self) -> float | None:
        """When its pod was deleted, which starts the drain, or None before that."""
        return self.deletion.decided_at if self.deletion else None

    def moment(self, name: str) -> float | None:
        """Return the time of an event of its deletion, or None if the event did not happen."""
        since = getattr(self.deletion, name, None)
        return None if since is None or self.deletion is None else self.deletion.decided_at + since

    def serves_since(self, at: float) -> float | None:
        """Return since when it was ready at a given time, or None if it was not, or was deleted."""
        if self.deleted_at is not None and at >= self.deleted_at:
            return None
        spans = list(self.ready_spans)
        if self.ready_since is not None:
            spans.append((self.ready_since, math.inf))
        return next((began for began, ended in spans if began <= at < ended), None)

    def refused(self, at: float) -> None:
        """Note that a connection was refused, so the listener was closed by then."""
        if self.deleted_at is not None and at >= self.deleted_at:
            self.closed_at = at if self.closed_at is None else min(at, self.closed_at)

    def may_have_reset_its_queue(self, at: float, late: float) -> bool:
        """
        Return whether its listener closed, or may have closed, at a given time.

        Args:
            at: When a client noticed the end of its connection.
            late: Seconds by which the client may have noticed it late.
        """
        if self.closed_at is None or self.deleted_at is None or at < self.deleted_at:
            return True
        return -NEARBY <= at - self.closed_at <= NEARBY + late

    def stage(self, at: float) -> Stage:
        """Return its stage at a given time."""
        later = (
            (Stage.GONE, self.moment("exited")),
            (Stage.CLOSED, self.closed_at),
            (Stage.STOPPING, self.moment("sigterm")),
            (Stage.DRAINING, self.deleted_at),
            (Stage.SERVING, self.ready_at),
        )
        return next(
            (stage for stage, since in later if since is not None and at >= since), Stage.STARTING
        )

    @property
    def seconds(self) -> float:
        """Seconds from the drain start to its exit."""
        return (self.deletion and self.deletion.exited) or 0.0

    def to_json(self, zero: float) -> dict[str, Any]:
        """Return its events, in seconds since a given time, or None if one did not happen."""
        moments = {
            "started": self.started_at,
            "ready": self.ready_at,
            "deleted": self.deleted_at,
            "prestop_started": self.moment("pre_stop_started"),
            "prestop_ended": self.moment("pre_stop_ended"),
            "sigterm": self.moment("sigterm"),
            "listener_closed": self.closed_at,
            "sigkill": self.moment("sigkill"),
            "exited": self.moment("exited"),
        }
        return {
            "name": self.name,
            "seconds": round(self.seconds, 3),
            "exit_code": self.deletion.exit_code if self.deletion else None,
            "killed": self.deletion.killed if self.deletion else False,
            **{name: None if at is None else round(at - zero, 3) for name, at in moments.items()},
        }
