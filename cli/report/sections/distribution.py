"""How predicted value is distributed over customers: its histogram, and who holds it."""

from __future__ import annotations

import math

import numpy as np

from cva_sql.cli.report.page import Card, Grid, Plot, Section, Table, missing, plot
from cva_sql.cli.report.plots.histogram import Histogram, paint_histogram
from cva_sql.cli.report.plots.pareto import Pareto, paint_pareto
from cva_sql.cli.report.sections.overview import Overview
from cva_sql.cli.report.source import VALUE, Source
from cva_sql.cli.report.wording import amount, counted, percent

NAME, TITLE = "distribution", "How value is distributed"
TIERS = ("high", "medium", "low")
BINS = 26
POINTS = 200  # of the Pareto curve
SKEWED = 20.0  # the largest over the median, from where on the axis is logarithmic
DECADES = 5.0  # of a logarithmic axis at most; what is smaller counts as its smallest
HEIGHT = 270.0


def distribution(source: Source, overview: Overview) -> Section:
    """The section: histogram and Pareto curve of predicted_value."""
    if not overview.customers:
        what = f"There is no customer to show. Load orders, then: {source.command('run')}"
        return missing(NAME, TITLE, what)
    if overview.predicted <= 0:
        days = counted(overview.horizon_days, "day")
        sentence = (
            f"All {counted(overview.customers, 'customer')} are predicted "
            f"{source.words.to_bring.format(0)} in {days}, so there is no distribution to show."
        )
        return Section(NAME, TITLE, sentence)
    found, curve = _read_histogram(source), _read_pareto(source)
    plots = (_histogram_plot(source, overview, found), _pareto_plot(curve))
    blocks = (Grid((*plots, _tiers_card(source, overview))),)
    half = float(np.interp(0.5, curve.value, curve.customers))
    sentence = (
        f"Half of the predicted value comes from {percent(half)} of the customers; the median "
        f"customer is predicted {amount(found.median)}, the mean {amount(found.mean)}."
    )
    if overview.customers == 1:
        sentence = f"The one customer is predicted {amount(found.mean)}."
    return Section(NAME, TITLE, sentence, blocks)


def _read_histogram(source: Source) -> Histogram:
    zeros, least, middle, largest, median = source.rows(
        "select count(*) filter (predicted_value <= 0), "
        "min(predicted_value) filter (predicted_value > 0), "
        "quantile_cont(predicted_value, 0.5) filter (predicted_value > 0), "
        f"max(predicted_value), quantile_cont(predicted_value, 0.5) from {VALUE}"
    )[0]
    mean = source.rows(
        f"select sum(predicted_value::decimal(38, 6))::double / nullif(count(*), 0) from {VALUE}"
    )[0][0]
    is_log = largest / middle >= SKEWED
    if is_log:
        low = math.log10(max(least, largest / 10**DECADES))
        high = math.log10(largest) + 1e-9
        place = "log10(predicted_value)"
    else:
        low, high = (0.0, largest * (1 + 1e-9)) if least < largest else (0.0, 2 * largest)
        place = "predicted_value"
    width = (high - low) / BINS
    rows = source.rows(
        f"select greatest(0, least({BINS - 1}, floor(({place} - ?) / ?)))::integer, count(*) "
        f"from {VALUE} where predicted_value > 0 group by 1",
        [low, width],
    )
    counts = np.zeros(BINS)
    for k, count in rows:
        counts[k] = count
    edges = (low + width * np.arange(BINS + 1)).astype(np.float64)
    return Histogram(10**edges if is_log else edges, counts, zeros, median, mean, is_log)


def _histogram_plot(source: Source, overview: Overview, found: Histogram) -> Plot:
    days = counted(overview.horizon_days, "day")
    part = found.zeros / overview.customers
    zeros = f" {found.zeros:,} ({percent(part)}) are predicted nothing." if found.zeros else ""
    sentence = f"Half of the customers are predicted {amount(found.median)} or less.{zeros}"
    if found.median <= 0:
        sentence = f"More than half of the customers are predicted nothing: {found.zeros:,}."
    if overview.customers == 1:
        sentence = f"The one customer is predicted {amount(found.mean)}.{zeros}"
    axis = f"Predicted value in {days} ({source.unit}{', log' if found.is_log else ''})"
    return plot(
        "histogram", "Customers by predicted value", sentence, HEIGHT,
        lambda drawing: paint_histogram(drawing, found, axis),
    )  # fmt: skip


def _read_pareto(source: Source) -> Pareto:
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


def _pareto_plot(curve: Pareto) -> Plot:
    parts = [
        f"the best {percent(customers)} of customers hold {percent(value)}"
        for tier, (customers, value) in curve.tiers.items()
        if tier != "low" and customers < 1
    ]
    sentence = "All customers are of one value tier."
    if parts:
        sentence = f"Of all predicted value, {' and '.join(parts)}."
    return plot(
        "pareto", "Who holds the value", sentence, HEIGHT,
        lambda drawing: paint_pareto(drawing, curve),
    )  # fmt: skip


def _tiers_card(source: Source, overview: Overview) -> Card:
    """The value tiers in figures."""
    rows = source.rows(
        "select value_tier, count(*), sum(predicted_value::decimal(38, 6))::double, "
        f"sum(purchase_probability::decimal(38, 9))::double from {VALUE} group by 1"
    )
    tiers = [row for tier in TIERS for row in rows if row[0] == tier]
    cells = [
        [tier, f"{count:,}", amount(predicted / count), percent(predicted / overview.predicted),
         percent(buyers / count)]
        for tier, count, predicted, buyers in tiers
    ]  # fmt: skip
    means = ", ".join(f"{amount(value / n)} in tier {tier}" for tier, n, value, _ in tiers)
    sentence = (
        f"The mean prediction is {means}. Share: of all predicted value. Will buy: the mean "
        "purchase probability."
    )
    header = ("Tier", "Customers", "Predicted", "Share", "Will buy")
    return Card("Value tiers", sentence, Table("Value tiers", header, cells))
