"""What the rolling updates have lost: a line for each Deployment and kind of client."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from lifecycle.rehearsal.measuring.tally import Tally
from tests.e2e.rollout import Seen

ROWS: Final = "rollouts"
HEADER: Final = (
    *("DEPLOYMENT", "REACHED BY", "ROLLOUTS", "REQUESTS"),
    *("LOST NEW", "LOST KEPT", "A ROLLOUT TOOK"),
)


@dataclass(frozen=True)
class Rolled:
    """
    What came of rolling a Deployment over.

    Attributes:
        seconds: Of each rollout.
        tallies: What the clients have seen, by kind.
        pods: Every one.
        events: What the cluster has noted: reason and message.
    """

    name: str
    seconds: Sequence[float]
    tallies: Mapping[str, Tally]
    pods: Sequence[Seen]
    events: Sequence[tuple[str, str]]

    @property
    def lost(self) -> int:
        """How many requests were lost, of all clients."""
        return sum(len(each.losses) for each in self.tallies.values())

    def rows(self) -> list[list[str]]:
        """Return its lines of the table."""
        took = f"{statistics.median(self.seconds):.1f} s, at most {max(self.seconds):.1f} s"
        return [
            [
                self.name,
                kind,
                f"{len(self.seconds)}",
                f"{tally.requests:,}",
                f"{tally.lost(kept=False):,}",
                f"{tally.lost(kept=True):,}",
                took,
            ]
            for kind, tally in self.tallies.items()
        ]

    def describe(self) -> str:
        """Return each loss and the moments of each pod, in the order of the clock."""
        now, monotonic = time.time(), time.monotonic()
        told = [
            f"{_clock(loss.at - monotonic + now)} {kind}: {'kept' if loss.kept else 'new'} "
            f"{loss.path} {loss.cause}: {loss.detail}, sent {_clock(loss.sent - monotonic + now)}"
            for kind, tally in self.tallies.items()
            for loss in tally.losses
        ]
        told += [f"{at} {pod.name} {what}" for pod in self.pods for what, at in pod.moments.items()]
        return "\n".join(sorted(told))


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
