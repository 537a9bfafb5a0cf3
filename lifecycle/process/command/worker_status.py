"""A worker of a command as it is shown."""

from __future__ import annotations

from lifecycle.instrumentation.lifecycle_worker.board import Slot
from lifecycle.status_records import WorkerStatus


def worker_status(slot: Slot, now: float) -> WorkerStatus:
    """Return the row of `/status` for a worker that serves."""
    return {
        "pid": slot.pid,
        "server": slot.server,
        "age": round(now - slot.since, 3),
        "stalled": round(slot.stalled_for(now), 3),
        "in_flight": slot.in_flight,
        "served": slot.served,
    }


def at_work(slot: Slot) -> str:
    """Return the name of a worker, with the number of its requests in flight."""
    return f"{slot.server} worker {slot.pid} ({slot.in_flight})"
