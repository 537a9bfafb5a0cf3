"""The result of a rehearsal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from lifecycle.rehearsal.measuring.losses import Cause, Loss
from lifecycle.rehearsal.measuring.stalls import Stall
from lifecycle.rehearsal.measuring.tally import Tally
from lifecycle.rehearsal.replicas.replica import Replica, Stage
from lifecycle.rehearsal.replicas.rollout import Rollout
from lifecycle.rehearsal.replicas.statuses import change_for
from lifecycle.rehearsal.replicas.template import Template
from lifecycle.rehearsal.verdict.advice import Advice, Circumstances, advise
from lifecycle.rehearsal.verdict.judge import QUIETER, Judge, Verdict
from lifecycle.version import VERSION

TERMINATED: Final = 143
SLACK: Final = 0.2
"""Seconds by which the last client may notice a replica late."""
WHY_DEAF: Final = (
    "The process has no handler for SIGTERM, so the kernel does not deliver SIGTERM to it as PID 1 of "
    "a container. If it is a shell, start its last command with exec"
)


@dataclass
class LossGroup:
    """
    Losses of one kind.

    Attributes:
        cause: How they were lost.
        kept: Whether they were lost on keep-alive connections.
        protocol: The protocol.
        advice: Why, and what to change.
        stages: How many were lost in each stage of their replica.
        losses: Each loss, with the seconds since the drain start of its replica.
    """

    cause: Cause
    kept: bool
    protocol: str
    advice: Advice
    stages: Counter[Stage] = field(default_factory=Counter)
    losses: list[tuple[Loss, float | None]] = field(default_factory=list)

    @property
    def when(self) -> str:
        """The stages of their replicas, in words."""
        stages = self.stages.most_common()
        if len(stages) == 1:
            return stages[0][0]
        return ", ".join(f"{count:,} {stage}" for stage, count in stages)

    @property
    def connection(self) -> str:
        """The kind of connection: new or kept."""
        return "kept" if self.kept else "new"

    @property
    def connections(self) -> str:
        """The kind of connections, in words."""
        return "keep-alive connections" if self.kept else "new connections"

    def from_t0(self) -> tuple[float, float] | None:
        """Return the first and the last loss, in seconds since the drain start, or None if none."""
        seconds = [since for _, since in self.losses if since is not None]
        return (min(seconds), max(seconds)) if seconds else None

    def span(self) -> str:
        """Return when the first and the last loss were, in words. Empty if there is no drain start."""
        ends = self.from_t0()
        if ends is None:
            return ""
        first, last = (round(each, 2) for each in ends)
        if first < 0 <= last:
            return f"{-first:.2f} s before to {last:.2f} s after the drain start"
        side = "before" if last < 0 else "after"
        seconds = f"{abs(first):.2f}" + (f" to {abs(last):.2f}" if first != last else "")
        return f"{seconds} s {side} the drain start"

    def to_json(self) -> dict[str, Any]:
        """Return the group for `--json`."""
        span = self.from_t0()
        return {
            "cause": self.cause,
            "connection": self.connection,
            "protocol": self.protocol,
            "when": dict(self.stages),
            "count": len(self.losses),
            "first_from_t0": round(span[0], 3) if span else None,
            "last_from_t0": round(span[1], 3) if span else None,
            "why": self.advice.why,
            "change": self.advice.change,
            "details": sorted({loss.detail for loss, _ in self.losses})[:5],
        }


@dataclass
class Result:
    """
    The result of a rehearsal.

    Attributes:
        template: The template of the replicas.
        tally: The counts of the clients.
        replicas: All replicas.
        rollouts: All rollouts.
        processes: The number of processes of the load generator.
        zero: When the load started, on the monotonic clock.
        ended: When the load was over.
        stalls: The times when the process of the rehearsal stood still.
    """

    template: Template
    tally: Tally
    replicas: list[Replica]
    rollouts: list[Rollout]
    processes: int
    zero: float
    ended: float
    stalls: list[Stall] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._by_name = {each.name: each for each in self.replicas}
        for loss in self.tally.losses:
            replica = self._by_name.get(loss.pod)
            if loss.cause is Cause.REFUSED and replica is not None:
                replica.refused(loss.at)
        self.tally.losses = [self._where_it_waited(each) for each in self.tally.losses]
        traffic = self.template.plan.traffic
        self.judge = Judge(self.tally, self._by_name, self.stalls, traffic)

    def _where_it_waited(self, loss: Loss) -> Loss:
        """Correct the cause of a loss: only a listener that closes can reset its queue."""
        replica = self._by_name.get(loss.pod)
        traffic = self.template.plan.traffic
        late = traffic.rtt + traffic.first_after
        if (
            loss.cause is not Cause.QUEUE
            or replica is None
            or replica.may_have_reset_its_queue(loss.at, late)
        ):
            return loss
        return loss.outside_of_the_queue()

    @property
    def verdict(self) -> Verdict:
        """The result of the whole rehearsal, in one word."""
        failed = bool(self.failed_hooks(self.replicas))
        return self.judge.verdict(self.tally.losses, self.rollouts, hook_failed=failed)

    def verdict_of(self, rollout: Rollout) -> Verdict:
        """Return the result of one rollout, in one word."""
        failed = bool(self.failed_hooks(rollout.left))
        losses = [each for each in self.tally.losses if rollout.began <= each.at < rollout.ended]
        return self.judge.verdict(losses, [rollout], hook_failed=failed)

    @property
    def doubtful(self) -> int:
        """The number of losses that noise on the machine can explain."""
        return sum(not self.judge.counts(each) for each in self.tally.losses)

    def headline(self) -> str:
        """Return the result in one sentence."""
        lost = f"lost {self.lost:,} of {self.tally.requests:,} requests"
        match self.verdict:
            case Verdict.LOST:
                return lost
            case Verdict.INCONCLUSIVE:
                return f"INCONCLUSIVE: {lost if self.lost else 'nothing was lost'}, but the machine was too noisy to tell"
            case Verdict.HOOK_FAILED:
                return "nothing was lost, BUT THE PRESTOP HOOK FAILED"
        return "nothing was lost"

    def why_inconclusive(
        self, losses: list[Loss] | None = None, rollouts: list[Rollout] | None = None
    ) -> list[str]:
        """
        Return why the result is in doubt, and what to do, one sentence each, or [] if it is not.

        Args:
            losses: The losses to consider, or None for all.
            rollouts: The rollouts to consider, or None for all.
        """
        losses = self.tally.losses if losses is None else losses
        reasons = list(self.judge.reasons(self.rollouts if rollouts is None else rollouts))
        if doubtful := sum(not self.judge.counts(each) for each in losses):
            reasons.append(
                f"noise on this machine can explain {doubtful:,} of {len(losses):,} lost requests"
            )
        return [f"{each}. {QUIETER}" for each in reasons]

    @staticmethod
    def failed_hooks(replicas: list[Replica]) -> list[Replica]:
        """Return the replicas whose preStop hook failed, could not be run, or was refused."""
        return [each for each in replicas if _why_no_hook(each)]

    @property
    def lost(self) -> int:
        """The number of lost requests."""
        return len(self.tally.losses)

    def lost_in(self, rollout: Rollout) -> int:
        """Return how many requests were lost in a rollout."""
        return sum(rollout.began <= loss.at < rollout.ended for loss in self.tally.losses)

    @property
    def lost_outside(self) -> int:
        """The number of requests lost before, after or between the rollouts."""
        return self.lost - sum(self.lost_in(each) for each in self.rollouts)

    def _was_unheard_of(self, at: float) -> bool:
        """Return whether a replica was ready at a time when not every client had noticed it."""
        joining = self.template.plan.traffic.joining + SLACK
        began = [each.serves_since(at) for each in self.replicas]
        return any(since is not None and at - since <= joining for since in began)

    def stage(self, loss: Loss) -> Stage:
        """Return the stage of its replica in which a loss happened."""
        replica = self._by_name.get(loss.pod)
        if replica is None:
            return Stage.NOBODY
        return replica.stage(loss.sent if loss.cause is Cause.TIMEOUT else loss.at)

    def since_t0(self, loss: Loss) -> float | None:
        """Return the seconds from its replica's drain start to a loss."""
        replica = self._by_name.get(loss.pod)
        at = replica.deleted_at if replica is not None else None
        return None if at is None else loss.at - at

    def groups(self, losses: Iterable[Loss] | None = None) -> list[LossGroup]:
        """Return all or some losses, grouped by kind, the most frequent kind first."""
        plan = self.template.plan
        found: dict[tuple[Cause, bool, str, Advice], LossGroup] = {}
        for loss in self.tally.losses if losses is None else losses:
            replica = self._by_name.get(loss.pod)
            sigkill = replica.moment("sigkill") if replica is not None else None
            killed = sigkill is not None and loss.at >= sigkill
            stage = self.stage(loss)
            given = Circumstances(
                self.template.qos,
                plan.traffic.propagation,
                plan.grace,
                killed,
                plan.traffic.joining,
                unheard=self._was_unheard_of(loss.at),
                method=plan.traffic.verb,
                wrapped=plan.is_wrapped,
                instrumented=plan.is_instrumented,
            )
            advice = advise(loss.cause, stage, given, kept=loss.kept)
            key = (loss.cause, loss.kept, loss.protocol, advice)
            group = found.setdefault(key, LossGroup(*key))
            group.stages[stage] += 1
            group.losses.append((loss, self.since_t0(loss)))
        return sorted(found.values(), key=lambda group: -len(group.losses))

    def findings(self) -> list[str]:
        """Return what else was found, one sentence each."""
        return [*self.why_inconclusive(), *self._about_replicas(), *self._about_answers()]

    def why_hook_failed(self, replicas: list[Replica]) -> list[str]:
        """Return why the hooks of some replicas failed, and what to do, or [] if none failed."""
        failed = self.failed_hooks(replicas)
        if not failed:
            return []
        reasons = {_why_no_hook(each) for each in failed}
        return [
            f"THE PRESTOP HOOK FAILED ({self.template.hook.name}) for {_names(failed)}: "
            f"{'; '.join(sorted(reasons)[:3])}. These replicas drained on SIGTERM, not on the "
            "hook. Fix the hook, or choose another one with --prestop"
        ]

    def _about_replicas(self) -> Iterator[str]:
        grace = self.template.plan.grace
        killed = [each for each in self.replicas if each.deletion and each.deletion.killed]
        if killed:
            deaf = any(each.deaf for each in killed)
            why = WHY_DEAF if deaf else "The process did not end by itself"
            yield f"{_names(killed)} needed SIGKILL after {grace:g} s. {why}"
        if late := [each for each in self.replicas if each.deaf and each not in killed]:
            seconds = max(each.seconds for each in late)
            yield f"{_names(late)} got no SIGTERM, and ended after {seconds:.0f} s. {WHY_DEAF}"
        yield from self.why_hook_failed(self.replicas)
        crashed = [each for each in self.replicas if each.pod.restart_count]
        if crashed:
            codes = ", ".join(str(code) for each in crashed for code in _crashes(each))
            yield f"unexpected exit and restart of {_names(crashed)} (exit code {codes})"
        bad = [
            each
            for each in self.replicas
            if each.deletion
            and not each.deletion.killed
            and each.deletion.exit_code not in (None, 0, TERMINATED)
        ]
        if bad:
            codes = ", ".join(
                sorted({str(each.deletion.exit_code) for each in bad if each.deletion})
            )
            yield f"{_names(bad)} ended with exit code {codes}"

    def _about_answers(self) -> Iterator[str]:
        traffic = self.template.plan.traffic
        plain = traffic.verb == "GET" and not traffic.body_size
        options = "--path" if plain else "--path, --method and --body-size"
        for status, count in sorted(self.tally.statuses.items()):
            change = change_for(status)
            if change or 400 <= status < 500:
                advice = f"Check {options}{f'. {change}' if change else ''}"
                yield f"{count:,} requests were answered with {status}. {advice}"
        again = any(kept for _, _, kept in self.tally.answers)
        if self.template.plan.traffic.keepers and self.tally.answers and not again:
            yield "no connection was kept alive: the server closed each one after its first answer"

    def to_json(self) -> dict[str, Any]:
        """Return the whole result for `--json`."""
        tally, plan, late = self.tally, self.template.plan, self.tally.lateness
        return {
            "version": VERSION,
            "verdict": self.verdict,
            "inconclusive_because": self.why_inconclusive(),
            "command": list(plan.command),
            "ready": self.template.readiness,
            "prestop": self.template.hook.name,
            "requests": tally.requests,
            "lost": self.lost,
            "lost_in_doubt": self.doubtful,
            "lost_new": tally.lost(kept=False),
            "lost_kept": tally.lost(kept=True),
            "kept_found_closed": tally.closed_idle,
            "repeated": tally.repeated,
            "longest": round(tally.longest, 3),
            "seconds": round(self.ended - self.zero, 3),
            "statuses": {str(status): n for status, n in sorted(tally.statuses.items())},
            "causes": [group.to_json() for group in self.groups()],
            "findings": self.findings(),
            "rollouts": [each.to_json(self.zero) for each in self.rollouts],
            "traffic": plan.traffic.to_json(),
            "load_generator": {
                "processes": self.processes,
                "scheduled": late.count,
                "late_p50_ms": round(late.quantile(0.5) * 1000, 2),
                "late_p99_ms": round(late.quantile(0.99) * 1000, 2),
                "late_max_ms": round(late.longest * 1000, 2),
                "in_doubt": late.in_doubt,
                "own_errors": dict(tally.own_errors),
                "stalls": _stalls(tally.stalls),
                "stalls_of_the_rehearsal": _stalls(self.stalls),
            },
        }


def _why_no_hook(replica: Replica) -> str:
    """Return why a replica's drain did not start with its hook, or "" if it did."""
    deletion = replica.deletion
    status = deletion.pre_stop_status if deletion else None
    if status is not None and status >= 400:
        return f"the answer was {status}, which the kubelet ignores"
    return deletion.pre_stop_error if deletion else ""


def _stalls(stalls: list[Stall]) -> dict[str, float]:
    seconds = [each.ended - each.began for each in stalls]
    longest = max(seconds, default=0.0)
    return {"count": len(stalls), "seconds": round(sum(seconds), 3), "longest": round(longest, 3)}


def _crashes(replica: Replica) -> list[int]:
    return replica.pod.exit_codes[: replica.pod.restart_count]


def _names(replicas: list[Replica]) -> str:
    names = [each.name for each in replicas]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
