"""How good predictions are: what was predicted on past dates, beside what came."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date

from cva_sql.cli.report.page import Card, Grid, Plot, Section, Table, missing, plot
from cva_sql.cli.report.plots import backtest
from cva_sql.cli.report.plots.backtest import Coverage, Decile, Interval
from cva_sql.cli.report.sections.validation import last_reason, validation
from cva_sql.cli.report.source import Source
from cva_sql.cli.report.target import Words
from cva_sql.cli.report.wording import amount, counted, money, percent

NAME, TITLE = "quality", "How good are the predictions"
MODEL = "cva"
DECILES = (
    "as_of_date", "horizon_days", "model", "decile", "customers", "predicted_value",
    "actual_value", "lift", "capture", "purchase_probability", "buyers_rate",
)  # fmt: skip
METRICS = ("as_of_date", "model", "metric", "value", "lower", "upper")
CAPTURE_HEIGHT = 328.0  # as the plot beside it: ten rows
GROUPS = {"": "all customers", "_high": "high tier", "_medium": "medium tier", "_low": "low tier"}


def quality(source: Source) -> Section:
    """The section: the back-test's calibration, capture and ranges, else training's validation."""
    deciles, horizon, dates = _read_deciles(source)
    if not deciles:
        found = validation(source, NAME, TITLE)
        what = f"The model was not tried on past dates yet: {source.command('evaluate')}"
        return found or missing(NAME, TITLE, f"{last_reason(source)}{what}")
    metrics = _read_metrics(source)
    plots: list[Plot | Card] = [_calibration_plot(source, deciles, horizon)]
    if all(math.isfinite(d.capture) for d in deciles):
        plots.append(_capture_plot(source.words, deciles))
    plots.append(_coverage_plot(metrics))
    listed = ", ".join(str(day) for day in dates)
    when = f"On {listed}" if len(dates) == 1 else f"On {len(dates)} cutoff dates ({listed})"
    sentence = (
        f"{when} the model learned only from what was before, and its predictions for "
        f"{counted(horizon, 'day')} were compared with what came: "
        f"{_verdict(source.words, metrics, deciles)}."
    )
    return Section(NAME, TITLE, sentence, (Grid(plots), _table(source.words, deciles)))


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


def _verdict(words: Words, metrics: Mapping[str, Interval], deciles: Sequence[Decile]) -> str:
    parts = []
    if "bias" in metrics:
        bias = metrics["bias"][0]
        side = "too high" if bias >= 0 else "too low"
        parts.append(f"the total was {percent(abs(bias))} {side}")
    if "top_capture" in metrics:
        value, lower, upper = metrics["top_capture"]
        parts.append(
            f"the tenth of the customers that was predicted most made {percent(value)} of the "
            f"{words.noun} ({percent(lower)} to {percent(upper)})"
        )
    if not parts:
        first = deciles[0]
        parts.append(
            f"the best tenth was predicted {money(first.predicted)} a customer and "
            f"{words.brought.format(money(first.actual))}"
        )
    return "; ".join(parts)


def _calibration_plot(source: Source, deciles: Sequence[Decile], horizon: int) -> Plot:
    first = deciles[0]
    sentence = (
        f"The best tenth was predicted {money(first.predicted)} a customer in "
        f"{counted(horizon, 'day')} and {source.words.brought.format(money(first.actual))}"
    )
    if first.actual > 0:
        ratio = first.predicted / first.actual
        sentence += f": {percent(abs(ratio - 1))} {'too high' if ratio >= 1 else 'too low'}"
    return plot(
        "calibration", f"Predicted and actual {source.words.noun}, by tenth", f"{sentence}.",
        backtest.DECILE_ROW * len(deciles) + 70,
        lambda drawing: backtest.paint_calibration(
            drawing, deciles, source.unit, source.words.noun
        ),
        legend=(("soft", "predicted"), ("accent", "actual")),
    )  # fmt: skip


def _capture_plot(words: Words, deciles: Sequence[Decile]) -> Plot:
    half = deciles[len(deciles) // 2 - 1]
    sentence = (
        f"The best tenth {words.did} {amount(deciles[0].lift)} times as much as the mean customer: "
        f"{percent(deciles[0].capture)} of all. The best half made {percent(half.capture)}."
    )
    return plot(
        "capture", "What the best brought", sentence, CAPTURE_HEIGHT,
        lambda drawing: backtest.paint_capture(drawing, deciles, words.noun),
        legend=(("accent", "so far"), ("soft", "this tenth; × is its lift over the mean")),
    )  # fmt: skip


def _coverage_plot(metrics: Mapping[str, Interval]) -> Plot | Card:
    """Share of outcomes at or below p90 and p50, in all and by tier."""
    # Those whose p90 is 0 have a claim that nobody can miss: they would flatter the share.
    high = _groups(metrics, "coverage_p90_positive") or _groups(metrics, "coverage_p90")
    middle = _groups(metrics, "coverage_p50")
    title = "Are the ranges right?"
    if not high:
        what = "No figures on ranges: the packaged rule would have scored on these dates."
        return Card(title, what)
    blocks = [Coverage("at or below p90, should be 90\u00a0%", 0.9, high)]
    value, lower, upper = high[0][1]
    sentence = (
        f"{percent(value)} of outcomes were at or below p90 ({percent(lower)} to "
        f"{percent(upper)}); 90\u00a0% should be."
    )
    if middle:
        blocks.append(Coverage("at or below p50, should be 50\u00a0% or more", 0.5, middle))
        sentence += (
            f" At or below p50 were {percent(middle[0][1][0])}: more than half where the median "
            "is 0, since many buy nothing."
        )
    return plot(
        "ranges", title, sentence, sum(block.height for block in blocks) + 44,
        lambda drawing: backtest.paint_coverage(drawing, blocks),
        legend=(("accent", "share"), ("soft", "95\u00a0% interval")),
    )  # fmt: skip


def _groups(metrics: Mapping[str, Interval], name: str) -> list[tuple[str, Interval]]:
    return [
        (words, metrics[f"{name}{group}"])
        for group, words in GROUPS.items()
        if f"{name}{group}" in metrics
    ]


def _table(words: Words, deciles: Sequence[Decile]) -> Table:
    header = (
        "Tenth, the best first", "Customers", "Predicted", "Actual", "Lift",
        f"Share of all {words.noun} so far", "Purchase probability", "Bought",
    )  # fmt: skip
    rows = [
        [
            str(d.decile), f"{d.customers:,}", money(d.predicted), money(d.actual),
            f"{d.lift:.2f}×" if math.isfinite(d.lift) else "–", percent(d.capture),
            percent(d.probability), percent(d.bought),
        ]
        for d in deciles
    ]  # fmt: skip
    return Table("Deciles of predicted value", header, rows)
