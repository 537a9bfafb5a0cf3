"""The counts of what the clients have seen, sent to the parent process ten times per second."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from lifecycle.rehearsal.measuring.lateness import Lateness
from lifecycle.rehearsal.measuring.losses import Loss
from lifecycle.rehearsal.measuring.stalls import Stall

BUCKET: Final = 0.1
"""Seconds in which requests are counted together."""


@dataclass
class Tally:
    """
    The counts of one process, or of all.

    Attributes:
        requests: Requests that were started. The repetition of a declined request does not count.
        answers: Answered requests, by bucket, pod and whether the connection was kept alive.
        statuses: Answered requests, by status.
        losses: All losses.
        closed_idle: Keep-alive connections that were found closed before a request was written.
        repeated: Requests sent again, because the server had declined them, or had ended the
            session properly.
        own_errors: Requests that the load generator itself could not send, by reason.
        longest: Seconds of the longest whole answer.
        lateness: The delays of the load generator.
        known: How many clients of all processes saw a pod, by moment.
        stalls: The times when a process of the load generator stood still.
    """

    requests: int = 0
    answers: Counter[tuple[int, str, bool]] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    losses: list[Loss] = field(default_factory=list)
    closed_idle: int = 0
    repeated: int = 0
    own_errors: Counter[str] = field(default_factory=Counter)
    longest: float = 0.0
    lateness: Lateness = field(default_factory=Lateness)
    known: Counter[tuple[int, str]] = field(default_factory=Counter)
    stalls: list[Stall] = field(default_factory=list)

    def merge(self, other: Tally) -> None:
        """Add the counts of another tally."""
        self.requests += other.requests
        self.answers.update(other.answers)
        self.statuses.update(other.statuses)
        self.losses += other.losses
        self.closed_idle += other.closed_idle
        self.repeated += other.repeated
        self.own_errors.update(other.own_errors)
        self.longest = max(self.longest, other.longest)
        self.lateness.merge(other.lateness)
        self.known.update(other.known)
        self.stalls += other.stalls

    def lost(self, *, kept: bool) -> int:
        """Return how many requests on keep-alive or new connections were lost."""
        return sum(loss.kept == kept for loss in self.losses)

    def to_json(self) -> dict[str, Any]:
        """Return the value that `from_json` takes."""
        return {
            "requests": self.requests,
            "answers": [[*key, count] for key, count in self.answers.items()],
            "statuses": [[*pair] for pair in self.statuses.items()],
            "losses": [loss.to_json() for loss in self.losses],
            "closed_idle": self.closed_idle,
            "repeated": self.repeated,
            "own_errors": dict(self.own_errors),
            "longest": self.longest,
            "lateness": self.lateness.to_json(),
            "known": [[*key, count] for key, count in self.known.items()],
            "stalls": self.stalls,
        }

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Tally:
        """Make a tally from the value of `to_json`."""
        return cls(
            requests=fields["requests"],
            answers=Counter({(b, pod, kept): n for b, pod, kept, n in fields["answers"]}),
            statuses=Counter(dict(fields["statuses"])),
            losses=[Loss.from_json(each) for each in fields["losses"]],
            closed_idle=fields["closed_idle"],
            repeated=fields["repeated"],
            own_errors=Counter(fields["own_errors"]),
            longest=fields["longest"],
            lateness=Lateness.from_json(*fields["lateness"]),
            known=Counter({(b, pod): n for b, pod, n in fields["known"]}),
            stalls=[Stall(*pair) for pair in fields["stalls"]],
        )
