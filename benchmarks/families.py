"""What a family of features gains on a later period: with its scale, and by all or nothing.

    .venv/bin/python benchmarks/families.py --customers 3000 --seeds 5

Each seed is a sample shop's orders. Every customer has a hidden mood that drifts from month to
month (an autoregression, 0.7 from one to the next); an order's amount is multiplied by exp(b times
the mood of its month). A family of features says of a date what the mood of that month and the two
after it will be on average, as an intention does, for seven customers of ten, beside four columns
of noise. b is set before anything is fitted, so that this average makes `--strength`, 0.1, of the
variance of log spend of those who buy in the last horizon. The family enters as features of the
user's own do. Figures are of the horizon after the training. With the link cut the family's rows
are shuffled among customers, the orders stay.

`--family browse` and `--family reviews` take the shop's visits and reviews instead, from the raw
table to the features, tied to the same average: visits that lead to no order are the rarer the
lower it is, and ratings and texts are handed out anew by it and some luck (benchmarks/linked.py).

All or nothing is the former rule: members learn from the family as from the base, and which of both
fits is taken says the deviance that they explain on the validation dates. A seed takes a minute.
With `--kept FILE` each seed's figures are kept there, and seeds that it has are not computed again.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
from linked import link_reviews, link_visits
from numpy.typing import NDArray

from cva_sql.cli.demo.sample_shop import Browsing, write_shop
from cva_sql.cli.load.table import load_table
from cva_sql.cli.shop.shop import ResolvedShop
from cva_sql.cli.train.examples import (
    EVALUATE_SCHEMA,
    build_examples,
    read_history,
)
from cva_sql.cli.train.texts import read_texts
from cva_sql.models_onnx.value.data.cutoffs import Plan, plan_cutoffs
from cva_sql.models_onnx.value.data.dataset import Dataset
from cva_sql.models_onnx.value.judging import metrics
from cva_sql.models_onnx.value.training.fit import Fitting, fit_model, without_family

HORIZON, MONTHS = 90, 30
AS_OF = date(2026, 1, 1) - timedelta(days=HORIZON)
KEPT, KNOWN, NOISE = 0.7, 0.7, 4
AHEAD = 3  # months that the family speaks of
VARIANCE = (AHEAD + 2 * (2 * KEPT + KEPT**2)) / AHEAD**2  # of the mean of so many moods
FAMILY = "own"
TABLES_OF = {"browse": ("events",), "reviews": ("reviews",)}
HARM = -0.003  # of nGini: a seed below is harmed
Factor = NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """The family by customer and month: (customers, months, columns), the mood to come first."""

    ids: NDArray[np.str_]
    values: Factor

    def shuffled(self, rng: np.random.Generator) -> Table:
        """The same rows, each at another customer's."""
        return replace(self, values=self.values[rng.permutation(len(self.ids))])

    def beside(self, data: Dataset) -> Dataset:
        """The examples with the family as of each row's date, NULL for customers without a row."""
        who = {name: place for place, name in enumerate(self.ids)}
        places = np.array([who.get(str(name), -1) for name in data.customer_id])
        month = month_of(data.as_of_date)
        found = np.where((places < 0)[:, None], np.nan, self.values[places, month])
        names = [f"family_{k}" for k in range(found.shape[1])]
        numbers = {name: found[:, k].astype(np.float32) for k, name in enumerate(names)}
        families = dict.fromkeys(names, FAMILY)
        return replace(
            data,
            numbers=data.numbers | numbers,
            families=data.families | families,
            optional=data.optional | families,
        )


