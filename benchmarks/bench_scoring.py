"""Rows a second of cva_predict in SQL against LightGBM's own predict on the same trees.

Two yardsticks: predict alone, with its matrix ready in memory; and what a notebook does: fetch the
features, predict, write the predictions back. Both leave out buy till you die, the linear members,
the level, chances, orders and quantiles that cva_predict gives as well.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shop import make_shop

REPETITIONS = 5
THREADS = 2
PROFILED, SHOWN = 16_384, 5  # customers; operators
COLUMNS_EACH = 6  # of a family that is made up


def timed(work: Callable[[], object]) -> float:
    """Seconds that `work` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def prepare(db: Path, families: int = 0) -> tuple[Any, Path]:
    """A model trained on the shop and deployed, customer_features built.

    With `families` it also learns from as many families of columns that are made up.
    """
    from dataclasses import replace

    from cva_sql.cli.shop.dbt_runner import run_dbt
    from cva_sql.cli.shop.model_store import deploy, store_model
    from cva_sql.cli.shop.resolver import open_shop
    from cva_sql.cli.train.examples import TRAIN_SCHEMA, read_history, read_training_set
    from cva_sql.models_onnx.value.model.graph import build_model
    from cva_sql.models_onnx.value.training.fit import fit_model
    from cva_sql.models_onnx.value.training.manifest import build_manifest
    from cva_sql.models_onnx.value.training.typical_customer import build_explanation

    shop = open_shop(db)
    history = read_history(shop, TRAIN_SCHEMA)
    rows = read_training_set(shop, history, 90, max_rows=100_000)
    if rows is None:
        raise SystemExit("the shop has too little history to train on")
    if families:
        rows = replace(rows, data=with_families(rows.data, families))
    fitting = fit_model(rows.data, rows.plan, lambda text: None)
    model, choice = fitting.model, fitting.choice
    if model is None:
        raise SystemExit("the shop has too few examples to train on")
    onnx = build_model(model)
    explanation = build_explanation(model, rows.data.seen_from(rows.plan.as_of))
    manifest = build_manifest(
        model, onnx, rows.plan, choice, rows.first_order, explanation=explanation
    )
    store_model(shop.models_dir, onnx, manifest)
    deploy(shop.models_dir, manifest.version)
    run_dbt(shop, "run", select=["+customer_features"])
    if families:
        add_families(db, families)
    return model, shop.models_dir


def made_up(families: int) -> list[tuple[str, str, float]]:
    """(column, its family, how much of it is past spend) of columns beside those of orders."""
    return [
        (f"made_up_{family}_{column}", f"made_up_{family}", 0.1 * column)
        for family in range(families)
        for column in range(COLUMNS_EACH)
    ]


def with_families(data: Any, families: int) -> Any:
    """The training examples with these columns."""
    from dataclasses import replace

    import numpy as np

    random = np.random.default_rng(3)
    spend = np.log1p(np.nan_to_num(data.numbers["decayed_spend"]))
    columns = {
        name: (share * spend + random.random(len(data))).astype(np.float32)
        for name, _, share in made_up(families)
    }
    reasons = {name: family for name, family, _ in made_up(families)}
    return replace(
        data,
        numbers={**data.numbers, **columns},
        reason_families={**data.reason_families, **reasons},
    )


def add_families(db: Path, families: int) -> None:
    """The same for customer_features."""
    import duckdb

    columns = ", ".join(
        f"{share} * ln(1 + coalesce(decayed_spend, 0)) + random() as {name}"
        for name, _, share in made_up(families)
    )
    with duckdb.connect(str(db)) as con:
        con.execute(
            "create or replace table customer_features as "
            f"select *, {columns} from customer_features"
        ).fetchall()


