"""The back-test of a shop, and its figures as tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from cva_sql.cli.evaluate.groups import (
    GROUP_COLUMNS,
    GroupMetrics,
    group_rows,
    measured,
    read_groups,
)
from cva_sql.cli.shop.history import Entry, recording
from cva_sql.cli.shop.tables import write_table
from cva_sql.udfs.errors import CvaError, UsageError

if TYPE_CHECKING:
    from cva_sql.cli.shop.shop import ResolvedShop
    from cva_sql.cli.train.examples import History
    from cva_sql.models_onnx.value.backtesting.backtest import Backtest
    from cva_sql.models_onnx.value.data.cutoffs import Plan


MAX_ROWS = 3_000_000  # every customer of a mid-sized shop at every date
DEFAULT_DATES = 3
METRIC_COLUMNS = {  # name -> (type, comment)
    "as_of_date": ("date", "the past date of the forecast; null for the mean over the dates"),
    "horizon_days": ("integer", "length of the forecast"),
    "model": ("varchar", "model, member, benchmark or rule, or a difference of two"),
    "metric": ("varchar", "name of the metric"),
    "value": ("double", "the metric"),
    "lower": ("double", "lower end of its 95 % bootstrap interval"),
    "upper": ("double", "upper end of its 95 % bootstrap interval"),
}
DECILE_COLUMNS = {
    "as_of_date": ("date", "the past date of the forecast; null for the mean over the dates"),
    "horizon_days": ("integer", "length of the forecast"),
    "model": ("varchar", "model or benchmark"),
    "decile": ("integer", "tenth of the customers by predicted value, 1 the best"),
    "customers": ("integer", "customers in it"),
    "predicted_value": ("double", "mean predicted value: spend, or what cva_target says"),
    "actual_value": ("double", "mean actual value"),
    "lift": ("double", "mean actual value over that of all customers"),
    "capture": ("double", "share of all value made by this tenth and those above it, 0 to 1"),
    "purchase_probability": ("double", "mean predicted probability to buy; null without one"),
    "buyers_rate": ("double", "share who bought, 0 to 1"),
}


@dataclass(frozen=True)
class Evaluation:
    """A back-test: a row per date (None for the mean over dates), model and metric or decile.

    `groups` has a row per date, group of customers and metric, of what would have scored.
    """

    metrics: list[dict[str, Any]]
    deciles: list[dict[str, Any]]
    verdicts: list[str]
    groups: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Evaluated:
    """The back-test of a shop, and of what would have scored the metrics by group."""

    result: Backtest
    groups: list[GroupMetrics]


def _entry(found: Evaluated) -> Entry:
    return Entry(str(found.result.dates[-1]), sum(found.result.customers))


@recording("evaluate", _entry)
def evaluate_shop(
    shop: ResolvedShop, dates: list[date], replicates: int, *, is_ablated: bool = False
) -> Evaluated:
    """Back-tests at these dates, or at the newest ones that leave a whole horizon to look at."""
    from cva_sql.cli.shop.progress import say, step
    from cva_sql.cli.train.added import added_files
    from cva_sql.cli.train.examples import (
        EVALUATE_SCHEMA,
        build_examples,
        dropped_after,
        read_history,
    )
    from cva_sql.cli.train.terms import read_terms
    from cva_sql.cli.train.texts import packaged_aside, read_texts
    from cva_sql.models_onnx.value.backtesting.added import with_added
    from cva_sql.models_onnx.value.backtesting.backtest import backtest

    horizon, terms, files = shop.horizon_days, read_terms(shop), added_files(shop)
    with dropped_after(shop, EVALUATE_SCHEMA):
        with step("looking at the history"):
            history = read_history(shop, EVALUATE_SCHEMA)
        if history.first_order is None:
            raise CvaError("there is no valid order to evaluate on; see table cva_rejects")
        plans = _plans(dates, history, horizon)
        wanted = [(o, plan.label_days) for plan in plans for o in plan.cutoffs]
        wanted += [(plan.as_of, horizon) for plan in plans]
        # One projection for all dates, so it may know no more than the earliest of them.
        first = min(day for day, _ in wanted)
        texts = read_texts(shop, first, packaged_aside(shop, first, EVALUATE_SCHEMA))
        with step(f"building examples of {len(set(wanted))} dates"):
            data = build_examples(
                shop,
                wanted,
                EVALUATE_SCHEMA,
                scored_on=[plan.as_of for plan in plans],
                max_rows=MAX_ROWS,
                texts=texts,
                terms=None if files else terms,
            )
            groups = read_groups(shop, EVALUATE_SCHEMA, [plan.as_of for plan in plans])
    own = data.under(terms) if files else data  # an added model may read what ours may not
    with step("back-testing"):

        def report(text: str) -> None:
            say(f"  {text}")

        result = backtest(own, plans, replicates, report, is_ablated=is_ablated)
        if files:
            result = with_added(result, files, data, plans, replicates, report)
        return Evaluated(result, measured(groups, result.own, replicates))


def _plans(dates: list[date], history: History, horizon: int) -> list[Plan]:
    """What is learned from for each date, the dates in order; raises UsageError for a wrong one."""
    plans = []
    for day in sorted(set(dates or _default_dates(history, horizon))):
        if day + timedelta(days=horizon) > history.as_of:
            raise UsageError(
                f"--as-of {day} and {horizon} days end after the newest order "
                f"({history.as_of - timedelta(days=1)}); take an earlier date"
            )
        plan = history.plan(day, horizon)
        _check_labelled(history, day)
        if plan is None:
            raise UsageError(
                f"--as-of {day} has too little history since {history.first_order}; "
                "take a later date"
            )
        plans.append(plan)
    return plans


def _check_labelled(history: History, day: date) -> None:
    """Raises UsageError for a date of which the shop's own table has no label to compare with."""
    if history.labels is not None and day not in history.labels:
        newest = ", ".join(str(known) for known in sorted(history.labels)[-3:])
        raise UsageError(f"--as-of {day} has no labels; the newest dates with some: {newest}")


