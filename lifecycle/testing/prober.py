"""
The probes of a container: one worker per probe, until the container ends.

    start     initial delay        + period        + 2 periods
      │            │ probe            │ probe           │ probe
      ├────────────┼──────────────────┼─────────────────┼──→
                       ↑ startup passes: readiness is probed at once

Rules of this file:

1. Until startup has passed, the other probes are not carried out.
2. Once the pod is being deleted, only readiness is probed.
3. A probe that could not be carried out changes nothing.
4. After a liveness or startup failure, nothing is probed until there is a new container.
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
    One run of a container, from a start to the next end.

    Attributes:
        process: The process.
        started: Whether startup has passed, or there is no startup probe.
        ready: The readiness: false at first, true if there is no readiness probe.
        unhealthy: The probe that failed for good, or None if none did.
        failed: Set together with `unhealthy`.
        again: Set to probe readiness at once.
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
        kind: The kind of the probe.
        spec: The probe.
        run: The run, which receives the results.
        place: The pod.
        deleted: Returns whether the pod is being deleted.
        say: Records an event with a type, a reason and a message.
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
        """Probe until no probe is needed any more. It is cancelled when the container ends."""
        loop = asyncio.get_running_loop()
        started = self.run.process.started_at
        due = started + self.spec.initial_delay
        while not self._over:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._triggered()
            now = loop.time()
            if now >= due:  # missed ticks are dropped, as Go's ticker does
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
