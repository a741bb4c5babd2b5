"""What became of customers by the month of their first order: who came back, what they brought."""

from __future__ import annotations

from datetime import date

import numpy as np

from cva_sql.cli.report.page import Card, Grid, Plot, Section, Table, missing, plot
from cva_sql.cli.report.plots.cohorts import Curves, Triangle, paint_curves, paint_triangle
from cva_sql.cli.report.source import Source
from cva_sql.cli.report.wording import amount, counted, money, percent

NAME, TITLE = "cohorts", "What becomes of new customers"
RETENTION = ("first_month", "age_month", "is_complete", "retention_rate", "customers_count")
ECONOMICS = (
    "first_month", "until_date", "age_month", "days_ahead", "is_forecast", "is_complete",
    "customers_count", "acquisition_cost", "margin",
)  # fmt: skip
SHOWN = 12  # cohorts, and months of age
FEWEST = 12  # customers of a cohort to show a curve of its own
YEAR = 365
HEIGHT = 300.0


def cohorts(source: Source) -> Section:
    """The section: the triangle of retention, curves of margin, and payback by known costs."""
    retention = source.table("cohort_retention", RETENTION)
    if retention is None:
        return missing(NAME, TITLE, f"No cohorts are known. Make them: {source.command('run')}")
    triangle = _read_triangle(source, retention)
    if triangle is None:
        return Section(NAME, TITLE, "No whole month has passed yet since customers first ordered.")
    name = source.table("cohort_economics", ECONOMICS)
    blocks: list[Plot | Card] = [_triangle_plot(triangle)]
    if name:
        blocks += [*_curves_plot(source, name), *_payback_card(source, name)]
    return Section(NAME, TITLE, _sentence(triangle), (Grid(blocks),))


def _read_triangle(source: Source, name: str) -> Triangle | None:
    """The newest cohorts of which a month of age from 1 on is over; None without any."""
    rows = source.rows(
        f"select first_month, age_month, retention_rate from {name} "
        "where is_complete and age_month >= 1 order by 1, 2"
    )
    months = sorted({row[0] for row in rows})[-SHOWN:]
    if not months:
        return None
    ages = min(SHOWN, max(row[1] for row in rows if row[0] in months))
    shares = np.full((len(months), ages), np.nan)
    for month, age, rate in rows:
        if month in months and age <= ages and rate is not None:
            shares[months.index(month), age - 1] = rate
    return Triangle([_named(month) for month in months], shares)


def _named(month: date) -> str:
    return f"{month:%b %Y}"


def _sentence(triangle: Triangle) -> str:
    first = triangle.shares[:, 0]
    known = first[np.isfinite(first)]
    return (
        f"Of the cohorts shown, {percent(float(np.median(known)))} of new customers as a rule "
        "order again in the month after their first (the median cohort)."
    )


def _triangle_plot(triangle: Triangle) -> Plot:
    sentence = (
        "Each row is the customers who first ordered in a month, each column a calendar month "
        "after it that is over."
    )
    return plot(
        "retention", "Who ordered again", sentence, triangle.height,
        lambda drawing: paint_triangle(drawing, triangle), kind="top",
    )  # fmt: skip


def _curves_plot(source: Source, name: str) -> list[Plot]:
    """Margin a customer by age, a curve a cohort that is large enough; none where not known."""
    rows = source.rows(
        "select first_month, age_month, sum(margin)::double, sum(customers_count) "
        f"from {name} where not is_forecast and is_complete and margin is not null "
        "group by 1, 2 order by 1, 2"
    )
    if not rows:
        return []
    months, ages = sorted({row[0] for row in rows}), max(row[1] for row in rows) + 1
    margins, sizes = np.full((len(months), ages), np.nan), np.zeros((len(months), ages))
    for month, age, value, size in rows:
        margins[months.index(month), age], sizes[months.index(month), age] = value, size
    # Month by month over the cohorts that are so old: a mean of sums would jump where one ends.
    added = np.diff(margins, axis=1, prepend=0)
    mean = np.cumsum(np.nansum(added, axis=0) / np.maximum(sizes.sum(axis=0), 1))
    large = [k for k in range(len(months)) if sizes[k].max() >= FEWEST]
    lines = [margins[k, sizes[k] > 0] / sizes[k, sizes[k] > 0] for k in large]
    curves = Curves(lines, mean, _cost(source, name))
    sentence = (
        f"{amount(float(mean[0]))} in the month of the first order, {amount(float(mean[-1]))} by "
        f"{counted(ages - 1, 'month')} later, each month over the cohorts that are so old."
    )
    if lines:
        sentence += f" A pale line is one cohort of {FEWEST} customers or more."
    return [
        plot(
            "payback", "What a customer brought", sentence, HEIGHT,
            lambda drawing: paint_curves(drawing, curves, source.unit),
        )
    ]  # fmt: skip


def _cost(source: Source, name: str) -> float | None:
    """What winning a customer cost, of the cohorts of which that is known."""
    rows = source.rows(
        "select sum(acquisition_cost)::double / nullif(sum(customers_count), 0) from "
        f"(from {name} where acquisition_cost is not null and not is_forecast and age_month = 0)"
    )
    cost: float | None = rows[0][0]
    return cost


def _payback_card(source: Source, name: str) -> list[Card]:
    """The newest cohorts in figures; their costs and payback where any cost is known."""
    rows = source.rows(
        "with whole as (select first_month, until_date, age_month, days_ahead, is_forecast, "
        "sum(customers_count) as customers, sum(margin)::double as margin, "
        f"sum(acquisition_cost)::double as cost from {name} group by all) "
        "select first_month, max(customers), max(cost), max_by(margin, until_date) "
        "filter (not is_forecast), max(margin) filter (is_forecast and days_ahead = ?), "
        "min(age_month) filter (not is_forecast and margin >= cost) "
        "from whole where margin is not null group by 1 order by 1 desc limit ?",
        [YEAR, SHOWN],
    )
    if not rows:
        return []
    has_cost = any(row[2] is not None for row in rows)
    cells = []
    for month, customers, cost, margin, ahead, payback in rows:
        a_customer = [None if v is None else v / customers for v in (cost, margin, ahead)]
        costs = [money(a_customer[0])] if has_cost else []
        back = ["not yet" if payback is None and cost is not None else _months(payback)]
        figures = [f"{customers:,}", *costs, money(a_customer[1]), money(a_customer[2])]
        cells.append([_named(month), *figures, *(back if has_cost else [])])
    header = ["Cohort", "Customers", *(["Cost"] if has_cost else []), "So far", "In a year"]
    sentence = "Margin a customer so far, and with what the next 365 days are expected to bring" + (
        ", beside what winning one cost; paid back in the month of age named." if has_cost else "."
    )
    table = Table("Cohorts in figures", [*header, *(["Paid back"] if has_cost else [])], cells)
    return [Card("Cohorts in figures", sentence, table)]


def _months(age: int | None) -> str:
    return "–" if age is None else f"month {age}"
