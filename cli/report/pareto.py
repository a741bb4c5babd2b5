"""Who holds the predicted value: the Pareto curve, and the value tiers on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cva_sql.cli.report.axes import Floats, label_axes, set_ticks
from cva_sql.cli.report.head import Overview
from cva_sql.cli.report.page import card, figure, table
from cva_sql.cli.report.palette import ACCENT, CARD, GRID, INK, MUTED, SOFT
from cva_sql.cli.report.source import VALUE, Source
from cva_sql.cli.report.svg import plot_area
from cva_sql.cli.report.wording import amount, percent, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS = 200  # of the curve
HEIGHT = 270.0
TIERS = ("high", "medium", "low")


@dataclass(frozen=True)
class Pareto:
    """Cumulative shares from the best customer down, both starting at 0.

    `tiers` are the share of customers and of value up to the end of each tier.
    """

    customers: Floats
    value: Floats
    tiers: dict[str, tuple[float, float]]


def read_pareto(source: Source) -> Pareto:
    """The curve of all customers; their predictions must not all be 0."""
    rows = source.rows(
        "with ordered as (select row_number() over best as place, count(*) over () as size, "
        "sum(greatest(predicted_value, 0)::decimal(38, 6)) over (best rows unbounded preceding) "
        f"as so_far, value_tier from {VALUE} "
        "window best as (order by predicted_value desc, customer_id)) "
        "select max(place), max(size), max(so_far)::double, max(value_tier) from ordered "
        f"group by (place * {POINTS}) // size, value_tier order by 1"
    )
    place = np.array([0.0, *(float(row[0]) for row in rows)])
    so_far = np.array([0.0, *(float(row[2]) for row in rows)])
    customers, value = place / place[-1], so_far / so_far[-1]
    ends = {}
    for k, row in enumerate(rows):
        if row[3] in TIERS:
            ends[row[3]] = (float(customers[k + 1]), float(value[k + 1]))
    return Pareto(customers, value, {tier: ends[tier] for tier in TIERS if tier in ends})


def pareto_figure(curve: Pareto) -> str:
    """The curve as HTML."""
    parts = [
        f"the best {percent(customers)} of customers hold {percent(value)}"
        for tier, (customers, value) in curve.tiers.items()
        if tier != "low" and customers < 1
    ]
    sentence = (
        f"Of all predicted value, {' and '.join(parts)}."
        if parts
        else "All customers are of one value tier."
    )

    def paint(drawing: Figure) -> None:
        axes = plot_area(drawing, left=52, top=44)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.plot([0, 1], [0, 1], color=MUTED, lw=1, ls=(0, (3, 3)))
        axes.fill_between(curve.customers, curve.value, color=SOFT, alpha=0.35, lw=0)
        _paint_tiers(axes, curve)
        axes.plot(curve.customers, curve.value, color=ACCENT, lw=2, clip_on=False)
        ticks = [0, 0.2, 0.4, 0.6, 0.8, 1]
        for axis in ("x", "y"):
            set_ticks(axes, axis, ticks, [percent(t) for t in ticks])
        axes.yaxis.grid(True)
        label_axes(axes, "Share of customers, the best first", "Share of predicted value")

    return figure("pareto", "Who holds the value", sentence, HEIGHT, paint)


def _paint_tiers(axes: Axes, curve: Pareto) -> None:
    """Where each value tier ends, and its name where there is room for it."""
    start = 0.0
    for tier, (end, value) in curve.tiers.items():
        if (end - start) * 300 > text_width(tier) + 6:
            axes.annotate(
                tier, ((start + end) / 2, 1), xycoords=("data", "axes fraction"), xytext=(0, 4),
                textcoords="offset points", ha="center", color=MUTED,
            )  # fmt: skip
        if end < 1:
            axes.axvline(end, color=GRID, lw=1)
            axes.plot(
                [end],
                [value],
                marker="o",
                ms=6,
                color=ACCENT,
                mec=CARD,
                mew=1.5,
                zorder=3,
                clip_on=False,
            )
            axes.annotate(
                percent(value), (end, value), xytext=(6, -15), textcoords="offset points", color=INK
            )
        start = end


def tiers_card(source: Source, overview: Overview) -> str:
    """The value tiers in figures, as HTML."""
    found = {
        row[0]: row[1:]
        for row in source.rows(
            "select value_tier, count(*), sum(predicted_value::decimal(38, 6))::double, "
            f"sum(purchase_probability::decimal(38, 9))::double from {VALUE} group by 1"
        )
    }
    tiers = {tier: found[tier] for tier in TIERS if tier in found}
    rows = [
        [
            tier,
            f"{count:,}",
            amount(predicted / count),
            percent(predicted / overview.predicted),
            percent(buyers / count),
        ]
        for tier, (count, predicted, buyers) in tiers.items()
    ]
    means = ", ".join(
        f"{amount(value / n)} in tier {tier}" for tier, (n, value, _) in tiers.items()
    )
    sentence = f"The mean prediction is {means}. Chance is the mean chance to buy."
    header = ("Tier", "Customers", "Predicted", "Of all", "Chance")
    return card("Value tiers", sentence, table(header, rows, caption="Value tiers"))
