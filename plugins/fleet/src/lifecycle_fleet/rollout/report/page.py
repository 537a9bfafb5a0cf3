"""The HTML page with the result, the timeline, the faults, and each pod. It needs no script."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Final

import lifecycle
from lifecycle_fleet.rollout.lane import Lane
from lifecycle_fleet.rollout.moves import codes
from lifecycle_fleet.rollout.outcome import outcome
from lifecycle_fleet.rollout.report.style import CSS
from lifecycle_fleet.rollout.report.timeline import MOST, Figure
from lifecycle_fleet.rollout.result import Rollout, Verdict

LEGEND: Final = (
    ("created", "created, scheduled"),
    ("starting", "starting"),
    ("ready", "ready"),
    ("unready", "not ready any more"),
    ("draining", "draining"),
)
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""The page loads and runs nothing, whatever the names in it are."""
HEADER: Final = (
    *("Pod", "Revision", "Ready after", "Not ready"),
    *("Drained in", "Grace period", "Exit code", "Restarts", "Result"),
)


def page(rollout: Rollout) -> str:
    """Return the page as HTML."""
    parts = [*_head(rollout), *_timeline(rollout), *_findings(rollout), *_pods(rollout)]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<title>{escape(rollout.headline())}</title><style>{CSS}</style></head>\n<body><main>\n"
        + "\n".join(parts)
        + "\n</main></body></html>\n"
    )


def _head(rollout: Rollout) -> Iterator[str]:
    kind = "good" if rollout.passed else "bad"
    if rollout.verdict in (Verdict.ROLLING, Verdict.STUCK):
        kind = "doubt"
    yield f"<h1>Rollout of {escape(rollout.target)} in {escape(rollout.namespace)}</h1>"
    text = rollout.headline().partition(": ")[2]
    yield f'<p class="verdict {kind}">{escape(text[:1].upper() + text[1:])}</p>'
    numbers, bad = rollout.progress, len(rollout.faults())
    starts = [each.ready_after for each in rollout.new if each.ready_after is not None]
    drains = [each.drained_in for each in rollout.lanes if each.drained_in is not None]
    tiles = (
        (f"{numbers.updated} of {numbers.desired}", "current pods", ""),
        (f"{numbers.fewest_ready} of {numbers.desired}", "fewest ready pods", ""),
        (f"{max(starts):.1f} s" if starts else "-", "slowest start", ""),
        (f"{max(drains):.1f} s" if drains else "-", "slowest drain", ""),
        (f"{bad}", "killed, cut off, or failed", "bad" if bad else "good"),
    )
    cells = (
        f'<div class="tile {style}"><b>{escape(value)}</b><span>{name}</span></div>'
        for value, name, style in tiles
    )
    yield f'<div class="tiles">{"".join(cells)}</div>'


def _timeline(rollout: Rollout) -> Iterator[str]:
    yield "<h2>Timeline</h2>"
    items = (
        '<span><svg viewBox="0 0 16 12" aria-hidden="true">'
        f'<rect width="16" height="12" rx="3" class="{style}"/></svg>{name}</span>'
        for style, name in LEGEND
    )
    yield f'<div class="legend">{"".join(items)}<span>+ new pod</span><span>- old pod</span></div>'
    yield f'<div class="card scroll" tabindex="0">{Figure(rollout).draw()}</div>'
    if len(rollout.lanes) > MOST:
        yield f'<p class="aside">{MOST} of {len(rollout.lanes)} pods are drawn.</p>'


def _findings(rollout: Rollout) -> Iterator[str]:
    texts = [*rollout.reasons]
    texts += [each.text for each in rollout.faults() if each.text not in rollout.reasons]
    if texts:
        yield "<h2>What went wrong</h2>"
        yield from (f'<div class="card fault">{escape(each)}</div>' for each in texts)
    notes = [f"{max(0.0, each.at - rollout.began):.1f} s: {each.text}" for each in rollout.notes]
    if rollout.gate:
        notes.append(rollout.gate)
    if notes:
        yield "<h2>What happened to the Deployment</h2>"
        yield from (f'<div class="card note">{escape(each)}</div>' for each in notes)


def _pods(rollout: Rollout) -> Iterator[str]:
    head = "".join(f"<th>{each}</th>" for each in HEADER)
    rows = "".join(_row(each, rollout) for each in rollout.lanes)
    yield (
        f'<h2>Pods</h2><div class="card scroll" tabindex="0"><table><tr>{head}</tr>{rows}'
        f'</table></div><p class="aside">pod-lifecycle {lifecycle.__version__}</p>'
    )


def _row(lane: Lane, rollout: Rollout) -> str:
    kind = outcome(lane)
    cells = (
        lane.name,
        str(rollout.revisions.get(lane.hash) or "-"),
        _seconds(None if lane.initial else lane.ready_after),
        _seconds(lane.gap or None),
        _seconds(lane.drained_in),
        _seconds(lane.grace),
        codes(lane) or "-",
        str(lane.restarts),
    )
    result = str(kind) or lane.problem or str(lane.phase)
    style = "wide bad" if kind.bad or lane.problem else "wide"
    return (
        "<tr>"
        + "".join(f"<td>{escape(each)}</td>" for each in cells)
        + f'<td class="{style}">{escape(result)}</td></tr>'
    )


def _seconds(given: float | None) -> str:
    return "-" if given is None else f"{given:.1f} s"