def _default_dates(history: History, horizon: int) -> list[date]:
    as_of = history.as_of
    if history.labels is None:
        dates = [as_of - timedelta(days=horizon * n) for n in range(1, DEFAULT_DATES + 1)]
    else:
        known = [day for day in sorted(history.labels) if day + timedelta(days=horizon) <= as_of]
        dates = known[::-1]
    dates = [day for day in dates if history.plan(day, horizon) is not None][:DEFAULT_DATES]
    if not dates and history.labels is not None:
        raise CvaError(f"{history.too_short(horizon)}; one such date has to be before another")
    if not dates:
        raise CvaError(
            f"the history ({history.first_order} .. {as_of}) is too short to evaluate a horizon of "
            f"{horizon} days; try a shorter one with: --horizon-days {max(7, horizon // 3)}"
        )
    return dates


def metric_rows(result: Backtest) -> list[dict[str, Any]]:
    """One row per date (None for the mean over dates), model and metric.

    Paired differences have rows of their own, of a model named as a difference: what an optional
    family adds, `cva` less the best rule and less its benchmark, the ensemble without an ingredient
    less the whole.
    """
    from cva_sql.models_onnx.value.backtesting.backtest import MODEL, WITHOUT
    from cva_sql.models_onnx.value.members.registry import ENSEMBLE

    found = [
        (day, model, metric)
        for model, (by_date, means) in result.metrics.items()
        for day, metrics in [*zip(result.dates, by_date, strict=True), (None, means)]
        for metric in metrics.values()
    ]
    differences = {
        f"{MODEL} less {WITHOUT}{family}": gain.differences for family, gain in result.gains.items()
    }
    differences |= {f"{MODEL} less {name}": d for name, d in result.comparisons.items()}
    differences |= {f"{ENSEMBLE} without {name}": d for name, d in result.ablation.items()}
    found += [(None, name, metric) for name, d in differences.items() for metric in d.values()]
    return [
        {
            "as_of_date": day.isoformat() if day else None,
            "horizon_days": result.horizon_days,
            "model": model,
            "metric": metric.name,
            "value": metric.value,
            "lower": metric.lower,
            "upper": metric.upper,
        }
        for day, model, metric in found
    ]


def decile_rows(result: Backtest) -> list[dict[str, Any]]:
    """One row per date (None for the mean over dates), model and decile."""
    return [
        {
            **decile.__dict__,
            "as_of_date": decile.as_of_date.isoformat() if decile.as_of_date else None,
            "horizon_days": result.horizon_days,
        }
        for decile in result.deciles
    ]


def write_evaluation(shop: ResolvedShop, evaluated: Evaluated) -> Evaluation:
    """Writes the figures to cva_model_metrics, _deciles and _groups, and says what they are."""
    result = evaluated.result
    found = Evaluation(
        metric_rows(result),
        decile_rows(result),
        [*result.verdicts, *(gain.verdict for gain in result.gains.values())],
        group_rows(result, evaluated.groups),
    )
    write_table(shop, "cva_model_metrics", METRIC_COLUMNS, found.metrics)
    write_table(shop, "cva_model_deciles", DECILE_COLUMNS, found.deciles)
    write_table(shop, "cva_model_groups", GROUP_COLUMNS, found.groups)
    return found
