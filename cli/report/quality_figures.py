"""Figures of the back-test: what the best customers brought, and whether ranges were right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from cva_sql.cli.report.axes import label_axes, row_label, rows_area, set_ticks
from cva_sql.cli.report.page import figure
from cva_sql.cli.report.palette import ACCENT, CARD, INK, MUTED, SOFT
from cva_sql.cli.report.svg import plot_area
from cva_sql.cli.report.wording import amount, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Interval = tuple[float, float, float]  # value, lower, upper
HEIGHT = 328.0  # as the figure beside it: ten rows
QUARTERS = (0.0, 0.25, 0.5, 0.75, 1.0)
GROUPS = {"": "all customers", "_high": "high tier", "_medium": "medium tier", "_low": "low tier"}
ROW = 32.0
BLOCK = 26.0  # pixels of the title of a block of rows


def capture_figure(deciles: Sequence[tuple[int, float, float]]) -> str:
    """Share of actual spend by decile and cumulative; rows are (decile, capture, lift)."""
    captures = [0.0, *(capture for _, capture, _ in deciles)]
    ends = [k / len(deciles) for k in range(len(deciles) + 1)]
    own = [after - before for before, after in pairwise(captures)]
    lift = deciles[0][2]
    sentence = (
        f"The best tenth spent {amount(lift)} times as much as the mean customer: "
        f"{percent(captures[1])} of all. "
        f"The best half made {percent(captures[len(deciles) // 2])}."
    )

    def paint(drawing: Figure) -> None:
        axes = plot_area(drawing, left=52)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.04)
        axes.bar(ends[:-1], own, 1 / len(deciles), align="edge", color=SOFT, edgecolor=CARD)
        axes.plot([0, 1], [0, 1], color=MUTED, lw=1, ls=(0, (3, 3)))
        axes.plot(
            ends, captures, color=ACCENT, lw=2, marker="o", ms=6, mec=CARD, mew=1, clip_on=False
        )
        for axis in ("x", "y"):
            set_ticks(axes, axis, QUARTERS, [percent(t) for t in QUARTERS])
        axes.yaxis.grid(True)
        _label_lifts(axes, ends, own, captures, [found for _, _, found in deciles])
        label_axes(axes, "Share of customers, the best first", "Share of actual spend")

    legend = (
        '<p class="legend"><span><i style="background:var(--accent)"></i> so far</span>'
        '<span><i style="background:var(--soft)"></i> this tenth, with its lift</span></p>'
    )
    return figure("capture", "What the best brought", sentence, HEIGHT, paint, after=legend)


def _label_lifts(
    axes: Axes,
    ends: Sequence[float],
    own: Sequence[float],
    captures: Sequence[float],
    lifts: Sequence[float],
) -> None:
    """The lift above the bar of each tenth that is tall enough, and not under the curve's dot."""
    for k, (start, height, lift) in enumerate(zip(ends[:-1], own, lifts, strict=True)):
        is_clear = captures[k] - height > 0.08 or k == 0
        if height < 0.1 or not is_clear:
            continue
        axes.annotate(
            f"{lift:.1f}×", (start + 0.5 / len(own), height), xytext=(-3 if k == 0 else 0, 4),
            textcoords="offset points", ha="center", color=INK,
        )  # fmt: skip


def quantiles_figure(metrics: Mapping[str, Interval]) -> str | None:
    """Share of outcomes at or below p90 and p50, in all and by tier; None without any."""
    # Those whose p90 is 0 have a claim that nobody can miss: they would flatter the share.
    high = _found(metrics, "coverage_p90_positive") or _found(metrics, "coverage_p90")
    middle = _found(metrics, "coverage_p50")
    if not high:
        return None
    blocks = [("at or below p90, should be 90\u00a0%", 0.9, high)]
    blocks += [("at or below p50, should be 50\u00a0% or more", 0.5, middle)] if middle else []
    first = high[0]
    sentence = (
        f"{percent(first[1][0])} of outcomes were at or below p90 ({percent(first[1][1])} to "
        f"{percent(first[1][2])}); 90\u00a0% should be."
    )
    if middle:
        sentence += (
            f" At or below p50 were {percent(middle[0][1][0])}: more than half where the median "
            "is 0, since many buy nothing."
        )
    height = sum(BLOCK + ROW * len(rows) for _, _, rows in blocks)

    def paint(drawing: Figure) -> None:
        axes = plot_area(drawing, left=94, right=62, top=2, bottom=42)
        axes.set_xlim(0, 1)
        rows_area(axes, height)
        set_ticks(axes, "x", QUARTERS, [percent(t) for t in QUARTERS])
        axes.xaxis.grid(True)
        top = 0.0
        for title, target, rows in blocks:
            _paint_block(axes, top, title, target, rows)
            top += BLOCK + ROW * len(rows)
        label_axes(axes, "Share of outcomes", "")

    legend = (
        '<p class="legend"><span><i style="background:var(--accent)"></i> share</span>'
        '<span><i style="background:var(--soft)"></i> 95\u00a0% interval</span></p>'
    )
    return figure("ranges", "Are the ranges right", sentence, height + 44, paint, after=legend)


def _found(metrics: Mapping[str, Interval], name: str) -> list[tuple[str, Interval]]:
    return [
        (words, metrics[f"{name}{group}"])
        for group, words in GROUPS.items()
        if f"{name}{group}" in metrics
    ]


def _paint_block(
    axes: Axes, top: float, title: str, target: float, rows: Sequence[tuple[str, Interval]]
) -> None:
    row_label(axes, top + 13, title)
    first = top + BLOCK
    axes.plot([target, target], [first, first + ROW * len(rows)], color=INK, ls=(0, (3, 2)), lw=1)
    for k, (words, (value, lower, upper)) in enumerate(rows):
        place = first + ROW * (k + 0.5)
        axes.plot([lower, upper], [place, place], color=SOFT, lw=6)
        axes.plot([value], [place], marker="o", ms=8, color=ACCENT, mec=CARD, mew=1)
        row_label(axes, place, words, percent(value))
