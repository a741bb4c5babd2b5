"""Waterfalls: from the typical customer's prediction to that of three customers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cva_sql.cli.report.axes import label_axes, row_label, rows_area, set_ticks
from cva_sql.cli.report.drivers import unexplained
from cva_sql.cli.report.head import Overview
from cva_sql.cli.report.page import Section, figure, grid, missing
from cva_sql.cli.report.palette import ACCENT, DOWN, GRID, MUTED, UP
from cva_sql.cli.report.source import EXPLAIN, VALUE, Source
from cva_sql.cli.report.svg import plot_area
from cva_sql.cli.report.wording import amount, counted, plain, signed, tick_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME, TITLE = "waterfalls", "Three customers, step by step"
ROW = 34.0  # pixels of a row: its label and its bar
STEPS = 9  # families; the smaller ones are one step
OTHERS = "all else"
LEGEND = (
    '<p class="legend"><span><i style="background:var(--up)"></i> raises</span>'
    '<span><i style="background:var(--down)"></i> lowers</span></p>'
)


@dataclass(frozen=True)
class Waterfall:
    """A customer's steps from `baseline` to `predicted`, in money, by family."""

    customer: str
    roles: tuple[str, ...]
    baseline: float
    predicted: float
    steps: tuple[tuple[str, float], ...]


def waterfalls(source: Source, overview: Overview) -> Section:
    """The section: the highest prediction, a median one, and the one that was lowered most."""
    if not source.explains:
        return missing(NAME, TITLE, unexplained(source, overview))
    chosen = _chosen(source)
    families = _families(source)
    found = [_waterfall(source, c, roles, families) for c, roles in chosen.items()]
    first = found[0]
    who = "customer who spent nothing since" if overview.is_untrained else "typical customer"
    sentence = (
        f"For a {who} {amount(first.baseline)} is predicted in "
        f"{counted(overview.horizon_days, 'day')}; the families move the highest prediction by "
        f"{signed(first.predicted - first.baseline)} from there, to {amount(first.predicted)}."
    )
    blocks = [_figure(k + 1, w, source.unit) for k, w in enumerate(found)]
    return Section(NAME, TITLE, sentence, (grid(blocks),))


def _chosen(source: Source) -> dict[str, tuple[str, ...]]:
    """customer_id -> what it stands for; fewer than three where one is two of them."""
    explained = (
        "(select customer_id, min(predicted_value) as predicted, "
        "min(predicted_value - baseline_prediction_value) as moved "
        f"from {EXPLAIN} group by customer_id)"
    )
    highest = source.rows(
        f"select customer_id from {explained} order by predicted desc, customer_id limit 1"
    )
    median = source.rows(
        "with bought as (select customer_id, row_number() over (order by predicted, customer_id) "
        f"as place, count(*) over () as size from {explained} where customer_id in "
        f"(select customer_id from {VALUE} where historic_value > 0)) "
        "select customer_id from bought where place = (size + 1) // 2"
    )
    lowered = source.rows(
        f"select customer_id from {explained} where moved < 0 order by moved, customer_id limit 1"
    )
    chosen: dict[str, tuple[str, ...]] = {}
    for role, rows in (
        ("Highest prediction", highest),
        ("Median of those who bought", median),
        ("Lowered most", lowered),
    ):
        for (customer,) in rows:
            chosen[customer] = (*chosen.get(customer, ()), role)
    return chosen


def _families(source: Source) -> list[str]:
    """The families by how far they move predictions, the first STEPS of them."""
    rows = source.rows(
        f"select family from {EXPLAIN} where family is not null group by 1 "
        f"order by sum(abs(attribution)::decimal(38, 6)) desc, 1 limit {STEPS}"
    )
    return [row[0] for row in rows]


def _waterfall(
    source: Source, customer: str, roles: tuple[str, ...], families: Sequence[str]
) -> Waterfall:
    rows = source.rows(
        "select family, sum(attribution::decimal(38, 9))::double, min(baseline_prediction_value), "
        f"min(predicted_value) from {EXPLAIN} where customer_id = ? group by 1",
        [customer],
    )
    by_family = {row[0]: float(row[1]) for row in rows}
    baseline, predicted = float(rows[0][2]), float(rows[0][3])
    steps = [(family, by_family.get(family, 0.0)) for family in families]
    rest = predicted - baseline - sum(value for _, value in steps)
    if set(by_family) - set(families):
        steps.append((OTHERS, rest))
    return Waterfall(customer, roles, baseline, predicted, tuple(steps))


def _figure(number: int, waterfall: Waterfall, unit: str) -> str:
    family, moved = max(waterfall.steps, key=lambda step: abs(step[1]))
    roles = " and ".join(waterfall.roles).capitalize()
    title = f"{roles}: {plain(waterfall.customer, 24)}"
    sentence = (
        f"From {amount(waterfall.baseline)} to {amount(waterfall.predicted)}; most by "
        f"{plain(family, 40)} ({signed(moved)})."
    )
    rows = len(waterfall.steps) + 2

    def paint(drawing: Figure) -> None:
        axes = plot_area(drawing, left=14, right=22, top=2, bottom=44)
        rows_area(axes, ROW * rows)
        _paint_steps(axes, waterfall)
        label_axes(axes, f"Predicted value ({unit})", "")

    return figure(f"waterfall-{number}", title, sentence, ROW * rows + 46, paint, after=LEGEND)


def _paint_steps(axes: Axes, waterfall: Waterfall) -> None:
    from matplotlib.ticker import MaxNLocator

    ends = [waterfall.baseline]
    for _, value in waterfall.steps:
        ends.append(ends[-1] + value)
    low, high = min(0.0, *ends), max(0.0, *ends, waterfall.predicted) or 1.0
    axes.set_xlim(low - (high - low) * 0.02 * (low < 0), high + (high - low) * 0.02)
    ticks = [float(t) for t in MaxNLocator(nbins=5).tick_values(low, high) if low <= t <= high]
    set_ticks(axes, "x", ticks, tick_labels(ticks))
    axes.xaxis.grid(True)
    _paint_row(axes, 0, "baseline", 0, waterfall.baseline, MUTED, "", ends[0])
    for k, (family, value) in enumerate(waterfall.steps):
        colour = UP if value >= 0 else DOWN
        _paint_row(axes, k + 1, family, ends[k], value, colour, signed(value), ends[k + 1])
    last = len(waterfall.steps) + 1
    _paint_row(axes, last, "prediction", 0, waterfall.predicted, ACCENT, "", None)
    axes.axvline(0, color=GRID, lw=1)


def _paint_row(
    axes: Axes, row: int, name: str, start: float, size: float, colour: str, label: str,
    onward: float | None,
) -> None:  # fmt: skip
    """A bar with its name above, and a thin line from its end down to the next row's."""
    place = ROW * row + 25
    axes.barh([place], [size], height=9, left=start, color=colour)
    row_label(axes, place - 14, name, label or amount(size))
    if onward is not None:
        axes.plot([onward, onward], [place + 4.5, place + ROW - 4.5], color=MUTED, lw=0.8)
