"""Whether customers are those that the model learned from, and whether what it said came."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from cva_sql.cli.report.page import Card, Grid, Plot, Section, Table, missing, plot
from cva_sql.cli.report.plots.tracking import DAYS, Window, paint_tracking
from cva_sql.cli.report.source import Row, Source
from cva_sql.cli.report.target import WORDS
from cva_sql.cli.report.wording import counted, money, percent, plain

NAME, TITLE = "watching", "Does the model still fit"
DRIFT = ("input", "metric", "value", "usual", "threshold", "is_anomaly", "importance")
LIVE = (
    "as_of_date", "ends_on", "has_passed", "predicted_value", "predicted_value_p05",
    "predicted_value_p95", "realised_value", "is_total_within", "interval_coverage", "ngini",
)  # fmt: skip
SHOWN = 12
WINDOWS = 6  # forecasts of the tracking plot
HEIGHT = 300.0


def watching(source: Source) -> Section:
    """The section: what was predicted against what came, and the inputs that moved most."""
    live, drift = _passed(source), _moved(source)
    if not live and not drift:
        what = f"It is not known yet: {source.command('train', 'run')}"
        return missing(NAME, TITLE, what)
    words = list[str]()
    if live:
        known = [row[6] for row in live if row[6] is not None]
        within = sum(map(bool, known))
        words.append(
            f"Of the last {counted(len(live), 'horizon')} that passed, {within} of {len(known)} "
            "totals came out within their 90 % interval"
            if known
            else f"{counted(len(live), 'horizon')} passed"
        )
    if drift:
        moved = len({row[0] for row in drift if row[5]})
        words.append(
            f"{counted(moved, 'input')} {'is' if moved == 1 else 'are'} further from the training "
            "than usual"
            if moved
            else "no input is further from the training than usual"
        )
    sentence = f"{'; '.join(words)}."
    tracked = _windows(source)
    cards: list[Card | Plot] = [_tracking_plot(source, tracked)] if tracked else []
    cards += [*([_live_card(live)] if live else []), *([_drift_card(drift)] if drift else [])]
    return Section(NAME, TITLE, sentence[0].upper() + sentence[1:], (Grid(cards),))


def _passed(source: Source) -> list[Row]:
    """The newest horizons that have passed, the newest first."""
    name = source.table("cva_live_performance", LIVE)
    if name is None:
        return []
    return source.rows(
        "select as_of_date, ends_on, predicted_value, predicted_value_p05, predicted_value_p95, "
        "realised_value, is_total_within, interval_coverage, ngini "
        f"from {name} where has_passed order by as_of_date desc limit {SHOWN}"
    )


def _moved(source: Source) -> list[Row]:
    """Inputs by how many thresholds they are away, the furthest first."""
    name = source.table("cva_drift", DRIFT)
    if name is None:
        return []
    return source.rows(
        f"select {', '.join(DRIFT)} from {name} "
        f"order by value / threshold desc, input, metric limit {SHOWN}"
    )


def _windows(source: Source) -> list[Window]:
    """The newest forecasts that do not overlap, the oldest first, with the weeks that came.

    Only where spend is what is predicted: orders by week are spend.
    """
    live = source.table("cva_live_performance", LIVE)
    orders = source.table(
        "int_cva__orders_valid", ("customer_id", "order_date", "amount"), is_internal=True
    )
    history = source.table("customer_value_history", ("customer_id", "as_of_date", "run_id"))
    if not (live and orders and history and source.as_of) or source.words is not WORDS["spend"]:
        return []
    chosen: list[Row] = []
    for row in source.rows(
        "select as_of_date, ends_on, predicted_value, predicted_value_p05, predicted_value_p95 "
        f"from {live} where as_of_date <= ? order by as_of_date desc",
        [source.as_of - timedelta(days=DAYS)],
    ):
        if not chosen or row[1] <= chosen[-1][0]:
            chosen.append(row)
    found = [_window(source, orders, history, row) for row in chosen[:WINDOWS]]
    return [one for one in found[::-1] if len(one.weeks)]


def _window(source: Source, orders: str, history: str, row: Row) -> Window:
    """A forecast beside the whole weeks since, of the customers who were known then."""
    start, end, total, low, high = row
    days, week = (end - start).days, DAYS / (end - start).days
    weeks = min(days, (min(end, source.as_of or end) - start).days) // DAYS
    spent = np.zeros(weeks)
    for place, amount in source.rows(
        f"select (order_date - ?) // {DAYS}, sum(amount) from {orders} as orders semi join "
        f"(from {history} where as_of_date = ?) as known using (customer_id) "
        f"where order_date >= ? and order_date < ? and cancelled_at is null group by 1",
        [start, start, start, start + timedelta(days=weeks * DAYS)],
    ):
        spent[int(place)] = amount
    lower, upper = (np.nan if bound is None else bound * week for bound in (low, high))
    return Window(start, days, total * week, lower, upper, spent)


def _tracking_plot(source: Source, windows: list[Window]) -> Plot:
    sentence = (
        "What the customers known at the start of each forecast spent, week by week. The line is "
        "what was predicted for them, spread evenly; the band is the 90 % interval of the whole "
        "window, so single weeks may lie outside."
    )
    return plot(
        "tracking", "Predicted and actual by week", sentence, HEIGHT,
        lambda drawing: paint_tracking(drawing, windows, source.unit), kind="top",
    )  # fmt: skip


def _live_card(rows: list[Row]) -> Card:
    header = ("From", "Until", "Predicted", "90 % interval", "Came", "Within p10–p90", "nGini")
    cells = [
        [str(day), str(end), money(total), _interval(low, high), money(came), percent(coverage),
         "–" if ngini is None else f"{ngini:.3f}"]
        for day, end, total, low, high, came, _, coverage, ngini in rows
    ]  # fmt: skip
    sentence = (
        "A row a date that was looked from. 80 % or more of the customers should lie within p10 to "
        "p90 of their own prediction."
    )
    table = Table("Predicted against what came", header, cells, texts=2)
    return Card("Predicted against what came", sentence, table, is_wide=True)


def _interval(low: float | None, high: float | None) -> str:
    return "–" if low is None or high is None else f"{money(low)} – {money(high)}"


def _drift_card(rows: list[Row]) -> Card:
    header = ("Input", "Metric", "Distance", "Usual", "Threshold", "Importance")
    cells = [
        [plain(name), plain(metric).replace("_", " "), f"{value:.3f}",
         "–" if usual is None else f"{usual:.3f}", f"{threshold:.3f}", percent(importance)]
        for name, metric, value, usual, threshold, _, importance in rows
    ]  # fmt: skip
    sentence = (
        "Today's customers against those of the training, the furthest first. Usual is the largest "
        "distance between the dates that the model learned from."
    )
    table = Table("Distance from the training", header, cells, texts=2)
    return Card("Distance from the training", sentence, table, is_wide=True)
