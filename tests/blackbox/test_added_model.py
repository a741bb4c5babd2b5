"""From a notebook to the shop's tables: models of scikit-learn and LightGBM, made elsewhere."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from cva_sql.cli.run.build import run_shop
from cva_sql.cli.shop.resolver import open_shop
from cva_sql.cli.train.deployment import Wish
from cva_sql.cli.train.training import train_shop
from cva_sql.udfs.errors import UsageError
from tests.converters import of_lightgbm, of_scikit_learn

FEATURES = ("historic_value", "decayed_spend", "orders_count", "days_since_last_order")


def notebook(db: Path, folder: Path) -> date:
    """Two models of what was spent in 90 days, by what was known before; where that ends."""
    import lightgbm
    from sklearn.ensemble import RandomForestRegressor

    with duckdb.connect(str(db), read_only=True) as con:
        days = con.execute(
            "select distinct as_of_date from cva_train.cva_training_examples order by 1"
        ).fetchall()
        until = days[-3][0]  # the last are the newest cutoff date and the day of scoring
        found = con.execute(
            f"select {', '.join(FEATURES)}, label_value from cva_train.cva_training_examples "
            "where as_of_date + 90 <= ?",
            [until],
        ).fetchnumpy()
    columns = [np.ma.filled(found[name].astype(float), np.nan) for name in FEATURES]
    x, y = np.column_stack(columns).astype(np.float32), found["label_value"].astype(float)
    forest = RandomForestRegressor(20, min_samples_leaf=20, random_state=1).fit(x, y)
    (folder / "forest.onnx").write_bytes(of_scikit_learn(forest.estimators_, len(FEATURES)))
    settings = {"objective": "tweedie", "num_leaves": 8, "verbosity": -1, "num_threads": 1}
    booster = lightgbm.train(settings, lightgbm.Dataset(x, y), 60)
    (folder / "boosted.onnx").write_bytes(of_lightgbm(booster, len(FEATURES)))
    (folder / "map.yml").write_text("".join(f"- {name}\n" for name in FEATURES))
    return until


def test_models_made_elsewhere_are_added_judged_explained_and_deployed(
    sample_shop: Any, rows: Any, cva: Any, tmp_path: Path
) -> None:
    db = sample_shop.copy_to(tmp_path / "shop")
    until = notebook(db, tmp_path)
    for name in ("forest", "boosted"):
        options = ("--name", name, "--trained-until", until, "--inputs", tmp_path / "map.yml")
        done = cva("models", "add", tmp_path / f"{name}.onnx", *options, "--db", db, "--json")
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert found["scores"][name]["ngini"] > 0.2
        assert min(found["dates"]) >= until.isoformat() > max(found["left_out"])
        assert not found["is_deployed"]
    assert cva("models", "deploy", "boosted", "--db", db).returncode == 0
    shop = open_shop(db)
    run_shop(shop)  # its gates: table and file agree, attributions add up, values are finite
    (told,) = rows(
        db,
        "select bool_and(model_version like '%-boosted-%'), count(distinct score) > 100, "
        "bool_and(score_status in ('ok', 'cold_start')), count(reason_1) > 100, "
        "count(is_extrapolated), bool_and(predicted_value_p90 >= predicted_value_p10), "
        "bool_and(purchase_probability between 0 and 1) from customer_value",
    )
    assert told == (True, True, True, True, 0, True, True)
    reasons = rows(db, "select distinct feature from customer_value_explain")
    assert {name for (name,) in reasons} == set(FEATURES)

    with pytest.raises(UsageError, match=r"--deploy forst: expected one of .*boosted, forest"):
        train_shop(shop, Wish(candidate="forst"))
    trained = train_shop(shop, Wish(candidate="forest"))
    assert trained.is_deployed
    assert "-forest-" in (trained.version or "")
    assert trained.reason.startswith("forest, as asked; forest ranks ")
    assert "-forest-" in json.loads((shop.models_dir / "deployed.json").read_text())["value"]
