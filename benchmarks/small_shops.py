"""How well small and young shops are scored: samples of customers, and all with a short history.

    .venv/bin/python benchmarks/small_shops.py cdnow.duckdb --as-of 1998-03-01 --prior without.json

The database is as `cva load` leaves it. Of each size so many samples of the customers known on the
date are drawn, each a shop of its own; of each length all customers with the last days alone. Each
is trained as of the date and compared with what came in the 90 days after it, beside decayed spend
and the packaged rule. `bias of truth` is what a shop that knew the whole shop's ratio of spend to
what MBG/NBD expects would miss by. A prior made without this shop (`benchmarks/make_prior.py`)
judges it fairly. A sample takes some eight seconds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.cli.train.examples import EVALUATE_SCHEMA, build_examples, read_history
from cva_sql.models_onnx.value.backtesting.backtest import reference_predictions
from cva_sql.models_onnx.value.data.cutoffs import plan_cutoffs
from cva_sql.models_onnx.value.estimators.prior import read_priors
from cva_sql.models_onnx.value.judging import metrics
from cva_sql.models_onnx.value.training.fit import fit_model

HORIZON = 90
SIZES, LENGTHS = (50, 200, 1000), (60, 90, 120)
RULES = ("decayed_spend", "baseline")
PRIORS = "cva_sql.models_onnx.value.estimators.lifetimes.shop_priors"
SAMPLE = """
    customer_id in (
        select customer_id from whole.raw.orders where ordered_at < $day group by customer_id
        order by hash(customer_id || '-' || $draw) limit $size
    )
"""


@dataclass(frozen=True)
class Result:
    """What was spent and predicted, by model, each (customers,); `status` is the score's."""

    actual: NDArray[np.float64]
    predicted: dict[str, NDArray[np.float64]]
    expected: float
    status: str


def make_shop(whole: Path, db: Path, day: date, where: str, values: dict[str, object]) -> None:
    """A shop of some of the orders; an order of nobody else's ends it after the horizon."""
    import duckdb

    end = day + timedelta(days=HORIZON)
    with duckdb.connect(str(db)) as con:
        con.execute(f"attach '{whole}' as whole (read_only)").fetchall()
        con.execute("create schema raw").fetchall()
        con.execute(
            "create table raw.orders as select * from whole.raw.orders "
            f"where ordered_at < $end and {where}",
            {"end": end, **values},
        ).fetchall()
        con.execute(
            "insert into raw.orders by name select * replace ('last' as order_id, "
            "'nobody else' as customer_id, cast($end as timestamp) as ordered_at) "
            "from raw.orders limit 1",
            {"end": end},
        ).fetchall()


def score(db: Path, day: date) -> Result:
    """The shop trained as of the day."""
    shop = ResolvedShop(db, db.parent / "models", {"cva_horizon_days": HORIZON})
    history = read_history(shop, EVALUATE_SCHEMA)
    plan = plan_cutoffs(history.first_order, day, HORIZON)
    if plan is None:
        raise SystemExit(f"{db}: refused, the history is too short")
    wanted = [(cutoff, plan.label_days) for cutoff in plan.cutoffs] + [(day, HORIZON)]
    data = build_examples(shop, wanted, EVALUATE_SCHEMA, scored_on=[day], max_rows=300_000)
    test = data.at([day], HORIZON)
    rules = reference_predictions(test, HORIZON)
    fitting = fit_model(data, plan, lambda _: None)
    if fitting.model is None or not fitting.choice.has_won:
        ours, status = rules["baseline"], "untrained"
    else:
        ours = fitting.model.predict(test)["predicted_value"]
        status = "ok" if fitting.choice.dates else "few_data"
    expected = fitting.model.forecast.expected if fitting.model else float("nan")
    predicted = {"cva": ours, **{name: rules[name] for name in RULES}}
    return Result(test.label_value, predicted, expected, status)


def groups(
    whole: Path, day: date, sizes: list[int], lengths: list[int], draws: int
) -> Iterator[tuple[str, list[Result]]]:
    """(what they are samples of, their results)."""
    for size in sizes:
        values = [{"day": day, "draw": draw, "size": size} for draw in range(draws)]
        yield f"{size:,} customers", [one_shop(whole, day, SAMPLE, one) for one in values]
    for length in lengths:
        start = {"start": day - timedelta(days=length)}
        yield f"last {length} days", [one_shop(whole, day, "ordered_at >= $start", start)]


def one_shop(whole: Path, day: date, where: str, values: dict[str, object]) -> Result:
    with tempfile.TemporaryDirectory() as name:
        db = Path(name) / "shop.duckdb"
        make_shop(whole, db, day, where, values)
        return score(db, day)


def describe(group: str, results: list[Result], ratio: float) -> list[str]:
    """The lines of a group: ours, then the rules."""
    statuses = {status: 0 for status in ("ok", "few_data", "untrained")}
    for result in results:
        statuses[result.status] += 1
    said = ", ".join(f"{count} {status}" for status, count in statuses.items() if count)
    truth = [abs(r.expected * ratio / r.actual.sum() - 1) for r in results if r.actual.sum() > 0]
    lines = [f"{group}: {said}; |bias| of truth {np.nanmean(truth):.2f}"]
    decayed = sum(metrics.mae(r.actual, r.predicted["decayed_spend"]) for r in results)
    for name in ("cva", *RULES):
        found: dict[str, list[float]] = defaultdict(list)
        for r in results:
            told = r.predicted[name]
            found["nGini"].append(metrics.ngini(r.actual, told))
            found["D2"].append(metrics.d2_tweedie(r.actual, told))
            found["|bias|"].append(abs(metrics.bias(r.actual, told)))
            found["mae"].append(metrics.mae(r.actual, told))
        shown = "  ".join(
            f"{metric} {np.nanmean(found[metric]):.3f}" for metric in ("nGini", "D2", "|bias|")
        )
        lines.append(
            f"  {name:<14} {shown}  MAE / decayed spend's {sum(found['mae']) / decayed:.3f}"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shop", type=Path, help="A database with raw.orders.")
    parser.add_argument("--as-of", type=date.fromisoformat, required=True)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--sizes", type=int, nargs="*", default=list(SIZES))
    parser.add_argument("--days", type=int, nargs="*", default=list(LENGTHS))
    parser.add_argument("--prior", type=Path, help="In place of the packaged prior.")
    given = parser.parse_args()
    whole = one_shop(given.shop, given.as_of, "true", {})
    ratio = float(whole.actual.sum()) / whole.expected
    priors = read_priors(json.loads(given.prior.read_text())) if given.prior else None
    with patch(PRIORS, lambda: priors) if priors else nullcontext():
        found = groups(given.shop, given.as_of, given.sizes, given.days, given.draws)
        for group, results in found:
            print("\n".join(describe(group, results, ratio)), flush=True)


if __name__ == "__main__":
    main()
