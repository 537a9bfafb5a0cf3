"""
A rehearsal, from the first try of the command to the result.

    try the command · start the replicas · ask once · start the load · rollouts · end the load
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from typing import Final

from lifecycle.rehearsal.load.generator import LoadGenerator
from lifecycle.rehearsal.measuring.stalls import Pulse, Stall
from lifecycle.rehearsal.plan import Plan
from lifecycle.rehearsal.replicas.preflight import ask_once, reconnoitre
from lifecycle.rehearsal.replicas.prestop import check_program, choose
from lifecycle.rehearsal.replicas.rollout import Deployment
from lifecycle.rehearsal.replicas.template import Template
from lifecycle.rehearsal.verdict.result import Result
from lifecycle.testing import Kubelet
from lifecycle.testing.environment import environment

WARM_UP: Final = 0.5
"""Seconds of load before the first rollout."""
AFTERWARDS: Final = 0.3
"""Seconds of load after the last client has noticed the last change of a rollout."""


class Rehearsal:
    """
    A rehearsal.

    Args:
        plan: The plan.
        changed: Called whenever the display must be updated.
        generator: The class of the load generator.

    Attributes:
        phase: The current step, in words.
        load: The load generator, once it exists.
        deployment: The replicas, once they exist.
        zero: When the load started.
        stalls: The times when this process stood still. It reports replicas to the clients, runs
            hooks and sends signals.
    """

    def __init__(
        self,
        plan: Plan,
        changed: Callable[[Rehearsal], None] = lambda _: None,
        generator: type[LoadGenerator] = LoadGenerator,
    ) -> None:
        self.plan = plan
        self.phase = ""
        self.load: LoadGenerator | None = None
        self.deployment: Deployment | None = None
        self.zero: float | None = None
        self.stalls: list[Stall] = []
        self._changed = changed
        self._generator = generator

    def _say(self, phase: str) -> None:
        self.phase = phase
        self._changed(self)

    async def run(self) -> Result:
        """
        Run the rehearsal. One rehearsal can be run several times, one after another.

        Raises:
            CannotRehearse: The rehearsal is not possible. The message says why.
        """
        plan, self.stalls = self.plan, []
        with tempfile.TemporaryDirectory(prefix="rehearsal-") as folder:
            if plan.prestop is not None:  # a wrong hook is noticed before any process starts
                hook = choose(plan.prestop, qos=True, grace=plan.grace, token="")
                container = Template(plan, folder).scout().container
                check_program(hook, environment(container, container.ports), plan.cwd)
            async with (
                Kubelet() as kubelet,
                self._generator(plan.traffic, lambda: self._changed(self)) as load,
            ):
                self.load = load
                if plan.is_tried:
                    self._say("trying the command")
                template = await reconnoitre(kubelet, Template(plan, folder))
                hook = template.hook
                self._say(f"ready: {template.readiness} · preStop: {hook.name}")
                deployment = self.deployment = Deployment(kubelet, template, load, self._say)
                self._say(f"starting {plan.replicas} replicas")
                await deployment.scale()
                await ask_once(deployment.replicas[0], template)
                return await self._under_load(template, deployment, load)

    async def _under_load(
        self, template: Template, deployment: Deployment, load: LoadGenerator
    ) -> Result:
        await asyncio.sleep(
            self.plan.traffic.joining + AFTERWARDS
        )  # until the clients have noticed the first replicas
        zero = self.zero = time.monotonic()
        beating = asyncio.create_task(Pulse(self.stalls.append).beat())
        try:
            await self._rolls(deployment, load)
            tally = await load.end()
        finally:
            beating.cancel()
        ended = time.monotonic()
        result = Result(
            template,
            tally,
            deployment.replicas,
            deployment.rollouts,
            load.processes,
            zero,
            ended,
            self.stalls,
        )
        self._say(f"done: {result.verdict}")
        return result

    async def _rolls(self, deployment: Deployment, load: LoadGenerator) -> None:
        traffic = self.plan.traffic
        load.begin()
        self._say("starting the load")
        await asyncio.sleep(WARM_UP)
        for _ in range(self.plan.rollouts):
            rollout = await deployment.roll()
            left = max((each.deleted_at or 0.0 for each in rollout.left), default=0.0)
            came = max((each.ready_at or 0.0 for each in rollout.came), default=0.0)
            last = max(left + traffic.propagation, came + traffic.joining)
            heard = max(time.monotonic(), last) + AFTERWARDS
            await asyncio.sleep(heard + self.plan.pause - time.monotonic())
            rollout.ended = time.monotonic()
            load.check()
        self._say("waiting for the clients to finish")
