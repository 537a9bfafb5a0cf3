"""
The rule that finds how long `settle` must be from the drains of a service. Pure.

In words, with the numbers of the constants below:

1. The propagation delay is at least X, the time of the last new connection of all drains.
2. A client that still had the pod in view after X may have sent nothing by chance. The connections
   shortly before X show how often they came. A gap longer than r has a probability of 1 %, so the
   propagation delay is at most X + r. The more load and the more drains, the smaller is r.
3. The clients must have been silent for r after X, while the servers still listened. Otherwise
   connections may have come after the end, and were not counted.
4. A later drain may be slower. So `settle` is a tenth more than X + r. The fewer drains there are,
   and the more they differ, the more is added: 1.5 (X - median) / sqrt(n) of n drains, at most
   0.06 (X + r). The sum is rounded up.
5. With fewer than 20 drains, this sum is too short for about 1 of 700 services, in simulations. With 20
   drains, it was never too short.
6. Of n drains, the slowest one covers at least 0.05 ** (1 / n) of all drains, with a confidence of
   95 %. This fraction is the tolerance limit of an order statistic. 59 drains cover 95 %.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from typing import Final, NamedTuple

GAP: Final = math.log(100)
"""Mean gaps between connections that a gap exceeds with a probability of 1 %."""
MARGIN: Final = 1.1
DIFFERING: Final = 1.5
MOST_DIFFERING: Final = 0.06
"""
How much is added for drains that differ, and at most. The numbers were found by simulation of clients
that notice one after the other, with 2 to 60 s of propagation, see `benchmarks/tuned.py`.
"""
TAIL: Final = 10
"""Connections before the last one from which the rate is taken."""
TAIL_TIME: Final = 1.0
"""Seconds that they must span at least, because many may come at once."""
PRECISE: Final = 0.1
"""How large r may be, as a fraction of X."""
FINE: Final = 0.25
"""How large r may be in any case, in seconds."""
FEWEST: Final = 10
"""Drains that are needed before `settle` may be made shorter."""
NEVER_SHORT: Final = 20
"""Drains with which none of 13,000 simulated values was too short."""
SHORT_ONE_IN: Final = 700
"""With `FEWEST` drains, about one of so many simulated values was too short, mostly by 5 %."""
RISK: Final = 0.05
COVERED: Final = 0.95
DRAINS_TO_COVER: Final = math.ceil(math.log(RISK) / math.log(COVERED))
LONGER: Final = 1.2
"""`settle` is longer than needed if it is more than this many times X + r."""
WORTH: Final = 0.5
"""The advised value must also be shorter by this many seconds."""
MOST_MORE: Final = 100_000
LONGEST: Final = 3600.0
"""The largest value of the setting `settle`."""


class Verdict(enum.StrEnum):
    """The judgement of a setting."""

    TOO_SHORT = "too short"
    RIGHT = "right"
    LONGER = "longer than needed"
    UNKNOWN = "not known"


class Doubt(enum.StrEnum):
    """The reason why more drains are needed."""

    NONE = ""
    NOTHING_CAME = "nothing came"
    FEW_DRAINS = "few drains"
    LITTLE_LOAD = "little load"
    NOT_OVER = "stopped early"
    CUT = "still coming at the end"


class Evidence(NamedTuple):
    """
    The evidence from the drains of one service. All times are seconds after the drain start.

    Attributes:
        drains: The number of drains.
        last: The time of the last connection of all drains.
        median: The median of these times.
        seconds: The connections of all drains, in each second.
        silence: Seconds from `last` until the server stopped listening, on average. A drain that
            stopped earlier counts as 0.
        own_seconds: The connections of the drain with `last`, in each second.
        own_silence: Seconds from `last` until this drain stopped listening.
        reached: The number of drains that listened until `last`.
        cut: The number of drains with a connection less than the quiet period before their end.
        longest: The longest time that a server has listened.
        settle: The setting.
        factor: How many times the propagation delay `settle` must be.
    """

    drains: int
    last: float
    median: float
    seconds: Sequence[int]
    silence: float
    own_seconds: Sequence[int]
    own_silence: float
    reached: int
    cut: int
    longest: float
    settle: float
    factor: float = 1.0


class Advice(NamedTuple):
    """
    The result.

    Attributes:
        verdict: The judgement of the current setting.
        sure: False if more drains may change the result.
        settle: The value to set. None if nothing is known.
        measure: The value with which to measure again. None if this is not needed.
        doubt: Why the result is not sure.
        more_drains: How many more drains are needed to be sure. None if no number helps.
        rate: Connections per second shortly before the last one, in all drains together.
        resolution: Seconds after the last connection in which another one may be unseen. None if
            not known.
        short_one_in: At most one of so many simulated values was too short. None if none was with
            as many drains, or if the value is not sure.
        covers: The fraction of all drains that is covered, with a confidence of 95 %.
        more_to_cover: How many more drains would cover 95 %.
    """

    verdict: Verdict
    sure: bool
    settle: float | None
    measure: float | None
    doubt: Doubt
    more_drains: int | None
    rate: float
    resolution: float | None
    short_one_in: int | None
    covers: float
    more_to_cover: int


def advise(seen: Evidence) -> Advice:
    """Judge a setting, and find the value to set."""
    rate = tail_rate(seen.seconds, seen.last)
    resolution = GAP / rate if rate else math.inf
    doubt, more = _doubt(seen, resolution)
    verdict, settle = _judged(seen, resolution, doubt)
    return Advice(
        verdict=verdict,
        sure=doubt is Doubt.NONE,
        settle=settle,
        measure=_longer(seen, resolution) if doubt in (Doubt.CUT, Doubt.NOT_OVER) else None,
        doubt=doubt,
        more_drains=more,
        rate=rate,
        resolution=resolution if math.isfinite(resolution) else None,
        short_one_in=SHORT_ONE_IN if doubt is Doubt.NONE and seen.drains < NEVER_SHORT else None,
        covers=RISK ** (1 / seen.reached) if seen.reached else 0.0,
        more_to_cover=max(0, DRAINS_TO_COVER - seen.reached),
    )


def tail_rate(seconds: Sequence[int], last: float) -> float:
    """
    Return the connections per second shortly before the last one. 0 if there are too few.

    Args:
        seconds: The connections in each second. The last number counts all later ones too.
        last: The time of the last connection.
    """
    if not seconds:
        return 0.0
    start = min(int(last), len(seconds) - 1)
    count = seconds[start]
    while start > 0 and (count < TAIL or last - start < TAIL_TIME):
        start -= 1
        count += seconds[start]
    # The time ends with a connection, which therefore does not count.
    return (count - 1) / (last - start) if count >= 2 and last > start else 0.0


def _doubt(seen: Evidence, resolution: float) -> tuple[Doubt, int | None]:
    """Return why the result is not sure, and how many more drains are needed."""
    fewest = FEWEST - seen.drains
    if seen.cut:
        return Doubt.CUT, None
    if not any(seen.seconds):
        return Doubt.NOTHING_CAME, None
    if resolution > _fine(seen):
        return Doubt.LITTLE_LOAD, _more(seen, resolution)
    if not _is_over(seen, resolution):
        return Doubt.NOT_OVER, None
    return (Doubt.FEW_DRAINS, fewest) if fewest > 0 else (Doubt.NONE, 0)


def _fine(seen: Evidence) -> float:
    return max(FINE, PRECISE * seen.last)


def _is_over(seen: Evidence, resolution: float) -> bool:
    """Return True if the silence after the last connection cannot be by chance."""
    own = tail_rate(seen.own_seconds, seen.last)
    return seen.silence >= resolution or seen.own_silence * own >= GAP


def _more(seen: Evidence, resolution: float) -> int | None:
    """Return how many more drains make the result precise, at the same load."""
    times = TAIL / sum(seen.seconds) if math.isinf(resolution) else resolution / _fine(seen)
    if times * seen.drains > MOST_MORE:
        return None
    return max(1, FEWEST - seen.drains, math.ceil(times * seen.drains) - seen.drains)


def _judged(seen: Evidence, resolution: float, doubt: Doubt) -> tuple[Verdict, float | None]:
    came_late = seen.factor * seen.last > seen.settle
    if doubt is Doubt.CUT or (doubt is Doubt.NOT_OVER and came_late):
        return Verdict.TOO_SHORT, _longer(seen, resolution)
    unsure = doubt in (Doubt.NOTHING_CAME, Doubt.LITTLE_LOAD, Doubt.NOT_OVER)
    if unsure and not came_late:
        return Verdict.UNKNOWN, None
    needed = seen.last + (min(resolution, seen.last) if unsure else resolution)
    spread = DIFFERING * (seen.last - seen.median) / math.sqrt(seen.drains)
    value = MARGIN * needed + min(spread, MOST_DIFFERING * needed)
    settle = rounded(seen.factor * value)
    if seen.settle < seen.factor * needed:
        return Verdict.TOO_SHORT, settle
    if seen.settle > LONGER * seen.factor * needed and settle < seen.settle - WORTH:
        return Verdict.LONGER, settle
    return Verdict.RIGHT, seen.settle


def _longer(seen: Evidence, resolution: float) -> float:
    """Return a value of `settle` with which the drains listen for long enough, or longer."""
    if seen.cut:
        return rounded(2 * max(seen.settle, seen.longest))
    own = tail_rate(seen.own_seconds, seen.last)
    gap = max(resolution, GAP / own if own else math.inf)
    return rounded(max(1.25 * seen.settle, 1.2 * seen.last + min(2 * gap, seen.last), 1.0))


def rounded(seconds: float) -> float:
    """Round up to a number that people would write: 2.3, 11.5 or 67."""
    steps = 10 if seconds < 5 else 2 if seconds < 30 else 1
    return min(LONGEST, math.ceil(seconds * steps - 1e-6) / steps)
