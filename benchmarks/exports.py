"""What many services cost: exported one by one, registered, asked for, in one process."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from statistics import median
from typing import NamedTuple

import lifecycle

FEW, MANY = 1_000, 5_000
ROUNDS = 3


class Cost(NamedTuple):
    """Seconds of CPU from the first export to READY, and that every service has waited for."""

    few: float
    many: float

    @property
    def ratio(self) -> float:
        """How much more the many cost."""
        return self.many / self.few


async def _exporting(count: int) -> float:
    config = lifecycle.Config(qos_enabled=False, settle=0, quiet=0)
    async with lifecycle.Lifecycle(config) as life:
        began = time.process_time()
        services = [life.export(f"service-{number}", port=8080) for number in range(count)]
        await life.ready()
        await asyncio.gather(*(service.registered() for service in services))
        return time.process_time() - began


def exporting() -> Cost:
    """
    Measure few and many in turn.

    Without Python's garbage collection: what it costs goes by the objects of the whole process.
    """
    os.environ.setdefault("LIFECYCLE_RUN_DIR", "/tmp")
    times: dict[int, list[float]] = {FEW: [], MANY: []}
    for _ in range(ROUNDS):
        for count, seen in times.items():
            gc.collect()
            gc.disable()
            try:
                seen.append(asyncio.run(_exporting(count)))
            finally:
                gc.enable()
    return Cost(median(times[FEW]), median(times[MANY]))
