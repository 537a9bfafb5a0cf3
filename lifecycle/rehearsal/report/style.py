"""The style sheet of the page, with a light and a dark theme."""

from __future__ import annotations

from typing import Final

CSS: Final = """
:root {
  color-scheme: light dark;
  --paper: #f6f8fa; --card: #ffffff; --ink: #1f2328; --dim: #59636e; --line: #d8dee4;
  --grid: #eaeef2; --good: #1a7f37; --bad: #cf222e; --doubt: #9a6700; --good-soft: #dafbe1; --bad-soft: #ffebe9;
  --starting: #d4a72c; --ready: #2da44e; --draining: #8250df; --stopping: #6e7781;
  --new: #218bff; --kept-solid: #9cd0ff; --known: #218bff33;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #0d1117; --card: #151b23; --ink: #e6edf3; --dim: #9198a1; --line: #2f3742;
    --grid: #222a33; --good: #3fb950; --bad: #ff7b72; --doubt: #d29922; --good-soft: #12261e; --bad-soft: #2d1517;
    --starting: #9e6a03; --ready: #238636; --draining: #8957e5; --stopping: #545d68;
    --new: #388bfd; --kept-solid: #1f4f87; --known: #388bfd40;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 ui-sans-serif, system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 32px 24px 48px; }
h1 { font-size: 15px; font-weight: 600; margin: 0; color: var(--dim); letter-spacing: .02em; }
h2 { font-size: 17px; margin: 36px 0 12px; }
code { font: 13px/1.5 ui-monospace, "SF Mono", Menlo, "DejaVu Sans Mono", monospace; }
.command { display: block; margin: 6px 0 0; overflow-wrap: anywhere; color: var(--ink); }
.verdict { font-size: 40px; line-height: 1.15; font-weight: 700; margin: 18px 0 20px;
  letter-spacing: -.02em; }
.verdict.good { color: var(--good); } .verdict.bad { color: var(--bad); }
.verdict.doubt { color: var(--doubt); }
.tiles { display: grid; gap: 12px; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); }
.tile, .card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
.tile { padding: 12px 16px; }
.tile b { display: block; font-size: 24px; line-height: 1.25; font-variant-numeric: tabular-nums; }
.tile span { color: var(--dim); font-size: 13px; }
.tile.bad b { color: var(--bad); } .tile.good b { color: var(--good); }
.card { padding: 14px 16px; margin: 0 0 14px; }
.card > header, summary { display: flex; gap: 10px; align-items: baseline; margin-bottom: 6px; }
summary { cursor: pointer; margin: 0; }
details[open] > summary { margin-bottom: 6px; }
.card header strong, summary strong { font-size: 15px; }
.aside { color: var(--dim); font-size: 13px; }
.count { font-weight: 700; color: var(--bad); font-variant-numeric: tabular-nums; }
.cause { border-left: 4px solid var(--bad); }
.cause dl { display: grid; grid-template-columns: 70px 1fr; gap: 2px 10px; margin: 8px 0 0; }
.cause dt { color: var(--dim); } .cause dd { margin: 0; }
.cause dd.change { font-weight: 600; }
.finding { border-left: 4px solid var(--starting); padding: 10px 16px; }
.legend { display: flex; flex-wrap: wrap; gap: 6px 18px; color: var(--dim); font-size: 13px;
  margin: 0 0 12px; }
.legend svg { width: 16px; height: 12px; vertical-align: -1px; margin-right: 6px; }
.scroll { overflow-x: auto; }
.scroll svg { display: block; width: 100%; min-width: 860px; height: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 5px 14px 5px 0; border-bottom: 1px solid var(--grid);
  vertical-align: top; }
th { color: var(--dim); font-weight: 500; font-size: 13px; width: 190px; }
tr:last-child th, tr:last-child td { border-bottom: 0; }
svg text { font: 11px ui-sans-serif, system-ui, -apple-system, "DejaVu Sans", sans-serif;
  fill: var(--ink); }
svg .tick { fill: var(--dim); font-size: 10.5px; } svg .strong { fill: var(--ink); font-weight: 700; }
svg .name { font-weight: 600; font-size: 12px; }
svg .tag { fill: var(--dim); font-size: 10px; }
svg .inside { fill: #ffffff; font-size: 10.5px; font-weight: 600; pointer-events: none; }
svg .grid { stroke: var(--grid); } svg .base { stroke: var(--line); }
svg .zero { stroke: var(--dim); stroke-dasharray: 3 3; }
svg .moment { stroke: var(--ink); stroke-width: 1; }
svg .starting { fill: var(--starting); } svg .ready { fill: var(--ready); }
svg .draining { fill: var(--draining); } svg .stopping { fill: var(--stopping); }
svg .new { fill: var(--new); } svg .kept { fill: var(--kept-solid); } svg .lost { fill: var(--bad); }
svg .work { fill: #ffffff; fill-opacity: .28; }
svg .known { fill: var(--known); stroke: var(--new); stroke-width: 1; stroke-opacity: .5; }
svg .mark { fill: var(--bad); fill-opacity: .85; stroke: var(--card); stroke-width: .8; }
svg .mark:hover { stroke: var(--ink); stroke-width: 1.5; fill-opacity: 1; }
svg rect:hover { filter: brightness(1.12); }
svg .kill { stroke: var(--ink); stroke-width: 2.5; fill: none; }
@media print { body { background: #fff; } .card, .tile { break-inside: avoid; } }
"""
