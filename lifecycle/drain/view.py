"""
The work in flight as a list, the oldest first, for `/inflight` and for the drain report.

Clients, apps and workers choose the texts. So each text is shortened, and kept on one line.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterable, Sequence
from itertools import compress, islice
from typing import TYPE_CHECKING, Final, NamedTuple
from weakref import ReferenceType

from lifecycle.calls.app_loop import AppLoop
from lifecycle.calls.stacks import other_threads, thread_places
from lifecycle.drain.elsewhere import Seen, SeenThread, by_age
from lifecycle.drain.in_flight import Traffic
from lifecycle.drain.work_names import Where, WorkEntry, since, what_of, where, words
from lifecycle.instrumentation.lifecycle_worker import stacks as worker_stacks
from lifecycle.plain import one_line

if TYPE_CHECKING:
    from lifecycle.instrumentation.lifecycle_worker.stacks import Place
    from lifecycle.status_records import InFlight, InFlightEntry, ThreadStack

MOST: Final = 1000
"""The most entries of one answer."""
AT_ONCE: Final = 50
"""Entries that are made in one turn of the control loop, which also answers the probes."""
REPORTED: Final = 20
"""The most pieces of work that the drain report names one by one."""
NAME_BYTES: Final = 130
AGENT_BYTES: Final = 70
WORD_BYTES: Final = 20
LINE_BYTES: Final = 120
"""Bytes of a text in JSON. With them, an entry without a stack has at most 300 bytes."""


def oldest(traffic: Traffic, limit: int) -> list[WorkEntry]:
    """Return the oldest work in this process. From any thread."""
    return list(islice(traffic.entries.copy().values(), limit))  # they are in this order


def _seen(entry: WorkEntry, app_loop: AppLoop, *, stacks: bool) -> Seen:
    named = words(entry)
    places = worker_stacks.safely(_places, where(entry), app_loop) if stacks else []
    line = worker_stacks.own_place(places) or (places[-1] if places else None)
    return Seen(
        since(entry),
        what_of(named),
        named.agent,
        os.getpid(),
        named.protocol,
        worker_stacks.lines(places),
        worker_stacks.line(line) if line else "",
    )


def _places(found: Where, app_loop: AppLoop) -> list[Place]:
    if isinstance(found, int):
        return thread_places(found)
    if not isinstance(found, ReferenceType):
        return [] if found is None else worker_stacks.of_coroutine(found)
    task = found()
    return app_loop.places(task) if task is not None and not task.done() else []


async def view(traffic: Traffic, limit: int, *, stacks: bool) -> InFlight:
    """
    Return the content of `/inflight`. For the control loop.

    Args:
        traffic: The work in flight.
        limit: The most entries.
        stacks: Whether to show the stack of each piece of work and of each thread.
    """
    there = await traffic.elsewhere.view(limit, stacks=stacks)
    here = []
    for each in oldest(traffic, limit):
        here.append(_seen(each, traffic.app_loop, stacks=stacks))
        if not len(here) % AT_ONCE:
            await asyncio.sleep(0)
    found = sorted((*here, *there.work), key=by_age)[:limit]
    now = traffic.clock()
    told: InFlight = {
        "in_flight": len(traffic.entries) + there.total,
        "shown": len(found),
        "entries": [_entry(each, now, stacks=stacks) for each in found],
    }
    if stacks:
        own = [SeenThread(os.getpid(), name, stack) for name, stack in other_threads()]
        told["threads"] = [_thread(each) for each in there.threads or own]
    return told


def _entry(seen: Seen, now: float, *, stacks: bool) -> InFlightEntry:
    entry: InFlightEntry = {
        "name": fit(seen.name, NAME_BYTES),
        "agent": fit(seen.agent, AGENT_BYTES),
        "age": round(max(0.0, now - seen.since), 3),
        "worker": seen.worker,
        "protocol": fit(seen.protocol, WORD_BYTES),
    }
    if stacks:
        entry["stack"] = _fitting(seen.stack)
    return entry


def _thread(seen: SeenThread) -> ThreadStack:
    return {
        "worker": seen.worker,
        "name": fit(seen.name, NAME_BYTES),
        "stack": _fitting(seen.stack),
    }


def _fitting(lines: Iterable[str]) -> list[str]:
    return [fit(line, LINE_BYTES) for line in islice(lines, worker_stacks.LINES)]


def fit(text: str, size: int) -> str:
    """Return a text on one line that has at most so many bytes in JSON. Its end is cut off."""
    text = one_line(text[:size])
    if len(text) * 2 <= size and text.isascii():  # JSON writes at most two bytes for each
        return text
    written = text.replace("\\", "\\\\").replace('"', '\\"').encode()
    if len(written) <= size:
        return text
    kept = written[:size].decode(errors="ignore")
    if (len(kept) - len(kept.rstrip("\\"))) % 2:  # half of an escaped character
        kept = kept[:-1]
    return str(json.loads(f'"{kept}"'))


class Standing(NamedTuple):
    """
    The work in flight at some time.

    Attributes:
        own: The work of this process, the oldest first.
        seen: The oldest pieces of it, with the lines at which they stand.
        there: The work of other processes.
        total: How many pieces there are.
    """

    own: Sequence[WorkEntry]
    seen: Sequence[Seen]
    there: Sequence[Seen]
    total: int


def standing(traffic: Traffic) -> Standing:
    """Return the work in flight, with the lines at which it stands, for the report."""
    own = [*traffic.entries.copy().values()]
    seen = [_seen(each, traffic.app_loop, stacks=True) for each in own[:REPORTED]]
    return Standing(own, seen, traffic.elsewhere.cut_off(), traffic.in_flight)


def cut_off(traffic: Traffic, before: Standing | None = None) -> list[str]:
    """
    Return the work that is cut off, each with its age and the line at which it stands.

    Args:
        traffic: The work in flight.
        before: The work that was in flight when main was cancelled. Work that has ended
            since without an exception is not cut off.
    """
    found = before or standing(traffic)
    running = {
        id(each)
        for each in (*traffic.entries.copy().values(), *traffic.interrupted.copy().values())
    }
    cut = [id(each) in running for each in found.own]
    work = sorted((*compress(found.seen, cut), *found.there), key=by_age)
    total = max(found.total - cut.count(False), sum(each.pieces for each in work))
    now = traffic.clock()
    told = [_sentence(each, now) for each in work[:REPORTED]]
    if more := total - sum(each.pieces for each in work[:REPORTED]):
        told.append(f"and {more} more in flight")
    return told


def _sentence(seen: Seen, now: float) -> str:
    name, agent = fit(seen.name, NAME_BYTES), fit(seen.agent, AGENT_BYTES)
    who = f"{name} from {agent}" if agent else name
    age = max(0.0, now - seen.since)
    if not seen.line:
        return f"{who}, after {age:.1f} s"
    return f"{who}, after {age:.1f} s, at {fit(seen.line, LINE_BYTES)}"
