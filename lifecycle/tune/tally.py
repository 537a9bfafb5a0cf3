"""The drains of one service, added up in constant memory."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Final, NamedTuple, TypeAlias

from lifecycle.tune.rule import FEWEST, Evidence
from lifecycle.tune.seen_drain import SECONDS_LISTED, SeenDrain, Series

FINE_UNTIL: Final = 120.0
STEP: Final = 0.02
"""Seconds to which times are rounded, up to `FINE_UNTIL`. Later times are rounded by 1 %."""
COARSE: Final = math.log(1.01)
BARS: Final = 8
"""Rows of a histogram at most."""
SETTINGS_KEPT: Final = 20
"""Different settings whose drains are kept apart. Those of the oldest ones are then dropped."""

Settings: TypeAlias = tuple[float, ...]
"""`settle`, `quiet`, `grace_period` and `stop_timeout`."""


class Times:
    """Times, rounded down, with how often each one occurred."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self.total = 0

    def add(self, seconds: float) -> None:
        """Add a time."""
        self._counts[_key(seconds)] += 1
        self.total += 1

    def merge(self, other: Times) -> None:
        """Add other times."""
        self._counts += other._counts
        self.total += other.total

    def __iter__(self) -> Iterator[tuple[float, int]]:
        """Iterate over the times from the smallest, with their counts."""
        return ((_time(key), self._counts[key]) for key in sorted(self._counts))

    def quantile(self, fraction: float) -> float:
        """Return the smallest time that at least this fraction of the times does not exceed."""
        rank, seen, found = max(1, math.ceil(fraction * self.total)), 0, 0.0
        for time, count in self:
            seen, found = seen + count, time
            if seen >= rank:
                break
        return found


def _key(seconds: float) -> int:
    if seconds < FINE_UNTIL:
        return int(seconds / STEP + 1e-6)
    return int(FINE_UNTIL / STEP) + int(math.log(seconds / FINE_UNTIL) / COARSE)


def _time(key: int) -> float:
    fine = int(FINE_UNTIL / STEP)
    if key < fine:
        return round(key * STEP, 3)
    return round(FINE_UNTIL * math.exp((key - fine) * COARSE), 3)


class Bar(NamedTuple):
    """
    One row of a histogram.

    Attributes:
        low: The start of the range, in seconds.
        high: Its end, which does not belong to it.
        drains: The number of drains in it.
    """

    low: float
    high: float
    drains: int


class Longest(NamedTuple):
    """
    The drain in which the last one came latest.

    Attributes:
        last: The time of the last one, in seconds after the drain start.
        seconds: How many came in each second.
        silence: Seconds from then until the server stopped listening.
        where: The place of its report, for example `orders.log:17`.
    """

    last: float = -1.0
    seconds: tuple[int, ...] = ()
    silence: float = 0.0
    where: str = ""


class Samples(NamedTuple):
    """
    The drains of one service, by what they show.

    Attributes:
        connections: The drains in which new connections are known.
        requests: The drains in which only requests are known.
    """

    connections: Sample
    requests: Sample


