"""
How often is the value of `lifecycle tune` too short? Simulated, in about a minute.

In each drain, clients notice one after the other that the pod is gone, at random times until the
propagation delay is over. Until then, each opens connections at random times.

    python -m benchmarks.tuned [SEED]
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from typing import Final

from lifecycle.tune.rule import Doubt, Evidence, advise

DRAINS: Final = (10, 12, 15, 20)
PROPAGATION: Final = {2.0: 2000, 10.0: 500, 60.0: 100}
"""Seconds until the last client has noticed, and how many services are simulated with them."""
LOAD: Final = ((20, 5), (20, 20), (50, 20), (50, 50), (100, 20))
"""Connections per second in each pod, and the number of clients."""
LISTENED: Final = 3
"""How many times the propagation delay each server listens."""
TOO_LONG: Final = 1.2


def drain(rng: random.Random, propagation: float, rate: float, clients: int) -> Iterator[float]:
    """Yield the times of all connections of one drain."""
    for _ in range(clients):
        until, at = propagation * rng.random(), rng.expovariate(rate / clients)
        while at < until:
            yield at
            at += rng.expovariate(rate / clients)


def evidence(
    rng: random.Random, drains: int, propagation: float, rate: float, clients: int
) -> Evidence:
    """Return the evidence from so many drains of one service."""
    every = [[*drain(rng, propagation, rate, clients)] for _ in range(drains)]
    lasts = sorted(max(each, default=0.0) for each in every)
    own = max(every, key=lambda each: max(each, default=0.0))
    listened = LISTENED * propagation
    return Evidence(
        drains=drains,
        last=lasts[-1],
        median=lasts[(drains - 1) // 2],
        seconds=seconds([at for each in every for at in each]),
        silence=listened - lasts[-1],
        own_seconds=seconds(own),
        own_silence=listened - lasts[-1],
        reached=drains,
        cut=0,
        longest=listened,
        settle=listened,
    )


def seconds(times: list[float]) -> list[int]:
    """Return how many of the times are in each second."""
    found = [0] * (int(max(times, default=-1.0)) + 1)
    for at in times:
        found[int(at)] += 1
    return found


def main() -> None:
    """Print a row for each number of drains."""
    rng = random.Random(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
    for drains in DRAINS:
        found = []
        for propagation, services in PROPAGATION.items():
            for rate, clients in LOAD:
                for _ in range(services):
                    advice = advise(evidence(rng, drains, propagation, rate, clients))
                    if advice.doubt is Doubt.NONE and advice.settle is not None:
                        found.append(advice.settle / propagation)
        short, long = (
            sum(each < 1 for each in found),
            sum(each > TOO_LONG + 1e-9 for each in found),
        )
        print(
            f"{drains} drains: of {len(found):,} values, {short} too short "
            f"(the shortest is {min(found):.0%} of the delay), {long} more than 20 % too long"
        )


if __name__ == "__main__":
    main()
