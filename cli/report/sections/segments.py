"""Where customers stand in their life-cycle, and who moved since the date before."""

from __future__ import annotations

from cva_sql.cli.report.page import Card, Grid, Section, Table, missing
from cva_sql.cli.report.source import Row, Source
from cva_sql.cli.report.wording import counted, money, percent, plain, signed

NAME, TITLE = "segments", "Where customers stand"
STAGES = ("new", "active", "reactivated", "cooling", "at_risk", "lost", "no_order", "not_eligible")
LEAVING = ("cooling", "at_risk", "lost")
COLUMNS = ("lifecycle_stage", "historic_value", "predicted_value", "purchase_probability")
MOVES = (
    "from_lifecycle_stage", "to_lifecycle_stage", "from_as_of_date", "from_predicted_value",
    "to_predicted_value", "reason_family",
)  # fmt: skip
SHOWN = 8  # ways that customers went


def segments(source: Source) -> Section:
    """The section: customers and value by stage, and the most frequent moves between stages."""
    name = source.table("customer_segments", COLUMNS)
    rows = source.rows(
        "select lifecycle_stage, count(*), sum(historic_value), "
        "sum(predicted_value::decimal(28, 6)), avg(purchase_probability::decimal(18, 9)) "
        f"from {name} group by 1"
    ) if name else []  # fmt: skip
    if not rows:
        return missing(NAME, TITLE, f"No segments are known. Make them: {source.command('run')}")
    rows = sorted(rows, key=lambda row: STAGES.index(row[0]) if row[0] in STAGES else len(STAGES))
    total = sum(row[1] for row in rows)
    blocks = [_stages_card(rows, total), *_moves_card(source)]
    return Section(NAME, TITLE, _sentence(rows), (Grid(blocks),))


def _sentence(rows: list[Row]) -> str:
    leaving = [row for row in rows if row[0] in LEAVING]
    spent, everything = sum(row[2] for row in leaving), sum(row[2] for row in rows)
    if not spent:
        return "A stage goes by the days since the last order, over the customer's own usual gap."
    count = counted(sum(row[1] for row in leaving), "customer")
    return (
        f"{count} have waited for longer than their own rhythm explains; they made "
        f"{percent(spent / everything)} of all spend so far."
    )


def _stages_card(rows: list[Row], total: int) -> Card:
    cells = [
        [_named(stage), f"{count:,}", percent(count / total), money(value), percent(probability)]
        for stage, count, _, value, probability in rows
    ]
    header = ("Stage", "Customers", "Share", "Value", "Buys")
    sentence = (
        "Value is what all customers of a stage are predicted together, and buys their mean "
        "probability to order."
    )
    table = Table("Customers by life-cycle stage", header, cells)
    return Card("Life-cycle stages", sentence, table, is_wide=True)


def _moves_card(source: Source) -> list[Card]:
    """The moves between stages that most customers made; none before a second date is known."""
    name = source.table("segment_moves", MOVES)
    rows = source.rows(
        "select from_lifecycle_stage, to_lifecycle_stage, count(*), "
        "sum((to_predicted_value - from_predicted_value)::decimal(28, 6)), "
        "mode(reason_family order by reason_family), min(from_as_of_date), sum(count(*)) over () "
        f"from {name} where from_lifecycle_stage <> to_lifecycle_stage group by 1, 2 "
        f"order by 3 desc, 1, 2 limit {SHOWN}"
    ) if name else []  # fmt: skip
    if not rows:
        return []
    cells = [
        [_named(before), _named(after), plain(reason or "–", 40), f"{count:,}", signed(change)]
        for before, after, count, change, reason, _, _ in rows
    ]
    header = ("From", "To", "Because of", "Customers", "Value")
    sentence = (
        f"{counted(int(rows[0][6]), 'customer')} changed their stage since {rows[0][5]}. These are "
        "the moves that most of them made, the family of reasons that moved most predictions, and "
        "by how much predicted value changed."
    )
    table = Table("Moves between stages", header, cells, texts=3)
    return [Card("Who moved", sentence, table, is_wide=True)]


def _named(stage: str) -> str:
    return plain(str(stage).replace("_", " "), 20)
