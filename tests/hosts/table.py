"""What rolling each host over has shown, a line a host: read after `make rehearsals`."""

from __future__ import annotations

from typing import Final

from lifecycle.rehearsal.verdict.result import Result
from tests.hosts.hosts import Host
from tests.process.rollout import QUIET

ROWS: Final = "hosts"
HEADER: Final = (
    *("HOST", "ROLLOUTS", "REQUESTS", "LOST NEW", "LOST KEPT"),
    *("LONGEST REQUEST", "WORST OVER"),
)


def row(host: Host, result: Result) -> list[str]:
    """
    Return the line of one host.

    Its last column is by how much the slowest replica was out later than settle, quiet and
    the longest request together: what was promised is 0.2 s, and an interpreter has to end.
    """
    tally = result.tally
    out = max(each.seconds for rollout in result.rollouts for each in rollout.left)
    over = out - (host.settle + QUIET + tally.longest)
    return [
        host.name,
        f"{len(result.rollouts)}",
        f"{tally.requests:,}",
        f"{tally.lost(kept=False):,}",
        f"{tally.lost(kept=True):,}",
        f"{tally.longest:.2f} s",
        f"{over:+.2f} s",
    ]
