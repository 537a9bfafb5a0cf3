"""
One replica, and the moments of its life.

    started    ready        T0      preStop over, SIGTERM    listener closed    exit
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
"""Seconds around the close of a listener in which its queue is seen to be reset: a client and the
rehearsal each notice the close a little late."""


class Stage(StrEnum):
    """Where in a replica's life something fell."""

    STARTING = "before it was ready"
    SERVING = "before T0"
    DRAINING = "after T0, before SIGTERM"
    STOPPING = "after SIGTERM, listener open"
    CLOSED = "after the listener closed"
    GONE = "after its exit"
    NOBODY = "with nobody to ask"


class Replica:
    """
    One replica.

    Args:
        pod: What the kubelet runs.

    Attributes:
        name: As the report names it.
        started_at: On the monotonic clock, like all that follow.
        ready_at: For the first time.
        ready_since: For the last time; None while it is not ready.
        ready_spans: From when to when it was ready, without the time that goes on.
        closed_at: Its listener was seen to be closed.
        deaf: Whether SIGTERM finds no handler, so that it is not delivered to a PID 1.
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
        """The app's."""
        return self.pod.port("http")

    @property
    def deletion(self) -> Deletion | None:
        """How it was ended."""
        return self.pod.deletion

    @property
    def deleted_at(self) -> float | None:
        """T0."""
        return self.deletion.decided_at if self.deletion else None

    def moment(self, name: str) -> float | None:
        """Return when something of its deletion happened; None if it did not."""
        since = getattr(self.deletion, name, None)
        return None if since is None or self.deletion is None else self.deletion.decided_at + since

    def serves_since(self, at: float) -> float | None:
        """Return since when it had been ready at a moment; None if it was not, or was deleted."""
        if self.deleted_at is not None and at >= self.deleted_at:
            return None
        spans = list(self.ready_spans)
        if self.ready_since is not None:
            spans.append((self.ready_since, math.inf))
        return next((began for began, ended in spans if began <= at < ended), None)

    def refused(self, at: float) -> None:
        """Note that a connection was refused: its listener was closed by then."""
        if self.deleted_at is not None and at >= self.deleted_at:
            self.closed_at = at if self.closed_at is None else min(at, self.closed_at)

    def may_have_reset_its_queue(self, at: float, late: float) -> bool:
        """
        Tell whether its listener closed at a moment, or may have.

        Args:
            at: When a client noticed the end of its connection.
            late: Seconds by which the client may have noticed it late.
        """
        if self.closed_at is None or self.deleted_at is None or at < self.deleted_at:
            return True
        return -NEARBY <= at - self.closed_at <= NEARBY + late

    def stage(self, at: float) -> Stage:
        """Return where in its life a moment falls."""
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
        """From T0 to its exit."""
        return (self.deletion and self.deletion.exited) or 0.0

    def to_json(self, zero: float) -> dict[str, Any]:
        """Return its life, in seconds since a moment; None for what did not happen."""
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
