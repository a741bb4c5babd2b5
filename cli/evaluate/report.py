"""What `cva evaluate` prints: a table a date, their means, deciles, verdicts, what parts add."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cva_sql.cli.evaluate.groups import GroupMetrics
    from cva_sql.models_onnx.value.backtesting.backtest import Backtest
    from cva_sql.models_onnx.value.judging.bootstrap import Metric
    from cva_sql.models_onnx.value.judging.deciles import Decile

MetricsByModel = Mapping[str, Mapping[str, "Metric"]]
Row = Sequence[str]

SHOWN = {  # metric -> (title, digits)
    "spearman": ("Spearman", 3),
    "ngini": ("nGini", 3),
    "mae": ("MAE", 2),
    "r2": ("R²", 3),
    "decile_mape": ("dMAPE", 3),
    "bias": ("bias", 3),
    "abs_bias": ("|bias|", 3),
    "auc": ("AUC", 3),
    "top_capture": ("top 10 %", 3),
}
CALIBRATION = {  # what only a model with probabilities and quantiles has, without intervals
    "brier": ("Brier", 4),
    "calibration_slope": ("slope", 2),
    "coverage_p10": ("y≤p10", 3),
    "coverage_p50": ("y≤p50", 3),
    "coverage_p90": ("y≤p90", 3),
    "coverage_p90_positive": ("p90>0", 3),
    "coverage_p90_positive_high": ("high", 3),
    "coverage_p90_positive_medium": ("medium", 3),
    "coverage_p90_positive_low": ("low", 3),
    "pinball_p50": ("pinball p50", 2),
    "pinball_p90": ("pinball p90", 2),
}
COMPARED = {  # what the model is compared on with and without a family
    "spearman": ("Spearman", 4),
    "ngini": ("nGini", 4),
    "mae": ("MAE", 3),
    "d2_tweedie": ("D²", 4),
}
ABLATED = {  # what the ensemble is compared on with and without an ingredient
    "ngini": ("nGini", 4),
    "r2": ("R²", 3),
    "mae": ("MAE", 2),
    "decile_mape": ("dMAPE", 3),
    "abs_bias": ("|bias|", 3),
    "brier": ("Brier", 4),
    "pinball_p90": ("pinball p90", 2),
    "coverage_p90_positive": ("p90>0", 3),
}
OF_GROUPS = ("bias", "mae", "ngini", "auc")
WIDTH = 130  # of a line
NAME_WIDTH = 14
LARGE, HUGE = 100.0, 1000.0  # from here on one digit is enough, and none
LEAST_R2 = -10.0  # below it the figure says no more than that a prediction is useless


def describe(result: Backtest, groups: Sequence[GroupMetrics] = ()) -> str:
    """The tables for a person: a block a date, one of the means, deciles, groups, the verdicts.

    With an ablation the dates are left out: the means alone are what it is about.
    """
    lines = [
        f"horizon {result.horizon_days} days; each model learned only from before its date; "
        "± is half the width of the 95 % bootstrap interval",
        "p90>0: share y≤p90 of those with such a p90; of them high, medium, low: value tiers of "
        "20, 30, 50 % of all customers",
    ]
    if result.target != "spend":
        lines.insert(
            0, f"target: {result.target}, of which all figures are; rules follow its total"
        )
    for title, models in _blocks(result):
        lines += ["", title, *_metrics_table(models), *_calibration_table(models)]
    lines += _deciles_table(result)
    lines += _groups_table(result, groups)
    lines.append("")
    for verdict in result.verdicts:
        wrapped = textwrap.wrap(verdict, WIDTH, drop_whitespace=False, subsequent_indent="  ")
        lines += [line.rstrip() for line in wrapped]
    return "\n".join([*lines, *_ablation_table(result), *_gain_lines(result)])


def _blocks(result: Backtest) -> list[tuple[str, MetricsByModel]]:
    from cva_sql.models_onnx.value.backtesting.backtest import WITHOUT, names_of_kinds

    # A kind that a benchmark shares its name with differs from it in its total alone.
    renamed = [name for kind, name in names_of_kinds().items() if name != kind]
    hidden = (*(f"{WITHOUT}{family}" for family in result.gains), *renamed)
    shown = {m: found for m, found in result.metrics.items() if m not in hidden}
    blocks: list[tuple[str, MetricsByModel]] = []
    if not result.ablation or len(result.dates) == 1:
        blocks = [
            (
                f"{day} ({size:,} customers)",
                {m: by_date[i] for m, (by_date, _) in shown.items() if by_date[i]},
            )
            for i, (day, size) in enumerate(zip(result.dates, result.customers, strict=True))
        ]
    if len(result.dates) > 1:
        means = {model: mean for model, (_, mean) in shown.items() if mean}
        blocks.append(("mean over the dates", means))
    return blocks


def _metrics_table(models: MetricsByModel) -> list[str]:
    shown = [name for name in SHOWN if any(name in found for found in models.values())]
    return _table(
        ["", *(SHOWN[name][0] for name in shown)],
        [
            [model, *(_cell(metrics[name], SHOWN[name][1]) for name in shown)]
            for model, metrics in models.items()
        ],
    )


def _calibration_table(models: MetricsByModel) -> list[str]:
    """Probabilities and quantiles of the models with them; the tiers are among those with p90>0."""
    from cva_sql.models_onnx.value.backtesting.backtest import MODEL
    from cva_sql.models_onnx.value.backtesting.benchmarks import LIFETIMES
    from cva_sql.models_onnx.value.members.registry import ENSEMBLE

    rows = [
        [
            model,
            *(_number(models[model][n].value, digits) for n, (_, digits) in CALIBRATION.items()),
        ]
        for model in (MODEL, ENSEMBLE, *LIFETIMES)
        if model in models and "coverage_p90" in models[model]
    ]
    if not rows:
        return []
    return _table(["", *(title for title, _ in CALIBRATION.values())], rows)


def _deciles_table(result: Backtest) -> list[str]:
    from cva_sql.models_onnx.value.backtesting.backtest import MODEL

    deciles = [d for d in result.deciles if d.model == MODEL and d.as_of_date is None]
    if not deciles:
        return []
    columns: list[tuple[str, Callable[[Decile], str]]] = [
        ("decile", lambda d: str(d.decile)),
        ("customers", lambda d: f"{d.customers:,}"),
        ("predicted", lambda d: f"{d.predicted_value:,.2f}"),
        ("actual", lambda d: f"{d.actual_value:,.2f}"),
        ("lift", lambda d: _number(d.lift, 2)),
        ("capture", lambda d: _number(d.capture, 3)),
        ("probability", lambda d: _number(d.purchase_probability, 3)),
        ("bought", lambda d: _number(d.buyers_rate, 3)),
    ]
    mean = ", mean over the dates" if len(result.dates) > 1 else ""
    return [
        "",
        f"{MODEL} by decile of predicted value{mean}",
        *_table(
            [title for title, _ in columns], [[cell(d) for _, cell in columns] for d in deciles]
        ),
    ]


def _groups_table(result: Backtest, groups: Sequence[GroupMetrics]) -> list[str]:
    from cva_sql.models_onnx.value.backtesting.backtest import MODEL

    lines = list[str]()
    mean = ", mean over the dates" if len(result.dates) > 1 else ""
    titles = ["", "customers", *(SHOWN[name][0] for name in OF_GROUPS)]
    for feature in dict.fromkeys(group.feature for group in groups):
        rows = [
            [
                (group.value or "not known")[:NAME_WIDTH],
                f"{sum(group.customers) // len(group.customers):,}",
                *(_cell(group.mean[name], SHOWN[name][1]) for name in OF_GROUPS),
            ]
            for group in groups
            if group.feature == feature
        ]
        lines += ["", f"{MODEL} by {feature}{mean}", *_table(titles, rows)]
    return lines


def _ablation_table(result: Backtest) -> list[str]:
    from cva_sql.models_onnx.value.members.registry import ENSEMBLE

    if not result.ablation:
        return []
    rows = [
        [name, *(_signed(found[n], digits) for n, (_, digits) in ABLATED.items())]
        for name, found in result.ablation.items()
    ]
    mean = ", mean over the dates" if len(result.dates) > 1 else ""
    return [
        "",
        f"the {ENSEMBLE} without an ingredient less the whole{mean}; * where the interval leaves "
        "out 0",
        *_table(["without", *(title for title, _ in ABLATED.values())], rows),
    ]


def _gain_lines(result: Backtest) -> list[str]:
    from cva_sql.models_onnx.value.backtesting.backtest import MODEL, WITHOUT

    lines: list[str] = []
    for family, found in result.gains.items():
        full = result.metrics[MODEL][1]
        lean = result.metrics[f"{WITHOUT}{family}"][1]
        mean = ", mean over the dates" if len(result.dates) > 1 else ""
        lines += [
            "",
            f"what {family} add{mean}",
            f"{'':<{NAME_WIDTH}}" + "".join(f"{t:>14}" for t in ("with", "without", "difference")),
        ]
        for name, (label, digits) in COMPARED.items():
            gain = found.differences[name]
            cells = [f"{m[name].value:.{digits}f}" for m in (full, lean)]
            cells.append(f"{gain.value:+.{digits}f}")
            row = f"{label:<{NAME_WIDTH}}" + "".join(f"{cell:>14}" for cell in cells)
            if math.isfinite(gain.lower):
                row += f"   {gain.lower:+.{digits}f} .. {gain.upper:+.{digits}f}"
            lines.append(row)
        lines.append(found.verdict)
    return lines


def _table(header: Row, rows: Sequence[Row]) -> list[str]:
    """Right-aligned columns as wide as they need, the first left-aligned."""
    widths = [max(len(row[k]) for row in (header, *rows)) for k in range(len(header))]
    widths[0] = max(widths[0], NAME_WIDTH - 2) if not header[0] else widths[0]
    return [
        f"{row[0]:<{widths[0]}}"
        + "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in (header, *rows)
    ]


def _number(value: float | None, digits: int) -> str:
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:.{_digits(value, digits)}f}"


def _digits(value: float, digits: int) -> int:
    """How many a number of this size is shown with."""
    size = abs(value)
    return 0 if size >= HUGE else 1 if size >= LARGE else digits


def _cell(metric: Metric, digits: int) -> str:
    """A value and half the width of its interval, whose leading zero is left out."""
    if metric.name == "r2" and metric.value < LEAST_R2:
        return f"<{LEAST_R2:.0f}"
    text = _number(metric.value, digits)
    half = (metric.upper - metric.lower) / 2
    if text == "–" or not math.isfinite(half):
        return text
    shown = f"{half:.{_digits(metric.value, digits)}f}"
    return f"{text} ±{shown.removeprefix('0') if shown.startswith('0.') else shown}"


def _signed(difference: Metric, digits: int) -> str:
    if not math.isfinite(difference.value):
        return "–"
    text = f"{difference.value:+.{digits}f}"
    if float(text) == 0:
        return f"{0:.{digits}f} "
    is_clear = difference.lower > 0 or difference.upper < 0
    return f"{text}{'*' if is_clear else ' '}"