def month_of(days: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """Months since the shop began."""
    last = np.datetime64("2025-12", "M").astype(np.int64)
    return days.astype("datetime64[M]").astype(np.int64) - last + MONTHS - 1


def make_table(ids: NDArray[np.str_], rng: np.random.Generator) -> tuple[Table, Factor]:
    """A family before any link to spend, and the mood of each month, (customers, months)."""
    drawn = rng.normal(size=(len(ids), MONTHS + AHEAD, 1 + NOISE))
    for k in range(1, MONTHS + AHEAD):
        drawn[:, k] = KEPT * drawn[:, k - 1] + np.sqrt(1 - KEPT**2) * drawn[:, k]
    ahead = sum(drawn[:, k : MONTHS + k] for k in range(AHEAD)) / AHEAD
    return Table(ids, ahead), drawn[:, :MONTHS, 0]


def make_shop(
    folder: Path, customers: int, seed: int, strength: float, family: str = FAMILY
) -> tuple[Path, Table]:
    """A shop whose orders follow the table that is returned, known of some customers alone."""
    rng = np.random.default_rng(seed)
    write_shop(folder, customers=customers, months=MONTHS, seed=seed, browsing=Browsing(link=0))
    db = folder / "shop.duckdb"
    for table in ("orders", *TABLES_OF.get(family, ())):
        load_table(table, [folder / f"{table}.csv"], db=db)
    with duckdb.connect(str(db)) as con:
        found = con.execute(
            "select distinct customer_id from raw.orders where customer_id is not null order by 1"
        ).fetchnumpy()
        table, mood = make_table(found["customer_id"].astype(str), rng)
        (spread,) = con.execute(
            "select var_samp(ln(spend)) from (select sum(amount) as spend from raw.orders "
            "where ordered_at >= $day and ordered_at < date '2026-01-01' and amount > 0 "
            "group by customer_id)",
            {"day": AS_OF},
        ).fetchall()[0]
        factors = np.exp(np.sqrt(strength * spread / VARIANCE) * mood)
        write_factors(con, table.ids, factors)
        if family in TABLES_OF:
            told(con, table.ids, table.values[:, :, 0] / table.values[:, :, 0].std())
            (link_visits if family == "browse" else link_reviews)(con, MONTHS, seed)
    is_known = rng.random(len(table.ids)) < KNOWN
    return db, Table(table.ids[is_known], table.values[is_known])


def told(con: duckdb.DuckDBPyConnection, ids: NDArray[np.str_], values: Factor) -> None:
    """Table told: customer_id, month since the shop began, z; `values` are (customers, months)."""
    import pyarrow as pa

    names = np.repeat(ids, MONTHS)
    months = np.tile(np.arange(MONTHS), len(ids))
    con.register("told", pa.table({"customer_id": names, "month": months, "z": values.ravel()}))


def write_factors(con: duckdb.DuckDBPyConnection, ids: NDArray[np.str_], factors: Factor) -> None:
    """Multiplies each order's amount by the factor of its customer and month."""
    told(con, ids, factors)
    con.execute(
        "update raw.orders set amount = orders.amount * told.z from told "
        "where orders.customer_id = told.customer_id and told.month = "
        f"datediff('month', date '2026-01-01', orders.ordered_at) + {MONTHS}"
    ).fetchall()


def read_examples(db: Path) -> tuple[Dataset, Plan]:
    """The examples of the plan's dates, and the horizon after it."""
    shop = ResolvedShop(db, db.parent / "models", {"cva_horizon_days": HORIZON})
    history = read_history(shop, EVALUATE_SCHEMA)
    plan = plan_cutoffs(history.first_order, AS_OF, HORIZON)
    if plan is None:
        raise SystemExit(f"{db}: the history is too short")
    wanted = [(day, plan.label_days) for day in plan.cutoffs] + [(AS_OF, HORIZON)]
    texts = read_texts(shop, before=min(day for day, _ in wanted))
    data = build_examples(
        shop, wanted, EVALUATE_SCHEMA, scored_on=[AS_OF], max_rows=300_000, texts=texts
    )
    return data, plan


def shuffled(rows: Dataset, rng: np.random.Generator) -> Dataset:
    """The optional features of each row as another customer has them on that date, if at all."""
    ids = np.unique(rows.customer_id.astype(str))
    other = dict(zip(ids, rng.permutation(ids), strict=True))
    keys = list(zip(rows.customer_id.astype(str), rows.as_of_date, rows.label_days, strict=True))
    place = {key: number for number, key in enumerate(keys)}
    found = np.array([place.get((other[who], day, length), -1) for who, day, length in keys])
    numbers = {
        name: np.where(found < 0, np.nan, rows.numbers[name][found]).astype(np.float32)
        for name in rows.numbers
        if name in rows.optional
    }
    return replace(rows, numbers=rows.numbers | numbers)


def of_one_family(data: Dataset, family: str) -> Dataset:
    """The base and this family's features."""
    off = {name for name, own in data.optional.items() if own != family}
    return replace(
        data,
        numbers={name: column for name, column in data.numbers.items() if name not in off},
        categories={name: column for name, column in data.categories.items() if name not in off},
        optional={name: own for name, own in data.optional.items() if own == family},
    )


def examples(given: argparse.Namespace, seed: int) -> tuple[Dataset, dict[str, Dataset], Plan]:
    """The base's examples, those with the family, linked and cut, and the plan."""
    rng = np.random.default_rng(1000 + seed)
    with tempfile.TemporaryDirectory() as name:
        db, table = make_shop(Path(name), given.customers, seed, given.strength, given.family)
        data, plan = read_examples(db)
    if given.family == FAMILY:
        cut = table.shuffled(rng)
        return data, {"linked": table.beside(data), "cut": cut.beside(data)}, plan
    rows = of_one_family(data, given.family)
    return rows.base(), {"linked": rows, "cut": shuffled(rows, rng)}, plan


def ngini_of(fitting: Fitting, test: Dataset, without: str | None = None) -> float:
    """On the later period, with or without a family."""
    model = without_family(fitting, without) if without else fitting.model
    if model is None:
        raise SystemExit(fitting.choice.reason)
    return metrics.ngini(test.label_value, model.predict(test)["predicted_value"])


def explained(fitting: Fitting) -> float:
    """What the former rule went by."""
    return fitting.choice.scores[fitting.choice.kind]["d2_shape"]


def gains(data: Dataset, rows: Dataset, plan: Plan) -> tuple[float, float, float]:
    """The scale of the one family in rows, its gain on the later period, and all or nothing's."""
    test = rows.at([AS_OF], HORIZON)
    weighed = fit_model(rows, plan, lambda _: None)
    (family,) = weighed.choice.families
    base = ngini_of(weighed, test, without=family.family)
    lean = fit_model(data, plan, lambda _: None)
    if abs(ngini_of(lean, test) - base) > 1e-9:
        raise SystemExit("the model without the family is not that of the base")
    full = fit_model(replace(rows, optional={}), plan, lambda _: None)
    all_or_nothing = full if explained(full) > explained(lean) else lean
    return family.scale, ngini_of(weighed, test) - base, ngini_of(all_or_nothing, test) - base


def of_seed(given: argparse.Namespace, seed: int) -> dict[str, tuple[float, float, float]]:
    """For the link, and for it cut: the scale, its gain, and that of all or nothing."""
    data, by_link, plan = examples(given, seed)
    return {link: gains(data, rows, plan) for link, rows in by_link.items()}


def read_kept(given: argparse.Namespace) -> dict[int, dict[str, tuple[float, float, float]]]:
    """Seed -> what a file has of it for these options."""
    if given.kept is None or not given.kept.exists():
        return {}
    lines = [json.loads(line) for line in given.kept.read_text(encoding="utf-8").splitlines()]
    return {line["seed"]: line["found"] for line in lines if line["of"] == options_of(given)}


def keep(given: argparse.Namespace, seed: int, found: dict[str, tuple[float, ...]]) -> None:
    """Adds a seed to the file, where there is one."""
    if given.kept is not None:
        with given.kept.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"of": options_of(given), "seed": seed, "found": found}) + "\n")


