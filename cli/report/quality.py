"""Is it any good: what was predicted on past dates, beside what came."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from cva_sql.cli.report.axes import apply_scale, label_axes, row_label, rows_area, scale_of
from cva_sql.cli.report.page import Section, card, figure, grid, missing, table
from cva_sql.cli.report.palette import ACCENT, CARD, GRID, MUTED, SOFT
from cva_sql.cli.report.quality_figures import Interval, capture_figure, quantiles_figure
from cva_sql.cli.report.source import Source
from cva_sql.cli.report.svg import plot_area
from cva_sql.cli.report.wording import amount, counted, money, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME, TITLE = "quality", "Is it any good"
MODEL = "cva"
DECILES = (
    "as_of_date", "horizon_days", "model", "decile", "customers", "predicted_value",
    "actual_value", "lift", "capture", "purchase_probability", "buyers_rate",
)  # fmt: skip
METRICS = ("as_of_date", "model", "metric", "value", "lower", "upper")
ROW = 26.0  # pixels of a decile's row
HEADER = -19.0  # pixels from the first row up to the titles of the numbers


@dataclass(frozen=True)
class Decile:
    """A tenth of the customers by prediction, 1 the best; values are means a customer, in money.

    `lift` and `capture` are NaN where nobody spent, `chance` is None without one.
    """

    decile: int
    customers: int
    predicted: float
    actual: float
    lift: float
    capture: float
    chance: float | None
    bought: float


def quality(source: Source) -> Section:
    """The section: calibration, capture and intervals of the main model on past dates."""
    deciles, horizon, dates = _read_deciles(source)
    if not deciles:
        what = f"The model was not tried on past dates yet: {source.command('evaluate')}"
        return missing(NAME, TITLE, what)
    metrics = _read_metrics(source)
    blocks = [_calibration_figure(source, deciles, horizon)]
    if all(math.isfinite(d.capture) for d in deciles):
        blocks.append(capture_figure([(d.decile, d.capture, d.lift) for d in deciles]))
    quantiles = quantiles_figure(metrics)
    blocks.append(quantiles if quantiles else _without_quantiles())
    when = f"On {dates[0]}" if len(dates) == 1 else f"On {len(dates)} dates ({_listed(dates)})"
    sentence = (
        f"{when} the model learned only from what was before, and its predictions for "
        f"{counted(horizon, 'day')} were compared with what came: {_verdict(metrics, deciles)}."
    )
    return Section(NAME, TITLE, sentence, (grid(blocks), _table(deciles)))


def _read_deciles(source: Source) -> tuple[list[Decile], int, list[date]]:
    """The deciles of the mean over the dates, the horizon, the dates; the newest if no mean."""
    name = source.table("cva_model_deciles", DECILES)
    if name is None:
        return [], 0, []
    dates = [
        row[0]
        for row in source.rows(
            f"select distinct as_of_date from {name} where model = ? and as_of_date is not null "
            "order by 1",
            [MODEL],
        )
    ]
    rows = source.rows(
        "select decile, customers, predicted_value, actual_value, lift, capture, "
        f"purchase_probability, buyers_rate, horizon_days, as_of_date from {name} where model = ? "
        "and predicted_value is not null and actual_value is not null "
        "order by as_of_date desc nulls first, decile",
        [MODEL],
    )
    rows = [row for row in rows if row[9] == rows[0][9]]
    found = [
        Decile(
            int(row[0]), int(row[1]), row[2], row[3], _known(row[4]), _known(row[5]), row[6],
            _known(row[7]),
        )
        for row in rows
    ]  # fmt: skip
    if rows and rows[0][9] is not None:
        dates = [rows[0][9]]
    return found, int(rows[0][8]) if rows else 0, dates


def _known(value: float | None) -> float:
    return float("nan") if value is None else value


def _read_metrics(source: Source) -> dict[str, Interval]:
    """The main model's metrics, means over the dates; empty where the table is missing.

    Both ends of an interval are the value where there is none.
    """
    name = source.table("cva_model_metrics", METRICS)
    if name is None:
        return {}
    rows = source.rows(
        f"select metric, value, lower, upper from {name} where model = ? and as_of_date is null "
        "and isfinite(value)",
        [MODEL],
    )
    return {
        metric: (
            value,
            lower if lower is not None and math.isfinite(lower) else value,
            upper if upper is not None and math.isfinite(upper) else value,
        )
        for metric, value, lower, upper in rows
    }


def _listed(dates: Sequence[date]) -> str:
    return ", ".join(str(day) for day in dates)


def _verdict(metrics: dict[str, Interval], deciles: Sequence[Decile]) -> str:
    parts = []
    if "bias" in metrics:
        bias = metrics["bias"][0]
        side = "too high" if bias >= 0 else "too low"
        parts.append(f"all together it was {percent(abs(bias))} {side}")
    if "top_capture" in metrics:
        value, lower, upper = metrics["top_capture"]
        parts.append(
            f"the best tenth of the customers made {percent(value)} of the spend "
            f"({percent(lower)} to {percent(upper)})"
        )
    if not parts:
        first = deciles[0]
        parts.append(
            f"the best tenth was predicted {money(first.predicted)} a customer and spent "
            f"{money(first.actual)}"
        )
    return "; ".join(parts)


def _without_quantiles() -> str:
    return card(
        "Are the ranges right",
        "No figures on ranges: the packaged rule would have scored on these dates.",
        "",
    )


def _calibration_figure(source: Source, deciles: Sequence[Decile], horizon: int) -> str:
    first = deciles[0]
    ratio = first.predicted / first.actual if first.actual > 0 else float("nan")
    sentence = (
        f"The best tenth was predicted {money(first.predicted)} a customer in "
        f"{counted(horizon, 'day')} and spent {money(first.actual)}"
    )
    if math.isfinite(ratio):
        side = "too high" if ratio >= 1 else "too low"
        sentence += f": {percent(abs(ratio - 1))} {side}"

    def paint(drawing: Figure) -> None:
        axes = plot_area(drawing, left=34, right=132, top=28, bottom=42)
        rows_area(axes, ROW * len(deciles))
        values = np.array([x for d in deciles for x in (d.predicted, d.actual)])
        scale = scale_of(values, from_zero=True)
        apply_scale(axes, "x", scale)
        _paint_deciles(axes, deciles)
        log = ", log scale" if scale.threshold is not None else ""
        label_axes(axes, f"Mean spend ({source.unit}{log})", "Tenth")

    legend = (
        '<p class="legend"><span><i style="background:var(--soft)"></i> predicted</span>'
        '<span><i style="background:var(--accent)"></i> actual</span></p>'
    )
    return figure(
        "calibration", "Predicted and actual spend, by tenth", sentence + ".",
        ROW * len(deciles) + 70, paint, after=legend,
    )  # fmt: skip


def _paint_deciles(axes: Axes, deciles: Sequence[Decile]) -> None:
    for k, d in enumerate(deciles):
        place = ROW * (k + 0.5)
        axes.plot([d.predicted, d.actual], [place, place], color=GRID, lw=3)
        for value, colour in ((d.predicted, SOFT), (d.actual, ACCENT)):
            axes.plot([value], [place], marker="o", ms=9, color=colour, mec=CARD, mew=1)
        row_label(axes, place, str(d.decile), amount(d.actual))
        _beside(axes, place, amount(d.predicted))
    _beside(axes, HEADER, "predicted")
    row_label(axes, HEADER, "", "actual")


def _beside(axes: Axes, place: float, text: str) -> None:
    """A number left of the one that row_label puts at the figure's right edge."""
    axes.annotate(
        text, (1, place), xycoords=("figure fraction", "data"), xytext=(-62, 0),
        textcoords="offset points", va="center", ha="right", color=MUTED, annotation_clip=False,
    )  # fmt: skip


def _table(deciles: Sequence[Decile]) -> str:
    header = (
        "Tenth, the best first", "Customers", "Predicted", "Actual", "Lift", "Of all spend so far",
        "Chance to buy", "Bought",
    )  # fmt: skip
    rows = [
        [
            str(d.decile), f"{d.customers:,}", money(d.predicted), money(d.actual),
            f"{d.lift:.2f}×" if math.isfinite(d.lift) else "–", percent(d.capture),
            percent(d.chance), percent(d.bought),
        ]
        for d in deciles
    ]  # fmt: skip
    return table(header, rows, caption="Deciles of predicted value")
