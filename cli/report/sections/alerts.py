"""Who is leaving against their own rhythm, what is at stake, and what came of earlier alerts."""

from __future__ import annotations

from cva_sql.cli.report.page import Card, Cell, Grid, Section, Table, missing
from cva_sql.cli.report.source import Row, Source
from cva_sql.cli.report.wording import amount, counted, money, percent, plain

NAME, TITLE = "alerts", "Who is leaving"
COLUMNS = (
    "customer_id", "state", "raised_on", "last_order_date", "money_at_stake", "usual_value",
    "predicted_value", "reason", "action", "owner", "has_bought", "spend_in_horizon",
)  # fmt: skip
WAITING = ("new", "open")
STATES = (*WAITING, "acted", "resolved", "expired")
SHOWN = 10


def alerts(source: Source) -> Section:
    """The section: what waits to be acted on, most money first, and what came of the others."""
    name = source.table("churn_alerts", COLUMNS)
    if name is None:
        return missing(NAME, TITLE, f"No alerts are known. Make them: {source.command('run')}")
    rows = source.rows(
        "select state, count(*), sum(money_at_stake::decimal(28, 6)), "
        "count(has_bought) filter (spend_in_horizon is not null), "
        "count(*) filter (has_bought and spend_in_horizon is not null), "
        f"sum(spend_in_horizon::decimal(28, 6)) from {name} group by 1"
    )
    if not rows:
        return Section(NAME, TITLE, "No alert has been raised: nobody leaves who used to buy.")
    rows = sorted(rows, key=lambda row: STATES.index(row[0]) if row[0] in STATES else len(STATES))
    waiting = [row for row in rows if row[0] in WAITING]
    count, stake = sum(row[1] for row in waiting), sum(row[2] for row in waiting)
    waits = [_waiting_table(source, name)] if waiting else []
    sentence = (
        f"{counted(count, 'customer')} {'waits' if count == 1 else 'wait'} for somebody to act: "
        f"{amount(stake)} that they usually spend in the horizon is expected to be lost."
        if count
        else "No alert waits for anybody."
    )
    note = "An alert is a prediction: it does not say that acting on it would change anything."
    return Section(NAME, TITLE, sentence, (Grid([_states_card(rows)]), *waits), note)


def _states_card(rows: list[Row]) -> Card:
    cells = [
        [plain(str(state), 20), f"{count:,}", money(stake), *_came(past, bought, spent)]
        for state, count, stake, past, bought, spent in rows
    ]
    header = ("State", "Alerts", "At stake", "Horizon over", "Bought", "Spent")
    sentence = (
        "What came of them is known once their horizon is over: how many bought in it after all, "
        "and what they spent."
    )
    return Card("Alerts by state", sentence, Table("Alerts by state", header, cells), is_wide=True)


def _came(past: int, bought: int, spent: float | None) -> tuple[str, str, str]:
    return (f"{past:,}", percent(bought / past), money(spent)) if past else ("–", "–", "–")


def _waiting_table(source: Source, name: str) -> Table:
    rows = source.rows(
        "select customer_id, raised_on, money_at_stake, usual_value, predicted_value, reason, "
        f"action, owner from {name} where state in {WAITING} "
        f"order by money_at_stake desc, customer_id limit {SHOWN}"
    )
    cells: list[list[str | Cell]] = [
        [
            Cell(plain(customer, 40), small=f"since {raised}"),
            plain(reason or "–", 200),
            Cell(plain(str(action).replace("_", " "), 40), small=plain(owner or "", 40)),
            money(stake), money(usual), money(predicted),
        ]
        for customer, raised, stake, usual, predicted, reason, action, owner in rows
    ]  # fmt: skip
    header = ("Customer", "Why", "Suggested", "At stake", "Usual", "Predicted")
    caption = "Alerts that wait, most money first"
    return Table(caption, header, cells, texts=3, kind="stacked", long=1)
