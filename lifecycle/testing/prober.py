"""
One worker a probe, for as long as one container lives.

    start     initial delay        + period        + 2 periods
      │            │ probe            │ probe           │ probe
      ├────────────┼──────────────────┼─────────────────┼──→
                       ↑ startup passes: readiness is probed at once

Rules of this file:

1. Until startup has passed, the other probes are not carried out.
2. Once the pod is being deleted only readiness goes on.
3. A probe that errored changes nothing, neither for the better nor for the worse.
4. After a liveness or startup failure nothing is probed until there is a new container.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field

from lifecycle.contracts import Kind
from lifecycle.testing.events import WARNING
from lifecycle.testing.handlers import Place, Verdict, probe
from lifecycle.testing.processes import Process
from lifecycle.testing.specs import Container, Probe


@dataclass
class Run:
    """
    One life of a container: from a start to the next end.

    Attributes:
        process: Its process.
        started: Startup has passed, or there is no such probe.
        ready: What readiness says: false at first, true without such a probe.
        unhealthy: Which probe has given it up.
        failed: Set with `unhealthy`.
        again: Set to have readiness probed at once.
    """

    process: Process
    started: bool
    ready: bool
    unhealthy: Kind | None = None
    failed: asyncio.Event = field(default_factory=asyncio.Event)
    again: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    def of(cls, container: Container, process: Process) -> Run:
        """Make the run of a process that has just been started."""
        return cls(process, container.startup is None, container.readiness is None)


@dataclass
class Worker:
    """
    Carries out one probe of one run.

    Attributes:
        kind: Which of the three.
        spec: The probe.
        run: What it reports to.
        place: Where it works.
        deleted: Whether the pod is being deleted.
        say: Takes type, reason and message of an event.
        changed: Called when `run` has changed.
    """

    kind: Kind
    spec: Probe
    run: Run
    place: Place
    deleted: Callable[[], bool]
    say: Callable[[str, str, str], None]
    changed: Callable[[], None]
    _last: bool | None = None
    _in_a_row: int = 0

    async def work(self) -> None:
        """Probe until there is nothing left to probe; cancelled when the container ends."""
        loop = asyncio.get_running_loop()
        started = self.run.process.started_at
        due = started + self.spec.initial_delay
        while not self._over:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._triggered()
            now = loop.time()
            if now >= due:  # ticks that were missed are dropped, as a ticker drops them
                due += self.spec.period * (1 + (now - due) // self.spec.period)
            waits_for_startup = self.kind is not Kind.STARTUP and not self.run.started
            if now >= started + self.spec.initial_delay and not waits_for_startup:
                await self._probe()

    @property
    def _over(self) -> bool:
        if self.kind is Kind.READINESS:
            return False
        started = self.kind is Kind.STARTUP and self.run.started
        return started or self.deleted() or self.run.unhealthy is not None

    async def _triggered(self) -> None:
        if self.kind is not Kind.READINESS:
            await asyncio.Event().wait()
        await self.run.again.wait()
        self.run.again.clear()

    async def _probe(self) -> None:
        if self._over:
            return
        title = self.kind.value.capitalize()
        verdict, output = await probe(
            self.spec.handler, self.place, self.run.process, self.spec.timeout
        )
        match verdict:
            case Verdict.ERROR:
                text = f"{title} probe errored and resulted in failure state: {output}"
                self.say(WARNING, "Unhealthy", text)
                return
            case Verdict.FAILURE:
                self.say(WARNING, "Unhealthy", f"{title} probe failed: {output}")
            case Verdict.WARNING:
                self.say(WARNING, "ProbeWarning", f"{title} probe warning: {output}")
        self._count(good=verdict is not Verdict.FAILURE)

    def _count(self, *, good: bool) -> None:
        self._in_a_row = self._in_a_row + 1 if self._last is good else 1
        self._last = good
        threshold = self.spec.success_threshold if good else self.spec.failure_threshold
        if self._in_a_row < threshold or self._over:
            return
        if self.kind is Kind.READINESS:
            self.run.ready = good
        elif not good:
            self.run.unhealthy = self.kind
            self.run.failed.set()
        elif self.kind is Kind.STARTUP:
            self.run.started = True
            self.run.again.set()
        self.changed()
