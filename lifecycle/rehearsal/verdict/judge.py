"""
The judgement of a rehearsal: passed, lost or inconclusive. Pure.

Rules of this file:

1. A refused connection counts whatever the noise, if not every client can have noticed by then
   that the replica was leaving. Noise cannot close a listener early.
2. Any other loss counts, unless noise can explain it.
3. Without a loss that counts, the result is "passed" only if noise cannot have hidden a loss.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Final

from lifecycle.rehearsal.measuring.losses import Cause, Loss
from lifecycle.rehearsal.measuring.noise import Noise
from lifecycle.rehearsal.measuring.stalls import Stall
from lifecycle.rehearsal.measuring.tally import Tally
from lifecycle.rehearsal.plan import Traffic
from lifecycle.rehearsal.replicas.replica import Replica
from lifecycle.rehearsal.replicas.rollout import Rollout

BEFORE: Final = 0.05
"""Seconds before the drain start from which a replica is watched."""
QUIETER: Final = "Lower --rate, --clients or --busy, or rehearse on a less busy machine"


class Verdict(StrEnum):
    """The result of a rehearsal, or of a rollout, in one word."""

    PASSED = "passed"
    LOST = "lost"
    INCONCLUSIVE = "inconclusive"
    HOOK_FAILED = "hook failed"

    @property
    def exit_code(self) -> int:
        """The exit code of the command."""
        return {"passed": 0, "lost": 1, "hook failed": 2, "inconclusive": 3}[self.value]


class Judge:
    """
    Decides which losses count.

    Args:
        tally: The counts of the clients.
        replicas: All replicas, by name.
        stalls: The times when the process of the rehearsal stood still.
        traffic: The traffic.
    """

    def __init__(
        self,
        tally: Tally,
        replicas: Mapping[str, Replica],
        stalls: Iterable[Stall],
        traffic: Traffic,
    ) -> None:
        propagation = traffic.propagation
        self._tally = tally
        self._replicas = replicas
        self._own = Noise(stalls, propagation)
        self._load = Noise(tally.stalls, propagation)
        self._noise = Noise([*tally.stalls, *stalls], propagation)
        self._propagation = propagation
        self._heard = max(propagation, traffic.joining)

    def counts(self, loss: Loss) -> bool:
        """Return whether a loss is certain."""
        replica = self._replicas.get(loss.pod)
        left = replica.deleted_at if replica else None
        if loss.cause is Cause.REFUSED and left and left <= loss.at <= left + self._propagation:
            return True
        if self._tally.lateness.in_doubt:
            return False
        since = self._changes(loss.at) if replica is None else [left or loss.sent]
        began = min([*since, loss.sent])
        unheard = replica is None or self._may_be_unheard(loss, left)
        return not self._noise.may_have_lost(began, loss.sent, loss.at, unheard=unheard)

    def _may_be_unheard(self, loss: Loss, left: float | None) -> bool:
        """Return whether only a client that noticed the removal late can have sent this request."""
        return not loss.kept and left is not None and loss.sent > left + self._propagation

    def _changes(self, at: float) -> list[float]:
        """Return since when a client without an endpoint could have noticed one."""
        replicas = self._replicas.values()
        came = [since for each in replicas if (since := each.serves_since(at)) is not None]
        left = [each.deleted_at for each in replicas if each.deleted_at is not None]
        return [*came, *sorted(each for each in left if each <= at)[-1:]]

    def verdict(
        self, losses: Iterable[Loss], rollouts: Iterable[Rollout], *, hook_failed: bool
    ) -> Verdict:
        """Judge some losses, in some rollouts."""
        lost = [self.counts(each) for each in losses]
        if any(lost):
            return Verdict.LOST
        if lost or any(True for _ in self.reasons(rollouts)):
            return Verdict.INCONCLUSIVE
        return Verdict.HOOK_FAILED if hook_failed else Verdict.PASSED

    def reasons(self, rollouts: Iterable[Rollout]) -> Iterator[str]:
        """Yield why losses may have been missed, or made, one sentence each."""
        late = self._tally.lateness
        if late.in_doubt:
            yield f"the load generator sent requests late (p99 {late.quantile(0.99) * 1000:.0f} ms)"
        for reason, count in self._tally.own_errors.items():
            yield f"the load generator could not send {count:,} requests: {reason.lower()}"
        leaving = [each for rollout in rollouts for each in rollout.left]
        for who, noise in (("the load generator", self._load), ("the rehearsal", self._own)):
            spans = [(each, *self._span(each)) for each in leaving]
            found = [
                (each.name, *noise.within(began, ended))
                for each, began, ended in spans
                if self._noise.may_hide_losses(began, ended)
            ]
            found = [each for each in found if each[1]]
            if found:
                name, together, on_end = max(found, key=lambda each: each[2])
                more = f", and while {len(found) - 1:,} more left" if len(found) > 1 else ""
                yield (
                    f"{who} stood still for {together:.2f} s in all, and for {on_end:.2f} s without "
                    f"a break, while {name} left{more}"
                )

    def _span(self, replica: Replica) -> tuple[float, float]:
        """Return the span in which a replica that left could lose requests."""
        left = replica.deleted_at or 0.0
        gone = replica.moment("exited") or left
        return left - BEFORE, max(gone, left + self._heard) + BEFORE
