"""Waterfalls: from the typical customer's prediction to that of three customers."""

from __future__ import annotations

from collections.abc import Sequence

from cva_sql.cli.report.page import Grid, Plot, Section, missing, plot
from cva_sql.cli.report.plots.bars import BELOW, STEP, Waterfall, paint_waterfall
from cva_sql.cli.report.sections.drivers import unexplained
from cva_sql.cli.report.sections.overview import Overview
from cva_sql.cli.report.source import EXPLAIN, VALUE, Source
from cva_sql.cli.report.wording import amount, counted, plain, signed

NAME, TITLE = "waterfalls", "Three customers, step by step"
STEPS = 9  # families; the smaller ones are one step
OTHERS = "all others"
LEGEND = (("up", "raises"), ("down", "lowers"))


def waterfalls(source: Source, overview: Overview) -> Section:
    """The section: the highest prediction, a median one, and the one that was lowered most."""
    if not source.explains:
        return missing(NAME, TITLE, unexplained(source, overview))
    chosen = _chosen(source)
    families = _families(source)
    found = [_waterfall(source, c, roles, families) for c, roles in chosen.items()]
    if not found:
        return Section(NAME, TITLE, "No customer who is explained is eligible: nobody is shown.")
    first = found[0]
    start, who = "typical customer", "For a typical customer"
    if overview.is_untrained:
        start, who = "nothing spent", "For a customer who has spent nothing since ordering,"
    sentence = (
        f"{who} {amount(first.baseline)} is predicted in "
        f"{counted(overview.horizon_days, 'day')}. The feature families move the highest "
        f"prediction by {signed(first.predicted - first.baseline)} from there, to "
        f"{amount(first.predicted)}."
    )
    blocks = [_plot(k + 1, w, start, source.unit) for k, w in enumerate(found)]
    return Section(NAME, TITLE, sentence, (Grid(blocks),))


def _chosen(source: Source) -> dict[str, tuple[str, ...]]:
    """customer_id -> what it stands for; fewer than three where one is two of them."""
    explained = (
        "(select customer_id, min(predicted_value) as predicted, "
        "min(predicted_value - baseline_prediction_value) as moved "
        f"from {EXPLAIN} where customer_id in (select customer_id from {VALUE} "
        "where score_status <> 'not_eligible') group by customer_id)"
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


def _plot(number: int, waterfall: Waterfall, start: str, unit: str) -> Plot:
    family, moved = max(waterfall.steps, key=lambda step: abs(step[1]))
    roles = " and ".join(waterfall.roles).capitalize()
    sentence = (
        f"From {amount(waterfall.baseline)} to {amount(waterfall.predicted)}; most by "
        f"{plain(family, 40)} ({signed(moved)})."
    )
    return plot(
        f"waterfall-{number}", f"{roles}: {plain(waterfall.customer, 24)}", sentence,
        STEP * (len(waterfall.steps) + 2) + BELOW,
        lambda drawing: paint_waterfall(drawing, waterfall, start, f"Predicted value ({unit})"),
        legend=LEGEND,
    )  # fmt: skip
