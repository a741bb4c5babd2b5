"""The style sheet of the page."""

from __future__ import annotations

from collections.abc import Mapping

from cva_sql.cli.report.palette import DARK, LIGHT

# Light colours hold on paper as well: the dark ones are for screens alone.
SHEET = """
:root { color-scheme: light; LIGHT }
@media screen and (prefers-color-scheme: dark) { :root { color-scheme: dark; DARK } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 FONT;
  font-variant-numeric: tabular-nums; }
main { max-width: 1264px; margin: 0 auto; padding: 32px 24px 64px; }
header { margin-bottom: 20px; }
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 6px; letter-spacing: -.01em;
  overflow-wrap: anywhere; }
h2 { font-size: 20px; line-height: 1.3; margin: 0 0 4px; letter-spacing: -.005em; }
h3 { font-size: 15px; line-height: 1.35; margin: 0 0 2px; overflow-wrap: anywhere; }
p { margin: 0; max-width: 84ch; overflow-wrap: anywhere; }
section { margin-top: 44px; scroll-margin-top: 12px; }
.meta { max-width: none; }
.whole { white-space: nowrap; }
.meta, .note { color: var(--muted); font-size: 13.5px; overflow-wrap: anywhere; }
.meta span + span::before { content: "·"; margin: 0 8px; }
.sentence { color: var(--ink); }
.missing { color: var(--muted); border-left: 3px solid var(--edge); padding: 2px 0 2px 12px; }
.notice { border-left: 3px solid var(--down); padding: 2px 0 2px 12px; margin: 12px 0; }
nav { display: flex; flex-wrap: wrap; gap: 4px 16px; font-size: 13.5px; margin-top: 16px; }
nav a { color: var(--accent); text-decoration: none; }
nav a:hover { text-decoration: underline; }
.tiles { display: grid; grid-template-columns: repeat(5, 1fr); gap: 12px; margin-top: 18px; }
.tile, .card { background: var(--card); border: 1px solid var(--edge); border-radius: 8px; }
.tile { padding: 12px 14px; min-width: 0; }
.tile b { display: block; font-size: 25px; line-height: 1.2; letter-spacing: -.01em; }
.tile span { display: block; font-size: 13.5px; }
.tile small { display: block; font-size: 12.5px; line-height: 1.4; color: var(--muted); }
.grid { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 16px;
  margin-top: 14px; }
.grid > .tall { grid-row: span 2; }
.grid > .wide { grid-column: span 2; }
.card { margin: 0; padding: 14px 10px 10px; min-width: 0; display: flex; flex-direction: column; }
.card h3, .card p, .card .legend { padding: 0 4px; }
.card p { color: var(--muted); font-size: 13.5px; line-height: 1.45; }
.card .scroll { margin-top: 10px; border: 0; border-radius: 0; }
figure svg { display: block; width: 100%; max-width: 420px; height: auto;
  margin: auto auto 0; padding-top: 8px; }
.grid > .tall svg { margin-top: 0; }
figure svg * { stroke-linejoin: round; }
figure svg text { font-family: FONT; font-size: 12px; }
.card .legend { display: flex; flex-wrap: wrap; gap: 2px 14px; font-size: 12.5px;
  color: var(--muted); margin-top: 6px; }
.legend span { display: inline-flex; align-items: center; gap: 5px; }
.legend i { width: 10px; height: 10px; border-radius: 50%; flex: none; }
.legend .ramp { width: 84px; border-radius: 3px; background: linear-gradient(90deg, STEPS); }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--edge);
  border-radius: 8px; margin-top: 14px; }
.scroll:has(.narrow) { max-width: 780px; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; line-height: 1.4; }
th { text-align: left; font-weight: 600; color: var(--muted); font-size: 12.5px;
  vertical-align: bottom; }
th, td { padding: 6px 10px; border-bottom: 1px solid var(--grid); }
td { vertical-align: top; overflow-wrap: anywhere; min-width: 5.5em; }
tbody tr:last-child td { border-bottom: 0; }
th.n, td.n { text-align: right; min-width: 0; }
td.n { white-space: nowrap; overflow-wrap: normal; }
.card th, .card td { padding: 5px 6px; }
td small { display: block; color: var(--muted); font-size: 12.5px; }
td ol { margin: 0; padding-left: 1.4em; }
.low::before, .medium::before, .high::before { content: ""; display: inline-block; width: 8px;
  height: 8px; border-radius: 50%; margin-right: 6px; background: var(--unknown); }
.low::before { background: var(--up); }
.high::before { background: var(--down); }
dl { margin: 12px 0 0; max-width: 80ch; }
dt { font-weight: 600; margin-top: 10px; }
dd { margin: 0; }
@media screen and (max-width: 1080px) {
  .grid { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  .tiles { grid-template-columns: repeat(3, 1fr); }
}
@media screen and (max-width: 700px) {
  main { padding: 18px 10px 40px; }
  .grid { grid-template-columns: minmax(0, 1fr); gap: 12px; }
  .grid > .tall, .grid > .wide { grid-row: auto; grid-column: auto; }
  .tiles { grid-template-columns: repeat(2, 1fr); gap: 8px; }
  .tile { padding: 10px 12px; }
  .tile:first-child { grid-column: span 2; }
  .tile b { font-size: 22px; }
  .card { padding: 12px 4px 8px; }
  section { margin-top: 36px; }
  .stacked thead { display: none; }
  .stacked tr { display: block; padding: 10px 12px; border-bottom: 1px solid var(--grid); }
  .stacked tbody tr:last-child { border-bottom: 0; }
  .stacked td { display: flex; gap: 12px; justify-content: space-between; padding: 2px 0;
    border: 0; text-align: right; white-space: normal; min-width: 0; }
  .stacked td::before { content: attr(data-label); color: var(--muted); flex: none;
    text-align: left; }
  .stacked td.long { display: block; text-align: left; }
  .stacked td small { display: inline; margin-left: 8px; }
}
@media print {
  @page { margin: 12mm; }
  body { background: none; font-size: 10.5pt; print-color-adjust: exact;
    -webkit-print-color-adjust: exact; }
  main { max-width: none; padding: 0; }
  nav { display: none; }
  .grid { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 10px; }
  .tiles { grid-template-columns: repeat(5, 1fr); gap: 8px; }
  .tile b { font-size: 18px; }
  .card, .tile, tr, dt, dd, .sentence { break-inside: avoid; }
  h2, h3, .sentence, dt { break-after: avoid; }
  section { margin-top: 24px; }
  .scroll { overflow: visible; }
  .card th, .card td { padding: 3px 4px; font-size: 12px; }
}
"""
FONT = (
    'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", Arial, '
    '"PingFang SC", "Hiragino Sans", "Microsoft YaHei", "Noto Sans CJK SC", "Noto Sans JP", '
    "sans-serif"
)


def style_sheet() -> str:
    """The CSS of the page."""
    steps = ", ".join(name for name in (f"var(--step-{k})" for k in range(7)))
    words = {"LIGHT": _declared(LIGHT), "DARK": _declared(DARK), "FONT": FONT, "STEPS": steps}
    sheet = SHEET.lstrip()
    for word, css in words.items():
        sheet = sheet.replace(word, css)
    return sheet


def _declared(colours: Mapping[str, str]) -> str:
    return " ".join(f"{name}: {colour};" for name, colour in colours.items())
