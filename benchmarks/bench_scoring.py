"""Rows a second of cva_predict in SQL against LightGBM's own predict on the same trees."""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from shop import make_shop

REPETITIONS = 5
THREADS = 2


def timed(work: Callable[[], object]) -> float:
    """Seconds that `work` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    """Trains on a synthetic shop, then times both ways in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=100_000)
    customers = parser.parse_args().customers
    import duckdb

    from cva_sql.cli.dbt import run_dbt
    from cva_sql.cli.deploy import deploy, store_model
    from cva_sql.cli.options import open_shop
    from cva_sql.cli.training_data import TRAIN_SCHEMA, build_examples, read_history
    from cva_sql.models_onnx.value.export import build_manifest, build_model
    from cva_sql.models_onnx.value.fit import fit_model
    from cva_sql.models_onnx.value.origins import plan_origins
    from cva_sql.udfs.register import register, unregister

    with tempfile.TemporaryDirectory() as folder:
        db = Path(folder) / "shop.duckdb"
        make_shop(db, customers)
        shop = open_shop(db)
        history = read_history(shop, TRAIN_SCHEMA)
        plan = plan_origins(history.first_order, history.as_of, 90)
        assert plan is not None
        assert history.first_order is not None
        dates = [(day, plan.label_days) for day in (plan.as_of, *plan.origins)]
        data = build_examples(shop, dates, TRAIN_SCHEMA, max_rows=200_000)
        model, choice = fit_model(data, plan, print, kind="blend")
        assert model is not None
        onnx = build_model(model)
        manifest = build_manifest(model, onnx, plan, choice, history.first_order)
        store_model(shop.models_dir, onnx, manifest)
        deploy(shop.models_dir, manifest.version)
        run_dbt(shop, "run", select=["+customer_features"])

        con = duckdb.connect(str(db), config={"threads": THREADS})
        register(con, models_dir=shop.models_dir)
        names = ", ".join(
            f'cast("{n}" as float) as "{n}"' for n in model.members.preprocessing.numbers
        )
        numbers = con.execute(f"select {names} from customer_features").fetchnumpy()
        import numpy as np

        matrix = np.column_stack(
            [np.ma.filled(np.ma.asarray(numbers[n]), np.nan) for n in numbers]
        ).astype(np.float32)
        members = model.members
        boosters = [
            trees.booster
            for trees in (
                members.value_trees,
                members.probability_trees,
                members.orders_trees,
                *model.residual_trees,
            )
        ]
        trees_count = sum(booster.num_trees() for booster in boosters)

        def in_sql() -> None:
            con.execute(
                "create or replace temp table scores as "
                "select customer_id, cva_predict(f) as p from customer_features as f"
            ).fetchall()

        def native() -> None:
            for booster in boosters:
                booster.predict(matrix, raw_score=True, num_threads=THREADS)

        times: dict[str, list[float]] = {"sql": [], "native": []}
        in_sql()
        for _ in range(REPETITIONS):
            times["sql"].append(timed(in_sql))
            times["native"].append(timed(native))
        unregister(con)
        con.close()
    rows = len(matrix)
    sql, lightgbm = (statistics.median(times[name]) for name in ("sql", "native"))
    print(
        f"{rows:,} customers, {len(boosters)} boosters with {trees_count} trees, "
        f"{matrix.shape[1]} features, {THREADS} threads, medians of {REPETITIONS}"
    )
    print(f"cva_predict in SQL, all outputs        {rows / sql:>12,.0f} rows/s")
    print(f"LightGBM predict, matrix ready         {rows / lightgbm:>12,.0f} rows/s")
    print(f"ratio (target: at least 1)             {lightgbm / sql:>12.2f}")


if __name__ == "__main__":
    main()
