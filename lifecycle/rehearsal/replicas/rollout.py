"""Rollouts: every replica is replaced, as by a Deployment with maxSurge 1 and maxUnavailable 0."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from lifecycle.drain.open_ports import listening_ports
from lifecycle.rehearsal.errors import CannotRehearse
from lifecycle.rehearsal.load.generator import LoadGenerator
from lifecycle.rehearsal.replicas.preflight import ended_early, until_ready
from lifecycle.rehearsal.replicas.replica import Replica
from lifecycle.rehearsal.replicas.template import Template
from lifecycle.testing import Kubelet
from lifecycle.testing.processes import catches_sigterm

LOOK: Final = 0.03
"""Seconds between two looks at which listeners are closed."""


@dataclass
class Rollout:
    """
    A rollout.

    Attributes:
        number: Its number, from 1.
        began: When the first new replica was started, on the monotonic clock.
        ended: When every client had noticed the last change.
        left: The replicas that were replaced.
        came: The new replicas.
    """

    number: int
    began: float
    ended: float = 0.0
    left: list[Replica] = field(default_factory=list)
    came: list[Replica] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Seconds from the first drain start to the last exit."""
        begins = [each.deleted_at for each in self.left if each.deleted_at is not None]
        ends = [at for each in self.left if (at := each.moment("exited")) is not None]
        return max(ends) - min(begins) if begins and ends else 0.0

    @property
    def exit_codes(self) -> list[int | None]:
        """The exit codes of the replaced replicas."""
        return [each.deletion.exit_code if each.deletion else None for each in self.left]

    def to_json(self, zero: float) -> dict[str, Any]:
        """Return the rollout, in seconds since a given time. `exit_code` is the worst one."""
        return {
            "rollout": self.number,
            "began": round(self.began - zero, 3),
            "ended": round(self.ended - zero, 3),
            "seconds": round(self.seconds, 3),
            "exit_code": max((code or 0 for code in self.exit_codes), default=0),
            "exit_codes": self.exit_codes,
            "replicas": [each.to_json(zero) for each in self.left],
        }


class Deployment:
    """
    The replicas of one service.

    Args:
        kubelet: The kubelet that runs the pods.
        template: The template of the pods.
        load: The load generator, which is informed about each pod.
        changed: Called with a sentence at each step.
    """

    def __init__(
        self,
        kubelet: Kubelet,
        template: Template,
        load: LoadGenerator,
        changed: Callable[[str], None],
    ) -> None:
        self.replicas: list[Replica] = []
        self.rollouts: list[Rollout] = []
        self._running: list[Replica] = []
        self._kubelet = kubelet
        self._template = template
        self._load = load
        self._say = changed
        self._numbers = itertools.count(1)

    async def scale(self) -> None:
        """Start all replicas."""
        count = self._template.plan.replicas
        self._running = list(await asyncio.gather(*(self._start() for _ in range(count))))

    async def _start(self) -> Replica:
        pod = await self._kubelet.run(self._template.replica(f"app-{next(self._numbers)}"))
        replica = Replica(pod)
        self.replicas.append(replica)
        await until_ready(replica, self._template)
        self._load.follow(pod)
        return replica

    async def roll(self) -> Rollout:
        """Replace every replica. Returns when all replaced replicas have exited."""
        rollout = Rollout(len(self.rollouts) + 1, time.monotonic())
        self.rollouts.append(rollout)
        old, self._running = self._running, []
        count = f"rollout {rollout.number} of {self._template.plan.rollouts}"
        async with self._watched_listeners():
            for replica in old:
                self._say(f"{count}: starting a replica to replace {replica.name}")
                new = await self._start()
                self._running.append(new)
                rollout.came.append(new)
                self._load.check()
                if self._template.plan.min_ready:
                    self._say(f"{count}: {new.name} is ready, waiting for minReadySeconds")
                    await _available(new, self._template)
                self._say(f"{count}: {new.name} is ready, {replica.name} is deleted")
                pid = replica.pod.pid
                replica.deaf = pid is not None and not catches_sigterm(pid)
                rollout.left.append(replica)
                replica.pod.delete()
            await asyncio.gather(*(_gone(replica) for replica in old))
        self._say(f"{count}: done in {rollout.seconds:.1f} s")
        return rollout

    @contextlib.asynccontextmanager
    async def _watched_listeners(self) -> AsyncIterator[None]:
        watching = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.wait({watching})

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK)
            ports = listening_ports()
            if ports is None:  # there is no table: the first refusal shows it
                return
            for replica in self.replicas:
                leaves = replica.deletion is not None and not replica.pod.finished
                if leaves and replica.closed_at is None and replica.port not in ports:
                    replica.closed_at = time.monotonic()


async def _available(replica: Replica, template: Template) -> None:
    """
    Wait until a replica is available: ready for minReadySeconds without a break.

    Raises:
        CannotRehearse: The replica ends, or is never ready for that long.
    """
    plan = template.plan
    limit = plan.start_time + plan.min_ready
    try:
        async with asyncio.timeout(limit):
            while not await _stays_ready(replica, plan.min_ready):
                await replica.pod.until(lambda pod: pod.ready or pod.exit_codes, limit)
                if not replica.pod.ready:
                    raise ended_early(replica.pod, f"{replica.name} ended before it was available")
    except TimeoutError:
        raise CannotRehearse(
            f"{replica.name} was never ready for --min-ready {plan.min_ready:g} s without a "
            f"break ({template.readiness})",
            see="errors.md#replica-not-ready",
        ) from None


async def _stays_ready(replica: Replica, seconds: float) -> bool:
    """Wait until the replica has been ready for so many seconds. Returns False at a break."""
    since = replica.ready_since
    if since is None:
        return False
    with contextlib.suppress(TimeoutError):
        left = since + seconds - time.monotonic()
        await replica.pod.until(lambda pod: not pod.ready, max(left, 0.0))
    return replica.ready_since == since


async def _gone(replica: Replica) -> None:
    assert replica.deletion is not None
    await replica.deletion
    exited = replica.moment("exited")
    if replica.closed_at is None or (exited is not None and replica.closed_at > exited):
        replica.closed_at = exited
