"""How good recommendations are: every candidate, the ranker and what would be deployed.

    python benchmarks/recommend.py shop.duckdb --on 2011-09-16 --on 2011-10-14 --on 2011-11-11

Reads raw.orders and raw.order_items. On each date everything is fitted on what was before it, the
deployed one is chosen on the 28 days before it, and customers with an earlier order are judged by
what they bought in the 28 days after it. Says how often what was listed was bought, beside its
probability. Prints a table by part (all, re-buys, new products), and
how far the deployed one leads each of the others, with paired 95 % intervals over customers.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import duckdb
import numpy as np

from cva_sql.models_onnx.recommend.baskets import Baskets, make_baskets
from cva_sql.models_onnx.recommend.calibration import MOST_CUSTOMERS
from cva_sql.models_onnx.recommend.choice import POPULARITY, Choice, choose
from cva_sql.models_onnx.recommend.judging import (
    METRICS,
    PARTS,
    RANKER,
    Judged,
    difference,
    estimate,
    judge_date,
)
from cva_sql.models_onnx.recommend.lists import ordered, top
from cva_sql.models_onnx.recommend.metrics import LENGTH
from cva_sql.models_onnx.recommend.ranker import (
    Known,
    alone,
    bought_in,
    chunks,
    known,
    sampled,
)
from cva_sql.models_onnx.recommend.registry import all_candidates, not_installed

LINES = """
    select customer_id, order_id, product_id, unit_price::double as price,
        date_diff('day', date '1970-01-01', ordered_at::date) as day
    from raw.order_items join raw.orders using (order_id)
"""
DEPLOYED = "deployed"


def read(db: str) -> Baskets:
    """The shop's baskets."""
    con = duckdb.connect(db, read_only=True)
    found = con.execute(LINES).fetchnumpy()
    con.close()
    columns = ("customer_id", "order_id", "product_id", "day", "price")
    return make_baskets(
        *(np.ma.filled(found[name], np.nan) if name == "price" else found[name] for name in columns)
    )


def judged_on(baskets: Baskets, day: int, horizon: int) -> Judged:
    """All that recommends on a day, with what was chosen before it."""
    started = time.monotonic()
    choice = choose(baskets, day, horizon, all_candidates())
    chosen = time.monotonic()
    print(f"{_date(day)}: {choice.verdict} ({chosen - started:.0f} s)", flush=True)
    state = known(baskets, day, horizon, all_candidates())
    judged = judge_date(baskets, state, choice.ranker)
    show_calibration(baskets, state, choice)
    print(f"  {len(judged.customer)} customers judged ({time.monotonic() - chosen:.0f} s)")
    return replace(
        judged,
        rows={**judged.rows, DEPLOYED: judged.rows[choice.name]},
        coverage={**judged.coverage, DEPLOYED: judged.coverage[choice.name]},
        novelty={**judged.novelty, DEPLOYED: judged.novelty[choice.name]},
    )


def show_calibration(baskets: Baskets, state: Known, choice: Choice) -> None:
    """Probabilities of what is listed, by fifths of them, against how often it was bought."""
    if choice.calibration is None:
        return
    ranker = choice.ranker or alone({choice.name, POPULARITY}, choice.name)
    told, came = [], []
    for part in chunks(sampled(state.baskets.active(), MOST_CUSTOMERS)):
        values = ranker.score(state, part, state.scores(part))
        place, usable = top(ordered(values, state.popularity), LENGTH, state.allowed(part))
        row, column = np.nonzero(usable)
        product = place[row, column]
        told.append(choice.calibration.of(values[row, product]))
        came.append(bought_in(baskets, state.day, state.horizon, part)[row, product])
    probability, bought = np.nan_to_num(np.concatenate(told)), np.concatenate(came)
    fifths = np.array_split(np.argsort(probability, kind="stable"), 5)
    cells = [f"{probability[one].mean():.3f}/{bought[one].mean():.3f}" for one in fifths]
    print(f"  probability/bought {probability.mean():.3f}/{bought.mean():.3f}: {', '.join(cells)}")


def _date(day: int) -> str:
    return str(date.fromordinal(date(1970, 1, 1).toordinal() + day))


def show(dates: Sequence[Judged]) -> None:
    """The tables."""
    names = [name for name in dates[0].rows if all(name in one.rows for one in dates)]
    for part in PARTS:
        print(
            f"\n{part:<18}"
            + "".join(f"{metric + '@10':>24}" for metric in METRICS)
            + (f"{'coverage':>10}{'novelty':>9}" if part == "all" else "")
        )
        for name in names:
            cells = [estimate(dates, name, part, metric) for metric in METRICS]
            line = f"{name:<18}" + "".join(
                f"{f'{cell.value:.4f} ({cell.lower:.4f}-{cell.upper:.4f})':>24}" for cell in cells
            )
            if part == "all":
                shares = [
                    np.mean([getattr(one, what)[name] for one in dates])
                    for what in ("coverage", "novelty")
                ]
                line += f"{shares[0]:>10.3f}{shares[1]:>9.2f}"
            print(line)
    print(f"\n{'lead of deployed':<18}{'recall@10':>24}{'ndcg@10':>24}")
    for name in names:
        if name not in (DEPLOYED, RANKER):
            cells = [difference(dates, DEPLOYED, name, "all", metric) for metric in METRICS[:2]]
            print(
                f"{name:<18}"
                + "".join(
                    f"{f'{cell.value:.4f} ({cell.lower:.4f}-{cell.upper:.4f})':>24}"
                    for cell in cells
                )
            )


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("db")
    parser.add_argument("--on", action="append", required=True, type=date.fromisoformat)
    parser.add_argument("--horizon", type=int, default=28)
    given = parser.parse_args()
    baskets = read(given.db)
    print(f"{baskets.customers} customers, {baskets.products} products, {len(baskets.day)} lines")
    for name in not_installed():
        print(f"{name} is not compared: it needs the extra recommend")
    epoch = date(1970, 1, 1).toordinal()
    show([judged_on(baskets, on.toordinal() - epoch, given.horizon) for on in given.on])


if __name__ == "__main__":
    main()
