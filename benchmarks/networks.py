"""Are networks worth it? Each beside the members, MBG/NBD and a rule, and what a fit takes.

    .venv/bin/python benchmarks/networks.py retail/shop.duckdb --as-of 2011-06-01 --as-of 2011-09-01
    .venv/bin/python benchmarks/networks.py cdnow/shop.duckdb --as-of 1998-03-01 --tune 6

The database is as `cva load` leaves it; torch has to be there. On each date everything is trained
by what was known before it and compared with the 90 days after it, all totals as forecast.
Differences are to the ensemble without networks, paired by customer, with 95 % intervals. With
`--tune` all is fitted once more with the settings that so many minutes found as of each date.
First each member is fitted once to the newest examples, in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from datetime import date
from pathlib import Path

from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.cli.train.examples import EVALUATE_SCHEMA, build_examples, read_history
from cva_sql.models_onnx.value.data.cutoffs import Plan, plan_cutoffs
from cva_sql.models_onnx.value.data.dataset import Dataset
from cva_sql.models_onnx.value.data.terms import Terms
from cva_sql.models_onnx.value.judging.bootstrap import (
    Sample,
    evaluate_dates,
    mean_differences,
)
from cva_sql.models_onnx.value.members.networks.sequence import NAME as SEQUENCE
from cva_sql.models_onnx.value.members.registry import (
    ENSEMBLE,
    learners,
    network_names,
)
from cva_sql.models_onnx.value.training.examples import read_examples
from cva_sql.models_onnx.value.training.fit import finish_model, fit_model
from cva_sql.models_onnx.value.training.learning import prepare_learning
from cva_sql.models_onnx.value.training.tuning import tune
from cva_sql.models_onnx.value.training.validation import reference_predictions

HORIZON = 90
FIGURES = ("ngini", "d2_tweedie", "mae", "r2")
WITH, TUNED = "ensemble with networks", "tuned"


def read_data(db: Path, dates: list[date]) -> tuple[Dataset, list[Plan]]:
    shop = ResolvedShop(
        db, db.parent / "models", {"cva_horizon_days": HORIZON, "cva_use_sequences": True}
    )
    history = read_history(shop, EVALUATE_SCHEMA)
    plans = []
    for day in dates:
        plan = plan_cutoffs(history.first_order, day, HORIZON)
        if plan is None:
            raise SystemExit(f"{day}: the history is too short")
        plans.append(plan)
    wanted = [(cutoff, plan.label_days) for plan in plans for cutoff in plan.cutoffs]
    wanted += [(plan.as_of, HORIZON) for plan in plans]
    data = build_examples(shop, wanted, EVALUATE_SCHEMA, scored_on=dates, max_rows=3_000_000)
    return data, plans


def predict(data: Dataset, plan: Plan, terms: Terms) -> tuple[dict[str, Sample], str]:
    """Every kind's sample on the plan's date, and which networks joined the ensemble."""
    test = data.at([plan.as_of], HORIZON)
    fitting = fit_model(data.under(terms), plan, lambda _: None)
    members = fitting.members
    if members is None:
        raise SystemExit(f"{plan.as_of}: too little to fit anything to")
    found = {
        kind: finish_model(fitting.learning, members, fitting.folds, kind) for kind in members.kinds
    }
    told = {kind: model.predict(test)["predicted_value"] for kind, model in found.items()}
    samples = {
        kind: Sample(test.label_value, value, customer_id=test.customer_id)
        for kind, value in told.items()
    }
    return samples, ", ".join(members.joined) or "none"


def at_date(data: Dataset, plan: Plan, minutes: float) -> dict[str, Sample]:
    every = Terms(networks=network_names())
    found, _ = predict(data, plan, Terms())
    more, joined = predict(data, plan, every)
    found |= {name: more[name] for name in network_names()} | {WITH: more[ENSEMBLE]}
    untaught = Terms(networks=(SEQUENCE,), settings={SEQUENCE: {"pretrain_epochs": 0}})
    found[f"{SEQUENCE}, not pretrained"] = predict(data, plan, untaught)[0][SEQUENCE]
    print(f"{plan.as_of}: joined by {joined}", flush=True)
    if minutes:
        tuned = tune(data.under(every), plan, minutes, lambda text: print(f"  {text}", flush=True))
        settings = {one.member: one.settings for one in tuned if one.settings}
        print(f"  {json.dumps(settings)}", flush=True)
        better, joined = predict(data, plan, Terms(networks=network_names(), settings=settings))
        print(f"  tuned: joined by {joined}", flush=True)
        found |= {f"{name} {TUNED}": sample for name, sample in better.items()}
    test = data.at([plan.as_of], HORIZON)
    rule = reference_predictions(test, HORIZON)["decayed_spend"]
    found["decayed_spend"] = Sample(test.label_value, rule, customer_id=test.customer_id)
    return found


def describe(dates: list[dict[str, Sample]]) -> list[str]:
    """A line a model: its figures, means over the dates, and by how much they differ."""
    samples = {name: [one[name] for one in dates] for name in dates[0]}
    values = {name: evaluate_dates(rows, replicates=0)[1] for name, rows in samples.items()}
    others = {name: rows for name, rows in samples.items() if name != ENSEMBLE}
    less = mean_differences(samples[ENSEMBLE], others, FIGURES)
    lines = [f"{'':30s}" + "".join(f"{name:>10s}{'less the ensemble':>24s}" for name in FIGURES)]
    for name, found in values.items():
        cells = ""
        for figure in FIGURES:
            cells += f"{found[figure].value:10.3f}"
            one = less[name][figure] if name in less else None
            cells += f"{f'{one.lower:+.3f} .. {one.upper:+.3f}':>24s}" if one else f"{'':30s}"
        lines.append(f"{name:30s}{cells}".rstrip())
    return lines


def fit_times(data: Dataset, plan: Plan) -> list[str]:
    """CPU seconds of one fit and the memory on top of the examples, of each member by itself."""
    learning = prepare_learning(data, plan)
    _, examples = read_examples(learning, plan.cutoffs, plan.as_of, HORIZON)
    lines = [f"one fit to {len(examples.value):,} examples of {examples.rows.z.shape[1]} columns:"]
    for member in learners(network_names()):
        read, write = os.pipe()
        if not (child := os.fork()):
            try:
                before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                started = time.process_time()
                member.fit_with(examples, {})
                spent = time.process_time() - started
                more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
                os.write(write, f"{spent:.1f} {more / 1024:.0f}".encode())
            finally:
                os._exit(0)
        os.close(write)
        with os.fdopen(read) as answer:
            seconds, megabytes = answer.read().split()
        os.waitpid(child, 0)
        lines.append(f"  {member.name:14s} {seconds:>7s} s {megabytes:>6s} MB")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shop", type=Path)
    parser.add_argument("--as-of", type=date.fromisoformat, action="append", required=True)
    parser.add_argument("--tune", type=float, default=0.0, help="minutes a date")
    given = parser.parse_args()
    data, plans = read_data(given.shop.resolve(), given.as_of)
    print("\n".join(fit_times(data, plans[-1])), flush=True)  # no thread has been started yet
    print("\n".join(describe([at_date(data, plan, given.tune) for plan in plans])))


if __name__ == "__main__":
    main()
