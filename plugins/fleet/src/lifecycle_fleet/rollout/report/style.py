"""The style sheet of the page, with a light and a dark theme. It looks like `lifecycle rehearse`."""

from __future__ import annotations

from typing import Final

CSS: Final = """
:root {
  color-scheme: light dark;
  --paper: #f6f8fa; --card: #ffffff; --ink: #1f2328; --dim: #59636e; --line: #d8dee4;
  --grid: #eaeef2; --good: #1a7f37; --bad: #cf222e; --doubt: #9a6700;
  --created: #afb8c1; --starting: #9a6700; --ready: #1a7f37; --unready: #bc4c00; --draining: #8250df;
  --level: #218bff;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #0d1117; --card: #151b23; --ink: #e6edf3; --dim: #9198a1; --line: #2f3742;
    --grid: #222a33; --good: #3fb950; --bad: #ff7b72; --doubt: #d29922;
    --created: #545d68; --starting: #9e6a03; --ready: #238636; --unready: #bd561d; --draining: #8957e5;
    --level: #388bfd;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 ui-sans-serif, system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 32px 24px 48px; }
@media (max-width: 600px) { main { padding: 20px 12px 32px; } }
h1 { font-size: 15px; font-weight: 600; margin: 0; color: var(--dim); letter-spacing: .02em;
  overflow-wrap: anywhere; }
h2 { font-size: 17px; margin: 36px 0 12px; }
.verdict { font-size: clamp(24px, 5vw, 36px); line-height: 1.2; font-weight: 700; margin: 14px 0 20px;
  letter-spacing: -.02em; overflow-wrap: anywhere; }
.verdict.good { color: var(--good); } .verdict.bad { color: var(--bad); }
.verdict.doubt { color: var(--doubt); }
.tiles { display: grid; gap: 12px; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); }
.tile, .card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
.tile { padding: 12px 16px; }
.tile b { display: block; font-size: 24px; line-height: 1.25; font-variant-numeric: tabular-nums; }
.tile span { color: var(--dim); font-size: 13px; }
.tile.bad b { color: var(--bad); } .tile.good b { color: var(--good); }
.card { padding: 14px 16px; margin: 0 0 14px; overflow-wrap: anywhere; }
.fault { border-left: 4px solid var(--bad); padding: 10px 16px; }
.note { border-left: 4px solid var(--starting); padding: 10px 16px; }
.legend { display: flex; flex-wrap: wrap; gap: 6px 18px; color: var(--dim); font-size: 13px;
  margin: 0 0 12px; }
.legend svg { width: 16px; height: 12px; vertical-align: -1px; margin-right: 6px; }
.scroll { overflow-x: auto; }
.scroll svg { display: block; width: 100%; min-width: 860px; height: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 5px 14px 5px 0; border-bottom: 1px solid var(--grid);
  vertical-align: top; white-space: nowrap; overflow-wrap: normal; }
td.wide { white-space: normal; min-width: 220px; overflow-wrap: anywhere; }
th { color: var(--dim); font-weight: 500; font-size: 13px; }
tr:last-child td { border-bottom: 0; }
td.bad { color: var(--bad); font-weight: 600; }
.aside { color: var(--dim); font-size: 13px; }
svg text { font: 11px ui-sans-serif, system-ui, -apple-system, "DejaVu Sans", sans-serif;
  fill: var(--ink); }
svg .tick { fill: var(--dim); font-size: 10.5px; }
svg .name { font-weight: 600; font-size: 12px; }
svg .tag { fill: var(--dim); font-size: 10.5px; } svg .tag.bad { fill: var(--bad); }
svg .inside { fill: #ffffff; font-size: 10.5px; font-weight: 600; pointer-events: none; }
svg .grid { stroke: var(--grid); } svg .base { stroke: var(--line); }
svg .mark { stroke: var(--dim); stroke-dasharray: 3 3; }
svg .created { fill: var(--created); } svg .starting { fill: var(--starting); }
svg .ready { fill: var(--ready); } svg .unready { fill: var(--unready); }
svg .draining { fill: var(--draining); }
svg .level { fill: var(--level); fill-opacity: .25; stroke: var(--level); }
svg .kill { stroke: var(--bad); stroke-width: 2.5; fill: none; }
svg rect:hover { filter: brightness(1.12); }
@media print { body { background: #fff; } .card, .tile { break-inside: avoid; } }
"""
