"""The results as text for people."""

from __future__ import annotations

import math

from lifecycle.tune.findings import Finding, setting
from lifecycle.tune.rule import NEVER_SHORT, Advice, Doubt, Verdict
from lifecycle.tune.tally import Sample

WIDTH = 40
"""Characters of the longest bar of a histogram."""


def render(found: list[Finding]) -> str:
    """Return the text for all services."""
    return "\n\n".join("\n".join(_service(each)) for each in found)


def _service(found: Finding) -> list[str]:
    advice = found.advice
    if advice is None:
        return [f"{found.service}: not known", *_indented(_without_drains(found))]
    shown = [f"{found.service}: {_headline(found, advice)}"]
    shown += _indented([*_times(found), *_histogram(found.sample)])
    shown += _indented([*_evidence(found, advice), *_next(found, advice)])
    return shown


def _indented(lines: list[str]) -> list[str]:
    return [f"  {line}" if line else "" for line in lines]


def _headline(found: Finding, advice: Advice) -> str:
    settle = found.tally.newest.settle
    again = " and measure again" if advice.measure is not None else ""
    match advice.verdict:
        case Verdict.UNKNOWN if again:
            return f"not known. Set {setting(found)}{again}"
        case Verdict.UNKNOWN:
            return f"not known. Keep {setting(found)}"
        case Verdict.RIGHT:
            return f"settle is right. Keep {setting(found)}"
        case Verdict.LONGER if not advice.sure:
            return f"settle may be longer than needed. Keep {setting(found)} for now"
        case _:
            return f"settle ({settle:g} s) is {advice.verdict}. Set {setting(found)}{again}"


def _without_drains(found: Finding) -> list[str]:
    tally = found.tally
    lines = []
    if tally.hurried:
        lines.append(
            f"{_count(tally.hurried, 'drain')} did not wait for clients, for example because main "
            "ended by itself or a second signal came."
        )
    if tally.blind:
        lines.append(
            f"{_count(tally.blind, 'drain')} did not count requests. Use "
            "lifecycle.asgi.Middleware, a plugin, or lifecycle run -- COMMAND."
        )
    return lines


def _times(found: Finding) -> list[str]:
    sample = found.sample
    what = "new connection" if found.by_connections else "request"
    median, most = sample.quantile(0.5), sample.quantile(0.9)
    lines = [
        f"{_count(sample.drains, 'drain')}. Seconds from the drain start to the last {what}:",
        f"min {sample.first:.2f}, median {median:.2f}, p90 {most:.2f}, "
        f"max {sample.longest.last:.2f} ({sample.longest.where})",
    ]
    if not found.by_connections:
        lines.append(
            "Your server does not show its connections. Requests on keep-alive connections count "
            "too, so a shorter time may be enough."
        )
    return lines


def _histogram(sample: Sample) -> list[str]:
    bars = sample.histogram()
    if sample.drains < 2:
        return []
    most = max(bar.drains for bar in bars)
    ranges = [f"{bar.low:g}-{bar.high:g} s" for bar in bars]
    width = max(map(len, ranges))
    return [
        f"  {shown:>{width}}  {bar.drains:>6}  {'█' * -(-bar.drains * WIDTH // most)}".rstrip()
        for shown, bar in zip(ranges, bars, strict=True)
    ]


def _evidence(found: Finding, advice: Advice) -> list[str]:
    sample, lines = found.sample, []
    if sample.cut:
        lines.append(
            f"In {sample.cut:,} of {_count(sample.drains, 'drain')}, clients still came when the "
            f"server stopped listening, at most {sample.latest_end:.1f} s after the drain start."
        )
    if sample.after_closing:
        lines.append(
            f"{_count(sample.after_closing, 'connection')} came while a server closed its listener."
        )
    if advice.resolution is not None and not sample.cut:
        lines.append(
            f"Shortly before the last one, {_rate(advice.rate)} came per second in all drains "
            f"together. So a later one within {_short(advice.resolution)} s may be unseen."
        )
    if advice.doubt in (Doubt.NONE, Doubt.FEW_DRAINS):
        lines.append(_coverage(advice))
    if advice.sure and advice.short_one_in is not None:
        lines.append(
            f"In simulations of so few drains, about 1 of {advice.short_one_in} values was too short. "
            f"With {NEVER_SHORT} drains, none was."
        )
    if found.left_out:
        lines.append(
            f"{_count(found.left_out, 'drain')} did not show connections, and are left out."
        )
    if found.older:
        lines.append(f"{_count(found.older, 'drain')} had other settings, and are left out.")
    return lines


def _coverage(advice: Advice) -> str:
    percent = math.floor(100 * advice.covers)
    covers = f"These drains cover at least {percent} % of all drains (95 % confidence)."
    if not advice.more_to_cover:
        return covers
    return f"{covers} {_count(advice.more_to_cover, 'more drain')} would cover 95 %."


def _next(found: Finding, advice: Advice) -> list[str]:
    lines = []
    more = advice.more_drains
    match advice.doubt:
        case Doubt.CUT:
            lines.append(
                "If a single client causes this (see disturbed_by in the report), add its user "
                "agent to LIFECYCLE_QUIET_IGNORE."
            )
        case Doubt.NOTHING_CAME:
            lines.append(
                "Nothing came after the drain start. Either there is no load, or all clients "
                "notice at once. Measure again under load."
            )
        case Doubt.LITTLE_LOAD if more:
            lines.append(f"Not sure, because there is little load. {_need(more)}")
        case Doubt.LITTLE_LOAD:
            lines.append("Not sure, because there is little load. Measure again under more load.")
        case Doubt.NOT_OVER:
            lines.append(
                "Not sure, because the servers stopped listening too early. With this load, another "
                "connection could have come later."
            )
        case Doubt.FEW_DRAINS if more:
            lines.append(f"Not sure, because there are few drains. {_need(more)}")
            lines.append(f"The estimate so far is LIFECYCLE_SETTLE={advice.settle:g}.")
    if found.grace_period is not None:
        least = f"{found.grace_period:g}"
        lines.append(
            f"Set LIFECYCLE_GRACE_PERIOD and terminationGracePeriodSeconds to at least {least} s. "
            f"Now: {found.tally.newest.grace_period:g} s."
        )
    if found.tally.factor > 1:
        lines.append(
            f"The value is {found.tally.factor:g} times the measured time, because this server "
            "renews its connections and closes its port when settle is over (gRPC)."
        )
    return lines


def _need(more: int) -> str:
    return f"{_count(more, 'more drain')} {'is' if more == 1 else 'are'} needed at the same load."


def _rate(per_second: float) -> str:
    return f"{per_second:,.0f}" if per_second >= 10 else f"{per_second:.2g}"


def _short(seconds: float) -> str:
    return f"{seconds:.2f}" if seconds < 1 else f"{seconds:.1f}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
