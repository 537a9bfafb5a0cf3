"""Drain reports for tests, as pods write them, made of random but repeatable drains."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from typing import Any

SETTINGS = {"settle": 5.0, "quiet": 1.0, "grace_period": 30.0, "stop_timeout": 3.0}


def report(**fields: Any) -> dict[str, Any]:
    """Return the fields of a report: 20 connections a second until 1.9 s, and then silence."""
    found: dict[str, Any] = {
        "cause": "SIGTERM",
        "code": 0,
        "steps": {"deregister": 0.02, "settle": 5.0, "quiet": 6.1, "wait": 6.1, "stop": 6.4},
        "services": ["orders"],
        "settings": SETTINGS,
        "last_connection": 1.9,
        "last_request": 3.2,
        "arrivals": [25, 20, 3, 1],
        "connections": [20, 18],
        "event": "drain report",
        "level": "info",
        "timestamp": "2026-03-02T10:15:48.512Z",
    }
    found |= fields
    return {name: value for name, value in found.items() if value is not None}


def line(**fields: Any) -> str:
    """Return a report as a line of JSON."""
    return json.dumps(report(**fields))


def drain(
    rng: random.Random,
    propagation: float,
    *,
    rate: float = 20.0,
    clients: int = 20,
    settle: float = 5.0,
    quiet: float = 1.0,
    longest: float = 1000.0,
    same: bool = False,
    **fields: Any,
) -> dict[str, Any]:
    """
    Return the report of a random drain.

    Args:
        rng: The random numbers.
        propagation: Seconds until the last client has noticed.
        rate: New connections per second of all clients together.
        clients: Their number. Each notices at a random time, unless `same`.
        settle: The setting.
        quiet: The setting.
        longest: When the server stops listening at the latest.
        same: Whether all clients notice at the same time.
        fields: More fields of the report.
    """
    times = []
    for _ in range(clients):
        until = propagation * (1 if same else rng.random())
        at = rng.expovariate(rate / clients)
        while at < until:
            times.append(at)
            at += rng.expovariate(rate / clients)
    return of_times(sorted(times), settle=settle, quiet=quiet, longest=longest, **fields)


def of_times(
    times: Iterable[float], *, settle: float, quiet: float, longest: float = 1000.0, **fields: Any
) -> dict[str, Any]:
    """Return the report of a drain with new connections at these times, in their order."""
    end, seen = settle, []
    for at in times:
        if at > end or at > longest:
            break
        seen.append(at)
        end = min(longest, max(settle, at + quiet))
    seconds: list[int] = []
    for at in seen:
        second = min(119, int(at))
        seconds += [0] * (second + 1 - len(seconds))
        seconds[second] += 1
    last = round(seen[-1], 3) if seen else 0.0
    return report(
        last_connection=last,
        connections=seconds,
        last_request=last,
        arrivals=seconds,
        listened=round(end, 3),
        settings={**SETTINGS, "settle": settle, "quiet": quiet},
        **fields,
    )
