"""Whether explanations add up on every customer, and are the file's; exits 1 where not.

    .venv/bin/python benchmarks/additivity.py retail/shop.duckdb --as-of 2011-09-01

Each kind is fitted as `cva train` would, exported, and explained by its parts and, beside that, by
its whole ONNX file.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

TOLERANCE = 1e-4  # of the prediction


def read_features(shop: Any) -> tuple[dict[str, Any], int]:
    """customer_features of the date as Arrow columns, and how many rows."""
    from cva_sql.cli.shop.connection import connect
    from cva_sql.cli.shop.dbt_runner import run_dbt

    run_dbt(shop, "run", select=["+customer_features"])
    con = connect(shop.db)
    try:
        table = con.sql(f"from {shop.schema}.customer_features").to_arrow_table()
    finally:
        con.close()
    return {name: table.column(name).combine_chunks() for name in table.column_names}, len(table)


def fit_kinds(shop: Any, horizon_days: int, folder: Path) -> dict[str, Path]:
    """A model folder for each kind and for the packaged rule."""
    from cva_sql.cli.shop.model_store import store_model
    from cva_sql.cli.train.examples import TRAIN_SCHEMA, read_history, read_training_set
    from cva_sql.models_onnx.value.members.registry import candidates
    from cva_sql.models_onnx.value.model.graph import build_model
    from cva_sql.models_onnx.value.training.choice import choose
    from cva_sql.models_onnx.value.training.fit import finish_model, fit_model
    from cva_sql.models_onnx.value.training.manifest import build_manifest
    from cva_sql.models_onnx.value.training.typical_customer import build_explanation
    from cva_sql.udfs.sessions import baseline_folder

    history = read_history(shop, TRAIN_SCHEMA)
    rows = read_training_set(shop, history, horizon_days)
    if rows is None:
        raise SystemExit(f"{shop.db} has too little history to train on")
    fitting = fit_model(rows.data, rows.plan, lambda text: None)
    if fitting.members is None:
        raise SystemExit(fitting.choice.reason)
    found = {"baseline": baseline_folder()}
    for kind in candidates():
        model = finish_model(fitting.learning, fitting.members, fitting.folds, kind)
        onnx = build_model(model)
        manifest = build_manifest(
            model, onnx, rows.plan, choose(fitting.folds, kind), rows.first_order, shop.db.name,
            rows.texts.projection, (),
            build_explanation(model, rows.data.seen_from(rows.plan.as_of)),
        )  # fmt: skip
        found[kind] = store_model(folder, onnx, manifest)
    return found


def difference_from_file(explainer: Any, columns: dict[str, Any], rows: int) -> tuple[float, float]:
    """How far the parts are from the whole file, relative to the prediction, on every customer.

    The money of families, and that of features of families all of whose coalitions can be sent.
    """
    import numpy as np

    from cva_sql.udfs import play
    from cva_sql.udfs.explain import explain

    found = explain(explainer, columns, rows)
    whole = explain(replace(explainer, ready=None, wide=None), columns, rows)
    scale = np.maximum(whole.predicted, 1e-6)[:, None]
    sizes = np.bincount(explainer.family_of)
    is_small = np.isin(explainer.family_of, np.flatnonzero(sizes <= play.ENUMERATED))
    families = np.abs(found.family_money - whole.family_money) / scale
    features = np.abs(found.money - whole.money)[:, is_small] / scale
    return float(families.max()), float(features.max(initial=0.0))


def main() -> None:
    """Prints a line a kind."""
    import numpy as np

    from cva_sql.cli.shop.resolver import open_shop
    from cva_sql.udfs.explain import explain
    from cva_sql.udfs.explainer import load_explainer

    parser = argparse.ArgumentParser(description="Do explanations add up for every customer?")
    parser.add_argument("db", type=Path)
    parser.add_argument("--as-of")
    parser.add_argument("--horizon-days", type=int, default=90)
    options = parser.parse_args()
    shop = open_shop(options.db, as_of=options.as_of, horizon_days=options.horizon_days)
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        folders = fit_kinds(shop, options.horizon_days, Path(folder))
        columns, rows = read_features(shop)
        print(f"{rows:,} customers as of {options.as_of}: largest difference, relative")
        for kind, model_folder in folders.items():
            explainer = load_explainer(model_folder)
            found = explain(explainer, columns, rows)
            scale = np.maximum(found.predicted, 1e-6)
            whole = np.abs(found.baseline + found.money.sum(axis=1) - found.predicted) / scale
            parts = [
                np.abs(found.money[:, explainer.family_of == f].sum(axis=1) - money) / scale
                for f, money in enumerate(found.family_money.T)
            ]
            by = "by parts" if explainer.ready else "by the whole file"
            print(f"  {kind:<13} prediction {whole.max():.0e}, family {np.max(parts):.0e} ({by})")
            if explainer.ready:
                families, features = difference_from_file(explainer, columns, rows)
                print(f"{'':<16}from the whole file: family {families:.0e}, feature {features:.0e}")
                worst = max(worst, families, features)
            worst = max(worst, float(whole.max()), float(np.max(parts)))
    sys.exit(0 if worst <= TOLERANCE else 1)


if __name__ == "__main__":
    main()
