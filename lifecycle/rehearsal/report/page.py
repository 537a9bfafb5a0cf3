"""The HTML page: the result, the timelines, the losses and what to change."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from html import escape
from typing import Final

from lifecycle.rehearsal.report.style import CSS
from lifecycle.rehearsal.report.timeline import Figure
from lifecycle.rehearsal.verdict.judge import Verdict
from lifecycle.rehearsal.verdict.result import LossGroup, Result
from lifecycle.version import VERSION

OPEN: Final = 4
"""The number of timelines that are open at first."""
MOST: Final = 20
"""The number of timelines that are drawn. Of more, the first and those with losses are chosen."""

LEGEND: Final = (
    ('<rect width="16" height="12" rx="3" class="starting"/>', "starting"),
    ('<rect width="16" height="12" rx="3" class="ready"/>', "ready"),
    ('<rect width="16" height="12" rx="3" class="draining"/>', "preStop"),
    ('<rect width="16" height="12" rx="3" class="stopping"/>', "SIGTERM to exit"),
    ('<path d="M0 1H6L16 12H0z" class="known"/>', "clients that use the endpoint"),
    ('<rect width="16" height="12" class="new"/>', "answered on new connections"),
    ('<rect width="16" height="12" class="kept"/>', "answered on keep-alive connections"),
    ('<rect width="16" height="12" class="lost"/>', "lost"),
    ('<circle cx="8" cy="6" r="4" class="mark"/>', "lost on a new connection"),
    ('<path d="M8 0l6 6l-6 6l-6 -6z" class="mark"/>', "lost on a keep-alive connection"),
)


def page(result: Result) -> str:
    """Return the page as HTML."""
    parts = [*_head(result), *_timelines(result), *_causes(result), *_details(result)]
    title = f"rehearsal: {result.headline()}"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<title>{escape(title)}</title><style>{CSS}</style></head>\n<body><main>\n"
        + "\n".join(parts)
        + "\n</main></body></html>\n"
    )


def _head(result: Result) -> Iterator[str]:
    tally, plan = result.tally, result.template.plan
    kind = {Verdict.PASSED: "good", Verdict.INCONCLUSIVE: "doubt"}.get(result.verdict, "bad")
    verdict = result.headline()
    yield "<h1>Rollout rehearsal</h1>"
    yield f'<code class="command">{escape(shlex.join(plan.command))}</code>'
    yield f'<p class="verdict {kind}">{escape(verdict[:1].upper() + verdict[1:])}</p>'
    new, kept = tally.lost(kept=False), tally.lost(kept=True)
    out = [each.seconds for rollout in result.rollouts for each in rollout.left]
    rollouts = f"{len(result.rollouts)} x {plan.replicas}"
    tiles = (
        (f"{tally.requests:,}", "requests", ""),
        (f"{new:,}", "lost on new connections", "bad" if new else "good"),
        (f"{kept:,}", "lost on keep-alive connections", "bad" if kept else "good"),
        (rollouts, "rollouts x replicas", ""),
        (f"{max(out, default=0.0):.1f} s", "slowest exit of a replica", ""),
        (f"{tally.lateness.quantile(0.99) * 1000:.0f} ms", "load generator late (p99)", ""),
    )
    cells = (
        f'<div class="tile {style}"><b>{value}</b><span>{name}</span></div>'
        for value, name, style in tiles
    )
    yield f'<div class="tiles">{"".join(cells)}</div>'


def _timelines(result: Result) -> Iterator[str]:
    yield "<h2>Timeline</h2>"
    items = (
        f'<span><svg viewBox="0 0 16 12" aria-hidden="true">{shape}</svg>{name}</span>'
        for shape, name in LEGEND
    )
    yield f'<div class="legend">{"".join(items)}</div>'
    figures = [(rollout, Figure(result, rollout)) for rollout in result.rollouts]
    if len(figures) > MOST:
        lossy = [pair for pair in figures if pair[1].lost and pair is not figures[0]]
        figures = [figures[0], *lossy[: MOST - 1]]
        yield f'<p class="aside">{len(figures)} of {len(result.rollouts)} rollouts are drawn</p>'
    if result.lost_outside:
        yield f'<p class="aside">{result.lost_outside:,} lost outside of a rollout</p>'
    open_ = 0
    for rollout, figure in figures:
        first = rollout is result.rollouts[0]
        shown = open_ < OPEN and (first or figure.lost > 0 or len(result.rollouts) <= OPEN)
        open_ += shown
        lost = f'<span class="count">{figure.lost:,} lost</span>' if figure.lost else "nothing lost"
        codes = ", ".join(str(code) for code in rollout.exit_codes)
        yield (
            f'<details class="card"{" open" * shown}><summary><strong>Rollout {rollout.number}'
            f'</strong> {lost} <span class="aside">{rollout.seconds:.1f} s from the first drain start to the '
            f"last exit · exit codes {codes}</span></summary>"
            f'<div class="scroll">{figure.draw()}</div></details>'
        )


def _causes(result: Result) -> Iterator[str]:
    groups, findings = result.groups(), result.findings()
    if groups:
        yield "<h2>What was lost, and what to change</h2>"
        yield from map(_cause, groups)
    if findings:
        yield "<h2>Also found</h2>"
        yield from (f'<div class="card finding">{escape(each)}</div>' for each in findings)


def _cause(group: LossGroup) -> str:
    span = group.span()
    when = f" · {span}" if span else ""
    protocol = "" if group.protocol == "http1" else f" · {group.protocol}"
    details = " · ".join(sorted({loss.detail for loss, _ in group.losses})[:3])
    return (
        f'<div class="card cause"><header><span class="count">{len(group.losses):,}x</span>'
        f"<strong>{escape(group.cause)} on {group.connections}</strong>"
        f'<span class="aside">{escape(group.when + when + protocol)}</span></header><dl>'
        f"<dt>why</dt><dd>{escape(group.advice.why)}</dd>"
        f'<dt>change</dt><dd class="change">{escape(group.advice.change)}</dd>'
        f'<dt>seen</dt><dd class="aside">{escape(details)}</dd></dl></div>'
    )


def _details(result: Result) -> Iterator[str]:
    plan, tally, late = result.template.plan, result.tally, result.tally.lateness
    traffic = plan.traffic
    slow = f", {traffic.slow_share:.1%} of them {traffic.slow}" if traffic.slow else ""
    body = f", each with {traffic.body_size:,} bytes" if traffic.body_size else ""
    rows: Iterable[tuple[str, str]] = (
        ("readiness", result.template.readiness),
        ("preStop", result.template.hook.name),
        ("grace period", f"{plan.grace:g} s"),
        ("endpoint removal", f"reaches each client within {traffic.propagation:g} s"),
        (
            "requests",
            f"{traffic.verb} {', '.join(traffic.paths)}{slow}{body} over "
            f"{', '.join(traffic.protocols)}, {traffic.rate:g} per second on new connections "
            "(open loop)",
        ),
        (
            "clients",
            f"{traffic.clients}, of which {traffic.keepers} keep their connection (closed loop): "
            f"{traffic.busy:.0%} of these never idle, the others idle for {traffic.think:g} s",
        ),
        ("longest answer", f"{tally.longest:.2f} s"),
        ("found closed before writing", f"{tally.closed_idle:,} keep-alive connections (not lost)"),
        ("sent again", f"{tally.repeated:,} requests that the server had declined (not lost)"),
        (
            "load generator",
            f"{result.processes} process(es), late by p50 {late.quantile(0.5) * 1000:.1f} ms, p99 "
            f"{late.quantile(0.99) * 1000:.1f} ms, at most {late.longest * 1000:.1f} ms",
        ),
        ("by", f"pod-lifecycle {VERSION}"),
    )
    cells = (f"<tr><th>{name}</th><td>{escape(text)}</td></tr>" for name, text in rows)
    yield f'<h2>How it was rehearsed</h2><div class="card"><table>{"".join(cells)}</table></div>'
