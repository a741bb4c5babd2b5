"""The customers with the highest predictions, and why."""

from __future__ import annotations

from cva_sql.cli.report.page import Cell, Section, Table, missing
from cva_sql.cli.report.sections.overview import Overview
from cva_sql.cli.report.source import VALUE, Row, Source
from cva_sql.cli.report.wording import counted, money, percent, plain

NAME, TITLE = "customers", "The best customers"
SHOWN = 10
REASON = 140  # characters of a reason
RISKS = ("low", "medium", "high")
HEADER = (
    "Customer", "Why the prediction is what it is", "Score", "Predicted value",
    "Purchase probability", "Churn risk",
)  # fmt: skip


def best_customers(source: Source, overview: Overview) -> Section:
    """The section: the SHOWN eligible customers with the highest predicted_value."""
    rows = source.rows(
        "select customer_id, score, predicted_value, predicted_value_p10, predicted_value_p90, "
        f"purchase_probability, churn_risk, reason_1, reason_2, reason_3 from {VALUE} "
        "where score_status <> 'not_eligible' "
        f"order by predicted_value desc, customer_id limit {SHOWN}"
    )
    if not rows and overview.customers:
        return Section(NAME, TITLE, "No customer is eligible: nobody is named.")
    if not rows:
        what = f"There is no customer to show. Load orders, then: {source.command('run')}"
        return missing(NAME, TITLE, what)
    total = sum(float(row[2]) for row in rows)
    share = percent(total / overview.predicted) if overview.predicted > 0 else None
    whose = "This customer is" if len(rows) == 1 else f"These {len(rows)} customers are"
    of_all = f", {share} of all predicted value" if share and overview.customers > 1 else ""
    sentence = (
        f"{whose} predicted {money(total)} in {counted(overview.horizon_days, 'day')}{of_all}. "
        "Below each value is its range from p10 to p90: one in ten such customers "
        f"{source.words.more} more than its upper end, and at most one in ten less than its lower "
        "end."
    )
    if not any(row[7] for row in rows):
        sentence += f" No reasons are known; they come with: {_reasons(source, overview)}"
    cells = [_cells(row) for row in rows]
    block = Table("Best customers", HEADER, cells, texts=2, kind="stacked", long=1)
    return Section(NAME, TITLE, sentence, (block,))


def _reasons(source: Source, overview: Overview) -> str:
    return source.command("train", "run") if overview.is_untrained else source.command("run")


def _cells(row: Row) -> list[str | Cell]:
    customer, score, value, low, high, probability, risk, *reasons = row
    named = tuple(plain(text, REASON) for text in reasons if text)
    return [
        plain(customer, 40),
        Cell(items=named) if named else "–",
        "–" if score is None else f"{score:.1f}",
        Cell(money(value), small=f"{money(low)} to {money(high)}"),
        percent(probability),
        Cell(plain(str(risk), 20), dot=risk if risk in RISKS else ""),
    ]
