"""
The soak: 100 rollouts and at least 1,000,000 requests, and not one may be lost.

`make soak` takes about 20 minutes on a machine with two cores that does nothing else. It is
one rehearsal: one load that goes on from the first rollout to the last.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time

from benchmarks.ways import FOLDER
from lifecycle.rehearsal.errors import CannotRehearse
from lifecycle.rehearsal.plan import Plan, Traffic
from lifecycle.rehearsal.rehearsal import Rehearsal
from lifecycle.rehearsal.report.text import Painter, render
from lifecycle.rehearsal.verdict.result import Result

COMMAND = (
    *(sys.executable, "-m", "lifecycle", "run", "--asgi", "app:app"),
    *("--bind", "127.0.0.1:{port}", "--service", "app"),
)
SETTINGS = {"LIFECYCLE_SETTLE": "3"}
REPLICAS = 3
PAUSE = 7.0
"""Seconds between two rollouts, so that one takes twelve: 12,000 requests at a thousand a second."""


def traffic(rate: float) -> Traffic:
    """Return the load: a third of it on new connections, the rest on kept ones."""
    return Traffic(
        rate=rate / 3,
        clients=100,
        kept=0.6,
        busy=0.05,
        think=90 / rate,
        slow="/slow",
        slow_share=0.002,
        propagation=2.0,
        processes=2,
    )


class Progress:
    """A line whenever a rollout is done."""

    def __init__(self) -> None:
        self._done = 0

    def update(self, rehearsal: Rehearsal) -> None:
        """Say how far it is."""
        rollouts = rehearsal.deployment.rollouts if rehearsal.deployment else []
        done = sum(each.ended > 0 for each in rollouts)
        if done == self._done or rehearsal.load is None or rehearsal.zero is None:
            return
        self._done = done
        tally, count = rehearsal.load.tally, rehearsal.plan.rollouts
        elapsed = time.monotonic() - rehearsal.zero
        left = elapsed / done * (count - done)
        print(
            f"{elapsed:6.0f} s  {done} of {count} rollouts · {tally.requests:,} requests "
            f"({tally.requests / elapsed:,.0f} a second), {len(tally.losses):,} lost · "
            f"late by p99 {tally.lateness.quantile(0.99) * 1000:.0f} ms · about {left:.0f} s left",
            flush=True,
        )


def verdict(result: Result, wanted: int) -> list[str]:
    """Return what is not as it must be."""
    wrong = []
    if result.lost:
        wrong.append(f"{result.lost:,} requests were lost")
    if result.tally.requests < wanted:
        wrong.append(f"only {result.tally.requests:,} of {wanted:,} requests came together")
    return wrong


def main() -> int:
    """Soak; 1 if a request was lost, or too few came together."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--rollouts", type=int, default=100, help="(default: 100)")
    parser.add_argument("--requests", type=int, default=1_000_000, help="(default: 1,000,000)")
    parser.add_argument(
        "--rate", type=float, default=1000.0, help="a second, about (default: 1000)"
    )
    options = parser.parse_args()
    for name in [name for name in os.environ if name.startswith("LIFECYCLE_")]:
        del os.environ[name]
    plan = Plan(
        COMMAND,
        traffic(options.rate),
        rollouts=options.rollouts,
        replicas=REPLICAS,
        pause=PAUSE,
        cwd=str(FOLDER),
        env=SETTINGS,
    )
    try:
        result = asyncio.run(Rehearsal(plan, Progress().update).run())
    except CannotRehearse as error:
        print(f"soak: {error}", file=sys.stderr)
        return 2
    print(render(result, Painter()))
    wrong = verdict(result, options.requests)
    print(
        f"\n{len(result.rollouts)} rollouts of {REPLICAS} replicas, "
        f"{result.tally.requests:,} requests, {result.lost:,} lost, "
        f"{result.ended - result.zero:.0f} s"
    )
    for each in wrong:
        print(f"soak failed: {each}", file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    raise SystemExit(main())