class Sample:
    """The connections, or the requests, of the drains of one service."""

    def __init__(self) -> None:
        self.last_times = Times()
        self.ends = Times()
        self.seconds = [0] * SECONDS_LISTED
        self.cut = 0
        self.after_closing = 0
        """Connections that were in the accept queue when the listener closed."""
        self.longest = Longest()
        self.latest_end = 0.0
        self.first = math.inf
        """The smallest time of a last one."""

    def add(self, series: Series, drain: SeenDrain, where: str) -> None:
        """Add a drain."""
        end = max(drain.listened, series.last)
        silence = end - series.last
        self.last_times.add(series.last)
        self.ends.add(end)
        self.first = min(self.first, series.last)
        self.latest_end = max(self.latest_end, end)
        for second, count in enumerate(series.seconds):
            self.seconds[second] += count
        self.cut += bool(series.seconds) and silence < 0.9 * drain.quiet
        self.after_closing += drain.after_closing
        if series.last > self.longest.last:
            self.longest = Longest(series.last, series.seconds, silence, where)

    def quantile(self, fraction: float) -> float:
        """Return the time of a last one that at least this fraction of the drains does not exceed."""
        return min(max(self.first, self.last_times.quantile(fraction)), self.longest.last)

    def merge(self, other: Sample) -> None:
        """Add the drains of another sample."""
        self.last_times.merge(other.last_times)
        self.ends.merge(other.ends)
        self.seconds = [own + its for own, its in zip(self.seconds, other.seconds, strict=True)]
        self.cut += other.cut
        self.after_closing += other.after_closing
        self.longest = max(self.longest, other.longest, key=lambda each: each.last)
        self.latest_end = max(self.latest_end, other.latest_end)
        self.first = min(self.first, other.first)

    @property
    def drains(self) -> int:
        """The number of drains."""
        return self.last_times.total

    def evidence(self, settle: float, factor: float) -> Evidence:
        """Return what the rule needs. There must be a drain."""
        last = self.longest.last
        silent = math.fsum(max(0.0, end - last) * count for end, count in self.ends)
        seconds = [*self.seconds]
        while seconds and not seconds[-1]:
            seconds.pop()
        return Evidence(
            drains=self.drains,
            last=last,
            median=self.quantile(0.5),
            seconds=seconds,
            silence=silent / self.drains,
            own_seconds=self.longest.seconds,
            own_silence=self.longest.silence,
            reached=max(1, sum(count for end, count in self.ends if end >= last)),
            cut=self.cut,
            longest=self.latest_end,
            settle=settle,
            factor=factor,
        )

    def histogram(self) -> list[Bar]:
        """Return the distribution of the times at which the last one came."""
        low, high = self.first, self.longest.last
        width = _round_width((high - low) / BARS)
        first = math.floor(low / width)
        counts: Counter[int] = Counter()
        for time, count in self.last_times:
            counts[math.floor(time / width + 1e-6)] += count
        first = min(first, *counts)
        return [
            Bar(round(at * width, 3), round((at + 1) * width, 3), counts[at])
            for at in range(first, max(counts) + 1)
        ]


def _round_width(least: float) -> float:
    """Return the next larger width that people would choose, for example 0.1, 0.2, 0.5 or 1."""
    least = max(least, 0.1)
    power = 10.0 ** math.floor(math.log10(least))
    return next(round(power * step, 3) for step in (1, 2, 5, 10) if power * step >= least - 1e-9)


class Tally:
    """
    The drains of one service.

    Drains with older settings may have ended too early, for example because the grace period was
    too short. So they are left out once there are enough drains with the newest settings.

    Attributes:
        hurried: The number of drains that did not wait for their clients. They are not used.
        blind: The number of drains in which nothing is known. They are not used.
        newest: The newest drain, whose settings are those in force.
        factor: How many times the propagation delay `settle` must be.
    """

    def __init__(self, first: SeenDrain) -> None:
        self.hurried = 0
        self.blind = 0
        self.newest = first
        self.factor = 1.0
        self._by_settings: dict[Settings, Samples] = {}

    def add(self, drain: SeenDrain, where: str) -> None:
        """Add a drain. `where` is the place of its report."""
        if drain.timestamp >= self.newest.timestamp:
            self.newest = drain
        self.factor = max(self.factor, drain.settle_factor)
        if not drain.waited:
            self.hurried += 1
            return
        samples = self._samples(_settings(drain))
        if drain.connections is not None:
            samples.connections.add(drain.connections, drain, where)
        elif drain.requests is not None:
            samples.requests.add(drain.requests, drain, where)
        else:
            self.blind += 1

    def _samples(self, settings: Settings) -> Samples:
        if settings not in self._by_settings and len(self._by_settings) >= SETTINGS_KEPT:
            self._by_settings.pop(next(iter(self._by_settings)))
        return self._by_settings.setdefault(settings, Samples(Sample(), Sample()))

    def used(self) -> Samples:
        """
        Return the drains with the newest settings if they are enough, else all drains.

        Older drains that ended while clients still came show only that they were too short. They
        are left out if the newest drains listened for longer.
        """
        newest = self._by_settings.get(_settings(self.newest), Samples(Sample(), Sample()))
        if max(newest.connections.drains, newest.requests.drains) >= FEWEST:
            return newest
        together = Samples(Sample(), Sample())
        for each in self._by_settings.values():
            for whole, part, latest in zip(together, each, newest, strict=True):
                if not part.cut or part.latest_end >= latest.latest_end:
                    whole.merge(part)
        return together

    @property
    def drains(self) -> int:
        """The number of drains that can be used, with any settings."""
        every = self._by_settings.values()
        return sum(each.connections.drains + each.requests.drains for each in every)


def _settings(drain: SeenDrain) -> Settings:
    return drain.settle, drain.quiet, drain.grace_period, drain.stop_timeout
