"""The result for each service: the advice, and the numbers behind it."""

from __future__ import annotations

from typing import Any, NamedTuple

from lifecycle.tune.rule import Advice, Verdict, advise
from lifecycle.tune.survey import Survey
from lifecycle.tune.tally import Sample, Tally


class Finding(NamedTuple):
    """
    The result for one service.

    Attributes:
        service: The name of the service, or of several, with commas.
        tally: Its drains.
        sample: The connections of the drains that are used, or the requests if no connections are
            known.
        by_connections: True if new connections are known. Otherwise requests are used.
        left_out: The drains in which only requests are known, although others show connections.
        advice: The advice. None if no drain can be used.
    """

    service: str
    tally: Tally
    sample: Sample
    by_connections: bool
    left_out: int
    advice: Advice | None

    @property
    def verdict(self) -> Verdict:
        """The judgement."""
        return self.advice.verdict if self.advice is not None else Verdict.UNKNOWN

    @property
    def older(self) -> int:
        """The number of drains with older settings, which are not used."""
        return self.tally.drains - self.sample.drains - self.left_out

    @property
    def settle(self) -> float:
        """The value to set: the advised one, one with which to measure again, or the current one."""
        advice, current = self.advice, self.tally.newest.settle
        if advice is None or (advice.verdict is Verdict.LONGER and not advice.sure):
            return current
        return advice.settle or advice.measure or current

    @property
    def grace_period(self) -> float | None:
        """The least grace period for the advised `settle`, if the current one is too short."""
        newest = self.tally.newest
        least = self.settle + newest.quiet + newest.stop_timeout + 2
        return least if least > newest.grace_period else None


def findings(survey: Survey) -> list[Finding]:
    """Return the result for each service, sorted by name."""
    return [_finding(name, tally) for name, tally in sorted(survey.tallies.items())]


def _finding(name: str, tally: Tally) -> Finding:
    used = tally.used()
    by_connections = used.connections.drains > 0
    sample = used.connections if by_connections else used.requests
    advice = None
    if sample.drains:
        advice = advise(sample.evidence(tally.newest.settle, tally.factor))
    left_out = used.requests.drains if by_connections else 0
    return Finding(name, tally, sample, by_connections, left_out, advice)


def as_json(found: list[Finding], survey: Survey) -> dict[str, Any]:
    """Return the results as JSON values."""
    return {
        "services": [_json(each) for each in found],
        "reports": survey.reports,
        "lines": survey.lines,
        "unreadable": survey.unread,
        "old": survey.old,
    }


def _json(found: Finding) -> dict[str, Any]:
    advice, sample, tally = found.advice, found.sample, found.tally
    newest = tally.newest
    result: dict[str, Any] = {
        "service": found.service,
        "verdict": found.verdict.value,
        "sure": advice is not None and advice.sure,
        "settle": newest.settle,
        "advised": None if advice is None else advice.settle,
        "setting": setting(found),
        "grace_period_at_least": found.grace_period,
        "basis": "connections" if found.by_connections else "requests",
        "drains": sample.drains,
        "not_used": {
            "older": found.older,
            "hurried": tally.hurried,
            "unknown": tally.blind,
            "requests": found.left_out,
        },
        "after_closing": sample.after_closing,
    }
    if advice is not None:
        result |= {
            "doubt": advice.doubt.value,
            "measure_with": advice.measure,
            "more_drains": advice.more_drains,
            "rate": round(advice.rate, 3),
            "resolution": None if advice.resolution is None else round(advice.resolution, 3),
            "short_one_in": advice.short_one_in,
            "covers": round(advice.covers, 3),
            "more_drains_to_cover_95_percent": advice.more_to_cover,
            "cut": sample.cut,
            "last": {
                "min": round(sample.first, 3),
                "median": round(sample.quantile(0.5), 3),
                "p90": round(sample.quantile(0.9), 3),
                "max": round(sample.longest.last, 3),
                "max_in": sample.longest.where,
            },
            "histogram": [bar._asdict() for bar in sample.histogram()],
        }
    return result


def setting(found: Finding) -> str:
    """Return the line to write, for example `LIFECYCLE_SETTLE=2.3`."""
    return f"LIFECYCLE_SETTLE={found.settle:g}"
