"""
One watch of a rollout, from its start to its end.

Rules of this file:

1. The watches run before anything is changed.
2. If this session ends before the gate has opened, for any reason, the rollout is undone. So the
   Deployment does not stay paused. If that fails, the error names the commands that do it.
3. While something is not watched, for example the Events about failed hooks, nothing counts as clean.
   The gate does not open, and the rollout does not end.
4. Nothing polls. The loop waits for a change, or for the next moment that something has been set for.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final, NamedTuple

from lifecycle_fleet.cluster.api import Api
from lifecycle_fleet.cluster.kinds import DEPLOYMENT
from lifecycle_fleet.errors import FleetError
from lifecycle_fleet.rollout import patches, workload
from lifecycle_fleet.rollout.control import Changed, Control
from lifecycle_fleet.rollout.display.progress import Display
from lifecycle_fleet.rollout.fold import Fold
from lifecycle_fleet.rollout.gate import SETTLE, Decision, Gate, Order, Step
from lifecycle_fleet.rollout.pods import Phase
from lifecycle_fleet.rollout.result import Rollout, Verdict, alive, counts
from lifecycle_fleet.rollout.watching import Watching, watched

Object = dict[str, Any]

TICK: Final = 0.25
"""Seconds between two updates of a live display."""


class Refused(FleetError):
    """The Deployment is not in a state for the options. Nothing was changed."""

    help_entry = "errors.md#fleet-rollout-refused"


class NotReleased(FleetError):
    """The gate could not resume or undo the Deployment."""

    help_entry = "errors.md#fleet-rollout-paused"


class Plan(NamedTuple):
    """
    The options of the command.

    Attributes:
        namespace: The namespace of the Deployment.
        name: Its name.
        where: The options that name the cluster and the namespace, for commands to copy.
        restart: Whether to restart it.
        wait: Whether to wait for a rollout if none is running.
        timeout: The seconds that it may take. None for the default.
        gate: The seconds for which the first new pod must be ready. None without a gate.
    """

    namespace: str
    name: str
    where: str = ""
    restart: bool = False
    wait: bool = False
    timeout: float | None = None
    gate: float | None = None


class Session:
    """
    Watches one rollout.

    Args:
        api: The API server.
        plan: The options of the command.
        display: The display.

    Attributes:
        last: The rollout as it was last seen. None before.
        begun: Whether there is something to tell of it.
    """

    def __init__(self, api: Api, plan: Plan, display: Display) -> None:
        self.last: Rollout | None = None
        self.begun = False
        self._api = api
        self._plan = plan
        self._display = display
        self._fold = Fold(plan.namespace, plan.name)
        self._control = Control(api, self._fold, plan.namespace, plan.name)
        self._gate: Gate | None = None
        self._template: Object = {}
        self._former: Object = {}
        self._undone = False
        self._problem = ""
        self._blind = 0.0

    async def run(self) -> Rollout:
        """
        Watch until the end, and return the rollout.

        Raises:
            Refused: The Deployment is not in a state for the options.
            FleetError: A request to the API server has failed.
        """
        plan = self._plan
        deployment = await self._api.get(DEPLOYMENT, plan.namespace, plan.name)
        async with watched(self._api, self._fold, plan.namespace, deployment) as watching:
            try:
                begins = await self._begin(watching)
                self.begun = True
                return await self._follow(watching) if begins else self._none()
            except BaseException:
                await self._release()
                if self.begun:
                    self.last = self._broken()
                raise

    # The start

    async def _begin(self, watching: Watching) -> bool:
        """Begin the rollout, or find that there is none."""
        now = self._look()
        self._admit(now)
        if self._plan.restart:
            await self._restart()
        elif now.verdict is Verdict.NONE:
            if not self._plan.wait or not await self._awaited(watching):
                return False
            self._admit(self._look())
        if not self._plan.restart:
            self._fold.begin(time.time())
            self._set_gate()
        return True

    def _admit(self, now: Rollout) -> None:
        """Refuse what cannot be done, before anything is changed."""
        plan, deployment = self._plan, self._fold.deployment
        if deployment is None:
            raise Refused(f"{now.target} was deleted")
        if now.paused and (plan.restart or plan.gate is not None):
            by_hand = patches.command(plan.where, plan.name, undo=False)
            raise Refused(f"{now.target} is paused. To resume it, run {by_hand}")
        if plan.gate is None:
            return
        if workload.recreates(deployment):
            raise Refused(
                f"{now.target} has the strategy Recreate, so all old pods exit before the first "
                "new pod starts. A gate cannot hold them. Use RollingUpdate, or omit --gate"
            )
        sets = self._fold.replica_sets()
        current = workload.newest(deployment, sets)
        begins = plan.restart or now.verdict is Verdict.NONE
        if (current if begins else workload.former(current, sets)) is None:
            raise Refused(
                f"{now.target} has no former revision, so a gate could not undo the rollout. "
                "Omit --gate"
            )
        if not any(alive(each) for each in (now.lanes if begins else now.old)):
            raise Refused(
                f"{now.target} has no old pod that still runs, so a gate has nothing to hold. "
                "Start the gate before the rollout, with --restart or --wait"
            )

    async def _restart(self) -> None:
        before = self._generation()
        self._fold.begin(time.time())
        try:
            await self._control.restart()
        finally:  # an interrupt comes after the change
            if self._generation() != before:
                self.begun = True
                self._set_gate()
        if not self.begun:
            raise Refused(
                f"deploy/{self._plan.name} was restarted in this second already. Try again"
            )

    def _generation(self) -> object:
        deployment = self._fold.deployment
        return deployment and deployment["metadata"].get("generation")

    async def _awaited(self, watching: Watching) -> bool:
        until = time.time() + (self._plan.timeout or self._patience())
        self._display.hint(f"Watching deploy/{self._plan.name}. It has no rollout yet.")
        while True:
            watching.changed.clear()
            now = self._look()
            if now.verdict is not Verdict.NONE:
                return True
            if now.at >= until:
                return False
            await self._changed(watching, until)

    def _set_gate(self) -> None:
        if (seconds := self._plan.gate) is None:
            return
        deployment, sets = self._fold.deployment, self._fold.replica_sets()
        former = workload.former(workload.newest(deployment, sets), sets) if deployment else None
        if deployment is None or former is None:
            raise Refused(f"deploy/{self._plan.name} was changed meanwhile. Try again")
        self._template, self._former = deployment["spec"]["template"], dict(former)
        allowed = self._plan.timeout or self._patience() + seconds
        now = self._look()
        self._gate = Gate(seconds, now.at + allowed, changes=now.changes, since=now.at)

    def _patience(self) -> float:
        """Return the seconds without progress: the deadline and the longest grace period."""
        deployment = self._fold.deployment
        if deployment is None:
            return workload.DEADLINE
        templates = [deployment["spec"]["template"]]
        templates += [workload.template(each) for each in self._fold.replica_sets()]
        return workload.deadline(deployment) + max(map(workload.grace, templates))

    def _none(self) -> Rollout:
        """Return what is there, without a rollout."""
        now = self._look()
        if self._plan.wait:
            now = self.last = now.ended(Verdict.TIMED_OUT, "no rollout has started")
        return now

    # The loop

    async def _follow(self, watching: Watching) -> Rollout:
        while True:
            watching.changed.clear()
            now, wake = self._look(), None
            if self._problem or watching.problem:
                self._blind = now.at
            self._problem = watching.problem
            if self._gate is not None and self._fold.deployment is not None:
                decision = self._decide(self._gate, now)
                if decision.order is not None:
                    await self._carry_out(self._gate, decision.order, now)
                if self._gate.closed:  # it may be lost
                    self._gate = decision.gate
                if decision.order is not None:
                    continue
                wake, now = decision.wake, self._look()
            self._display.update(now, watching.problem)
            if (end := self._end(now)) is not None:
                self.last = end
                return end
            await self._changed(watching, wake or self._wake(now))

    def _decide(self, gate: Gate, now: Rollout) -> Decision:
        """Return the decision of the gate, which does not open if an Event may have been missed."""
        found = gate.decide(now)
        seen = gate.deadline if self._problem else min(self._blind + SETTLE, gate.deadline)
        opens = found.gate.step is Step.OPEN and now.at < seen
        return Decision(gate, wake=seen) if opens else found

    def _look(self) -> Rollout:
        now = self._fold.rollout(time.time())
        if self._gate is not None:
            now = now.ended(now.verdict, *now.reasons, gate=self._gate.text(now))
        self.last = now
        return now

    async def _changed(self, watching: Watching, wake: float) -> None:
        """Wait for a change, or for a moment. A live display moves without a change."""
        seconds = max(0.0, wake - time.time())
        if self._display.moves:
            seconds = min(seconds, TICK)
        try:
            async with asyncio.timeout(seconds):
                await watching.changed.wait()
        except TimeoutError:
            return

    async def _carry_out(self, gate: Gate, order: Order, now: Rollout) -> None:
        """Do what the gate orders. The gate takes its next step only after this."""
        plan = self._plan
        match order:
            case Order.PAUSE:
                if gate.step is Step.BEFORE:
                    by_hand = patches.command(plan.where, plan.name, undo=True)
                    self._display.hint(f"If this command is killed, run {by_hand}")
                await self._control.pause(paused=True)
                self._fold.note("The gate paused the Deployment", now.at, ours=True)
            case Order.RESUME:
                await self._control.pause(paused=False)
                self._fold.note("The gate resumed the Deployment", time.time(), ours=True)
            case Order.UNDO:
                await self._undo()

    async def _undo(self) -> None:
        at = time.time()
        try:
            await self._control.undo(self._template, self._former)
        except Changed as error:
            await self._control.pause(paused=False)
            if self._gate is not None:
                self._gate = self._gate.lost(str(error))
            return
        self._undone = True
        self._fold.note("The gate undid the rollout", at, ours=True)

    # The end

    def _end(self, now: Rollout) -> Rollout | None:
        """Return the rollout with its verdict, if this is the end of it."""
        gate = self._gate
        if gate is not None and gate.step is Step.LOST:
            return now.ended(Verdict.FAILED, *gate.why)
        if self._fold.deployment is None:
            return now
        if (gate is not None and gate.closed) or now.at < self._wake(now):
            return None
        if gate is not None and gate.step is Step.UNDONE:
            rest = () if now.verdict.final else ("the undo has not ended", *late(now))
            now = now.until(self._fold.moved) if now.verdict.final else now
            return now.ended(Verdict.UNDONE, *gate.why, *now.reasons, *rest)
        if now.verdict.final and not self._missing(now):
            return now.until(self._fold.moved)
        unseen = [f"not everything was watched: {self._problem}"] if self._problem else []
        stuck = now.verdict is Verdict.STUCK
        verdict = Verdict.STUCK if stuck else Verdict.TIMED_OUT
        return now.ended(verdict, *now.reasons, *late(now), *unseen)

    def _wake(self, now: Rollout) -> float:
        """Return when the rollout ends, if nothing changes before."""
        if now.verdict.final and not self._missing(now):
            return max(self._fold.moved, self._blind) + SETTLE
        if self._plan.timeout is not None and not self._undone:
            return now.began + self._plan.timeout
        return self._fold.moved + self._patience()

    def _missing(self, now: Rollout) -> bool:
        """Return whether something that would not be clean may have been missed."""
        return bool(self._problem) and now.verdict is Verdict.DONE

    def _broken(self) -> Rollout:
        """Return the rollout as this session leaves it before its end."""
        now = self._look()
        if self._gate is not None and self._gate.step is Step.UNDONE:
            return now.ended(Verdict.UNDONE, *self._gate.why)
        return now.ended(now.verdict, *now.reasons, "this command ended, and the rollout continues")

    async def _release(self) -> None:
        """Let the Deployment not stay as the gate has left it, whatever ends this session."""
        if self._gate is None or not self._gate.closed or self._fold.deployment is None:
            return
        self._display.hint("The gate has not opened, so this command undoes the rollout.")
        try:
            await self._undo()
        except BaseException as error:
            commands = patches.command(self._plan.where, self._plan.name, undo=True)
            reason = str(error) or type(error).__name__
            raise NotReleased(
                f"deploy/{self._plan.name} could not be undone ({reason}), and may be paused. "
                f"Run {commands}"
            ) from error
        if self._gate.closed:
            self._gate = self._gate.interrupted()
        self._look()


def late(now: Rollout) -> list[str]:
    """Return what is missing at the end of the time, in words."""
    found = [*now.missing]
    for each in now.lanes:
        is_new = now.is_new(each)
        if not counts(each) or (now.is_goal(each) and each.phase is Phase.READY):
            continue
        kind = "the new pod" if is_new else "the old pod"
        text = f"{kind} {each.name} has been {each.phase} for {now.at - each.since:.0f} s"
        if each.trouble and not each.problem:
            text += f" ({each.trouble})"
        found.append(text)
    return found