def measure(customers: int) -> None:
    """Prints one size."""
    import duckdb
    import numpy as np
    import pyarrow as pa

    from cva_sql.udfs.register import register, unregister

    with tempfile.TemporaryDirectory() as folder:
        db = Path(folder) / "shop.duckdb"
        make_shop(db, customers)
        model, models_dir = prepare(db)
        con = duckdb.connect(str(db), config={"threads": THREADS})
        register(con, models_dir=models_dir)
        members = model.members
        numbers = members.preparation.preprocessing.numbers
        names = ", ".join(f'cast("{n}" as float) as "{n}"' for n in numbers)
        fitted = members.fitted.values()
        boosters = [member.trees.booster for member in fitted if hasattr(member, "trees")]

        def fetch() -> Any:
            columns = con.execute(f"select {names} from customer_features").fetchnumpy()
            return {n: np.ma.filled(np.ma.asarray(c), np.nan) for n, c in columns.items()}

        def make_matrix() -> Any:
            matrix = members.preparation.preprocessing.matrix(fetch(), {})
            return matrix.astype(np.float64)

        def predict(matrix: Any) -> list[Any]:
            return [b.predict(matrix, raw_score=True, num_threads=THREADS) for b in boosters]

        def in_sql() -> None:
            con.execute(
                "create or replace temp table scores as "
                "select customer_id, cva_predict(f) as p from customer_features as f"
            ).fetchall()

        def in_a_notebook() -> None:
            ids = con.execute("select customer_id from customer_features").fetchnumpy()
            predictions = predict(make_matrix())
            predicted = pa.table(  # noqa: F841 - the query below reads it by name
                {"customer_id": pa.array(ids["customer_id"])}
                | {f"p{i}": pa.array(p) for i, p in enumerate(predictions)}
            )
            con.execute("create or replace temp table scores as from predicted").fetchall()

        matrix = make_matrix()
        ways: dict[str, Callable[[], object]] = {
            "cva_predict in SQL, all outputs": in_sql,
            "LightGBM predict, matrix ready": lambda: predict(matrix),
            "the same from and to the database": in_a_notebook,
        }
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for repetition in range(REPETITIONS + 1):
            for name, way in ways.items():
                duration = timed(way)
                if repetition:  # the first warms up
                    seconds[name].append(duration)
        table = con.sql(f"from customer_features limit {PROFILED}").to_arrow_table()
        unregister(con)
        con.close()
        shares = profile(models_dir, table)
    count = sum(booster.num_trees() for booster in boosters)
    print(
        f"{len(matrix):,} customers, {len(boosters)} boosters with {count} trees, "
        f"{matrix.shape[1]} features, {THREADS} threads, medians of {REPETITIONS}"
    )
    ours = statistics.median(seconds["cva_predict in SQL, all outputs"])
    for name, durations in seconds.items():
        median = statistics.median(durations)
        ratio = "" if median == ours else f"   SQL is {median / ours:.2f} x as fast"
        print(f"  {name:<36}{len(matrix) / median:>12,.0f} rows/s{ratio}")
    print(f"  of the session's time, by operator: {shares}")


def profile(models_dir: Path, table: Any) -> str:
    """How onnxruntime's time of one thread is spread over operators, as it says itself."""
    import onnxruntime

    from cva_sql.udfs.manifest import MODEL_FILE, inputs_from_columns
    from cva_sql.udfs.sessions import deployed_folder, load_model

    folder = deployed_folder(models_dir)
    columns = {name: table.column(name).combine_chunks() for name in table.column_names}
    inputs = inputs_from_columns(load_model(folder).manifest, columns, len(table))
    with tempfile.TemporaryDirectory() as place:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(place) / "profile")
        session = onnxruntime.InferenceSession(
            str(folder / MODEL_FILE), options, providers=["CPUExecutionProvider"]
        )
        for _ in range(REPETITIONS):
            session.run(None, inputs)
        events = json.loads(Path(session.end_profiling()).read_text())
    took: dict[str, int] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            kind = event["args"]["op_name"]
            took[kind] = took.get(kind, 0) + event["dur"]
    most = sorted(took.items(), key=lambda item: -item[1])[:SHOWN]
    return ", ".join(f"{kind} {time / sum(took.values()):.0%}" for kind, time in most)


def main() -> None:
    """Measures every size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", default="20000,200000")
    for size in parser.parse_args().customers.split(","):
        measure(int(size))


if __name__ == "__main__":
    main()