def options_of(given: argparse.Namespace) -> list[object]:
    return [given.family, given.customers, given.strength]


def describe(name: str, found: list[float]) -> str:
    """Mean with its 95 % interval over seeds, and how many seeds were harmed."""
    values = np.array(found)
    error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else np.nan
    return (
        f"{name:<28} {values.mean():+.4f} ({values.mean() - 1.96 * error:+.4f} .. "
        f"{values.mean() + 1.96 * error:+.4f}), {int((values < HARM).sum())} of {len(values)} "
        f"seeds below {HARM}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--customers", type=int, default=3000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument(
        "--strength", type=float, default=0.1, help="Share of log spend's variance."
    )
    parser.add_argument("--family", choices=(FAMILY, *TABLES_OF), default=FAMILY)
    parser.add_argument("--kept", type=Path, help="A file for the figures of each seed.")
    given = parser.parse_args()
    kept = read_kept(given)
    found: dict[str, list[float]] = defaultdict(list)
    for seed in range(given.first_seed, given.first_seed + given.seeds):
        started = time.monotonic()
        line = f"seed {seed}:"
        if seed not in kept:
            kept[seed] = of_seed(given, seed)
            keep(given, seed, kept[seed])
        for link, (scale, gain, former) in kept[seed].items():
            found[f"{link}, by scale"].append(gain)
            found[f"{link}, all or nothing"].append(former)
            line += f" {link} scale {scale:.1f} {gain:+.4f}, all or nothing {former:+.4f};"
        print(f"{line} {time.monotonic() - started:.0f} s", flush=True)
    for name, values in found.items():
        print(describe(name, values))


if __name__ == "__main__":
    main()
